# Everything a person or CI does with Weir. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Arguments for `weir demo` and for `cargo test`, e.g. make test TEST_ARGS='-p weir-shared wire'.
DEMO_ARGS ?=
TEST_ARGS ?=

# The system tests start several processes each, with real links between them: more at once only slows all.
RUST_TEST_THREADS ?= 2
export RUST_TEST_THREADS

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup build demo test check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, fetch libtorch, write .cargo/config.toml
	@scripts/setup.sh

build: setup ## build the binaries (release)
	cargo build --release --workspace --bins

demo: build ## build, then run the demonstration (DEMO_ARGS)
	$(TARGET_DIR)/release/weir demo $(DEMO_ARGS)

test: setup ## run all tests (TEST_ARGS); release, so that they share the demo's build
	python=$$(scripts/setup-python.sh); prometheus=$$(scripts/setup-prometheus.sh); \
	WEIR_TEST_PYTHON=$$python WEIR_TEST_PROMETHEUS=$$prometheus cargo test --workspace --release $(TEST_ARGS)

check: setup ## formatting, lints, and the dependencies' licences and advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release -- -D warnings
	scripts/cargo-deny.sh

clean: ## remove build output and the generated configuration; the shared cache stays
	cargo clean
	rm -f .cargo/config.toml
