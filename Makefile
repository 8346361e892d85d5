# Everything a person or CI does with Weir. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Arguments for `weir demo`, for the bench of the gateway, and for `cargo test`, e.g. make test TEST_ARGS='-p weir-shared wire'.
DEMO_ARGS ?=
BENCH_ARGS ?=
TEST_ARGS ?=

# The system tests start several processes each, with real links between them: more at once only slows all.
RUST_TEST_THREADS ?= 2
export RUST_TEST_THREADS

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup build demo test test-api test-otlp test-dashboards test-helm test-page test-planner-wide bench-planner bench-adaptive bench-gateway check clean train-smoke models

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, fetch libtorch, write .cargo/config.toml
	@scripts/setup.sh

build: setup ## build the binaries (release)
	cargo build --release --workspace --bins

demo: build ## build, then run the demonstration (DEMO_ARGS)
	$(TARGET_DIR)/release/weir demo $(DEMO_ARGS)

bench-adaptive: build ## play the scenarios of the table of targets, print it (DEMO_ARGS)
	$(TARGET_DIR)/release/weir demo --bench --out $(TARGET_DIR)/bench-adaptive $(DEMO_ARGS)

bench-gateway: build ## the gateway under Triton's perf_analyzer, beside a bare route (BENCH_ARGS)
	perf_analyzer=$$(scripts/setup-perf-analyzer.sh); cargo build --release -p weir-orchestrator --example echo; \
	scripts/bench-gateway.py --perf-analyzer $$perf_analyzer --bin $(TARGET_DIR)/release --echo $(TARGET_DIR)/release/examples/echo $(BENCH_ARGS)

# The documents' examples use these, and tests run those.
test: export WEIR_SETUP_TOOLS := curl jq openssl
test: setup ## run all tests (TEST_ARGS); release, so that they share the demo's build
	python=$$(scripts/setup-python.sh); prometheus=$$(scripts/setup-prometheus.sh); \
	schemathesis=$$(scripts/setup-python.sh orchestrator/tests/api-requirements.txt); \
	WEIR_TEST_SCHEMATHESIS=$$schemathesis WEIR_TEST_PYTHON=$$python WEIR_TEST_PROMETHEUS=$$prometheus cargo test --workspace --release $(TEST_ARGS)
	test -n "$(TEST_ARGS)" || $(MAKE) --no-print-directory test-dashboards test-helm test-page test-otlp

OTLP := --features weir-orchestrator/otlp,weir-worker/otlp

test-otlp: setup ## spans at a receiver of OTLP, by programs with the feature otlp (a part of make test)
	cargo build --workspace --release $(OTLP) --bins --test otlp
	cargo test --workspace --release $(OTLP) --test otlp

test-api: setup ## schemathesis over the admin API, with and without tokens, and all its tests (a part of make test, with fewer examples)
	schemathesis=$$(scripts/setup-python.sh orchestrator/tests/api-requirements.txt); \
	WEIR_TEST_SCHEMATHESIS=$$schemathesis WEIR_TEST_EXAMPLES=100 \
	cargo test --release -p weir-orchestrator --test cluster -- --nocapture api:: schemathesis::

test-dashboards: build ## dashboards and rules against Prometheus and a small cluster (a part of make test)
	python=$$(scripts/setup-python.sh); prometheus=$$(scripts/setup-prometheus.sh); cd dashboards/tests; \
	WEIR_TEST_PROMETHEUS=$$prometheus $$python -m unittest

test-helm: build ## the Helm chart, the images and their programs (a part of make test)
	bin=$$(scripts/setup-helm.sh); cd helm/tests; ls -r test_*.py | xargs -n 1 -P 2 "$$bin/python" -m unittest

test-page: build ## the live page in a headless Chromium, on a running demonstration (a part of make test)
	browser=$$(scripts/setup-browser.sh); cd orchestrator/tests/page; WEIR_TEST_BROWSER=$$browser "$$browser/python" -m unittest

train-smoke: setup ## train for a minute, kill and resume, reach an accuracy (a part of make test)
	cargo test --release -p weir-worker --test train_smoke -- --nocapture

# The folder of CIFAR-10's binary files, and where networks go that are trained again.
WEIR_CIFAR10 ?= ../shared/cifar-10-batches-bin
MODELS_DIR ?= $(TARGET_DIR)/models

# Name, epochs, threads. A network is written when its last epoch is over, a profile when its study is; a run that was
# killed goes on from its state.
define model
	test -f $(MODELS_DIR)/$(1)-cifar10.safetensors || nice -n 19 $(TARGET_DIR)/release/weir-worker train --arch $(1) \
	  --dataset cifar10 --data $(WEIR_CIFAR10) --out $(MODELS_DIR)/$(1)-cifar10.safetensors --epochs $(2) --seed 1 \
	  --batch 64 --learning-rate 0.3 --precision bf16 --threads $(3)
	test -f $(MODELS_DIR)/$(1)-cifar10.profile.json || nice -n 19 $(TARGET_DIR)/release/weir-worker study --arch $(1) \
	  --dataset cifar10 --data $(WEIR_CIFAR10) --weights $(MODELS_DIR)/$(1)-cifar10.safetensors --threads $(3) \
	  --budget standard --out $(MODELS_DIR)/$(1)-cifar10.profile.json --html $(MODELS_DIR)/$(1)-cifar10.html
endef

models: build ## train and study the CIFAR-10 networks anew, into target/models: many hours; run again to go on
	mkdir -p $(MODELS_DIR)
	$(call model,resnet20,100,1)
	$(call model,resnet56,60,2)

test-planner-wide: setup ## the planner against brute force and a MILP on thousands of instances
	WEIR_PLANNER_WIDE=1 cargo test -p weir-orchestrator --release --test planner -- --nocapture

bench-planner: setup ## the planner's speed against its targets, its growth, and a MILP side by side
	cargo bench -p weir-orchestrator --bench planner_speed
	cargo bench -p weir-orchestrator --bench planner

check: setup ## formatting, lints, and the dependencies' licences and advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release -- -D warnings
	scripts/cargo-deny.sh

clean: ## remove build output and the generated configuration; the shared cache stays
	cargo clean
	rm -f .cargo/config.toml
