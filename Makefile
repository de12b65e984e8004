# Retort. `make demo` and `make test` do all set-up themselves.
SWIFT ?= swift
RETORT = .build/release/retort

.PHONY: demo test build bench format lint bootstrap clean

bootstrap:
	@scripts/bootstrap

build: bootstrap
	$(SWIFT) build -c release --product retort

demo: build
	$(RETORT) run recipes/quickstart.yaml

test: bootstrap lint
	$(SWIFT) test

bench: build
	$(SWIFT) build -c release --product sandbox-bench
	@test -f .retort/bench/.ready || { python3 -m venv .retort/bench && .retort/bench/bin/pip install -q torch==2.13.0 transformers smolagents ipykernel jupyter_client sympy && touch .retort/bench/.ready; }
	.retort/bench/bin/python Benchmarks/training.py
	.retort/bench/bin/python Benchmarks/sandbox.py

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests

lint:
	@$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

clean:
	rm -rf .build runs
