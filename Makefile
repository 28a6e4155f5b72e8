# What one does with this repository; `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test test-rust deploy-check lint deny fuzz-build bench-count bench-check bench-accept bench-test compare compare-readme compare-ready compare-check endure endure-long endure-ready demo

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
# The runner has to be of the library's version.
GUNGRAUN_VERSION := $(shell sed -n '/^name = "gungraun-runner"$$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
GUNGRAUN := $(TARGET)/gungraun-runner-$(GUNGRAUN_VERSION)
COUNTS := $(TARGET)/instructions.json
ADVISORIES = $${CARGO_HOME:-$$HOME/.cargo}/advisory-dbs

help: ## list what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

test: test-rust deploy-check bench-test ## every test, after installing what it needs

test-rust: ## the Rust tests and the examples in the documentation
	@.ci/packages rust c curl faketime redis
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
fuzz-build: ## the fuzz targets: formatting, that they build, and what they make of their seeds
	@.ci/packages rust c c++
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing" $(CARGO) build --locked --manifest-path fuzz/Cargo.toml
	for seeds in fuzz/seeds/*; do \
	    told=$$("$${CARGO_TARGET_DIR:-fuzz/target}/debug/$${seeds##*/}" "$$seeds"/* 2>&1) || { echo "$$told"; exit 1; }; \
	done

bench-check: bench-count ## count the instructions a request costs, and compare with the committed baseline
	python3 benches/gate.py check $(COUNTS)

bench-accept: bench-count ## make this machine's counts the committed baseline
	python3 benches/gate.py accept $(COUNTS)

bench-test: ## the scripts in benches/
	@.ci/packages python
	cd benches && python3 -B -m unittest discover --quiet
	cd benches/compare && python3 -B -m unittest discover --quiet
	cd benches/endure && python3 -B -m unittest discover --quiet

# Flags for another processor would change what is counted; valgrind's own processor is the same everywhere.
bench-count: $(GUNGRAUN)/bin/gungraun-runner
	@.ci/packages rust c python valgrind
	RUSTFLAGS= GUNGRAUN_RUNNER=$< $(CARGO) bench --locked --bench instructions -- --output-format=json >$(COUNTS)

$(GUNGRAUN)/bin/gungraun-runner:
	@.ci/packages rust c
	$(CARGO) install gungraun-runner --locked --version $(GUNGRAUN_VERSION) --root $(GUNGRAUN)

ROUNDS ?= 3
compare: compare-ready ## the gateway beside nginx, HAProxy and Envoy on this machine (ROUNDS=3)
	benches/compare/compare.py --rounds $(ROUNDS)

compare-readme: compare-ready ## the same, with the table and the chart put where README.md has them
	benches/compare/compare.py --rounds $(ROUNDS) --into README.md --chart docs/compare.svg

compare-ready: $(TARGET)/compare/venv/ready
	@.ci/packages rust c haproxy nginx python wrk
	$(CARGO) build --locked --release

# Shows that the comparison works; its figures mean nothing, being those of a debug build in one second.
compare-check: ## a short comparison of an unoptimised gateway with nginx
	@.ci/packages rust c nginx python wrk
	$(CARGO) build --locked
	benches/compare/compare.py --rounds 1 --seconds 1 --peers gateway,nginx --scenarios small16,post8k \
	    --gateway $(TARGET)/debug/profile-gateway --output $(TARGET)/compare/check

$(TARGET)/compare/venv/ready: benches/compare/requirements.txt
	@.ci/packages python
	python3 -m venv --clear $(@D) || /usr/bin/python3 -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

endure: endure-ready ## reloads, restarts, outages, names, certificates, memory and a soak under load, in some seven minutes
	benches/endure/endure.py --share 0.2 --minutes 2

endure-long: endure-ready ## the same with every repetition and half an hour of soak: some 45 minutes
	benches/endure/endure.py

endure-ready:
	@.ci/packages rust c h2load openssl python wrk
	$(CARGO) build --locked --release

demo: ## a gateway and a simulated Adobe, to try it out
	@.ci/packages rust c
	$(CARGO) run --locked --release -- demo
