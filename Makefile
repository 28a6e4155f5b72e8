# What one does with this repository; `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test test-rust deploy-check lint deny fuzz-build bench-build demo

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
ADVISORIES = $${CARGO_HOME:-$$HOME/.cargo}/advisory-dbs

help: ## list what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

test: test-rust deploy-check ## every test, after installing what it needs

test-rust: ## the Rust tests and the examples in the documentation
	@.ci/packages rust c curl
	if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run --locked; else $(CARGO) test --locked --tests; fi
	$(CARGO) test --locked --doc

deploy-check: .venv/ready ## the Dockerfile and the Kubernetes manifests
	.venv/bin/python deploy/check --self-test

# Marked ready last, so that an installation cut short is done again.
.venv/ready: deploy/requirements.txt
	@.ci/packages python
	python3 -m venv --clear .venv || /usr/bin/python3 -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

lint: deny ## formatting, clippy, documentation and dependencies, warnings denied
	@.ci/packages rust c
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# The advisory database is a git repository cargo-deny clones: it is used where it is, and its absence is said.
deny: ## licences, sources, duplicates and known faults of the dependencies
	@.ci/packages rust c
	@$(CARGO) deny --version 2>/dev/null || $(CARGO) install cargo-deny --locked --version $(CARGO_DENY_VERSION)
	$(CARGO) deny --locked check bans licenses sources
	@if compgen -G "$(ADVISORIES)/*/.git/FETCH_HEAD" >/dev/null; \
	then $(CARGO) deny --frozen check advisories; \
	else echo "advisories NOT CHECKED: no database here; 'cargo deny fetch db' brings it"; fi

# Builds without the coverage instrumentation that only nightly's flags give: this shows that the targets compile.
fuzz-build: ## the fuzz targets: formatting, and that they build
	@.ci/packages rust c c++
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing" $(CARGO) build --locked --manifest-path fuzz/Cargo.toml

bench-build: ## the benchmarks, built and not run
	@.ci/packages rust c
	$(CARGO) build --locked --benches

demo: ## a gateway and a simulated Adobe, to try it out
	@.ci/packages rust c
	$(CARGO) run --locked --release -- demo
