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

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests

lint:
	@$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

clean:
	rm -rf .build runs
