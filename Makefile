# `make quickstart` brings OpenStack up on this machine and a yard of container hosts on it. `make test` is the proof
# for every change, `make prove` runs the long suites. Each installs what it needs first and may be run again at any time.

STACKYARD := $(or $(CARGO_TARGET_DIR),target)/release/stackyard

.PHONY: help quickstart web build test prove lint unit web-check api e2e screenshots bench fuzz clean

help:
	@echo 'make quickstart   build Stackyard, bring up OpenStack, hosts and a stack on it'
	@echo 'make build        the release binary with the console, $(STACKYARD)'
	@echo 'make web          the console alone, web/dist, which the binary embeds'
	@echo 'make test         lint + unit + web-check + api + e2e, with what they need installed first'
	@echo 'make prove PART   the long suites: those named, or all (tests/parts.toml); docs/proofs.md has what passed when'
	@echo '                  STALE=1: those whose inputs have changed since; KEEP=1: leave their cloud for the next run'
	@echo 'make lint         format, clippy, cargo deny, layers, the language and links of the documentation'
	@echo 'make unit         tests of the crates (against a real Docker Engine)'
	@echo 'make web-check    the console: types, lint, tests, generated client, size of the first load'
	@echo 'make api          the API against its document: schemathesis, and the examples of docs/reference/api.md, on real servers'
	@echo 'make e2e          from nothing: OpenStack, two hosts, a stack, a port for a container, the console; all removed'
	@echo 'make screenshots  every page of the console, into target/screenshots'
	@echo 'make bench        measure, and write docs/benchmarks.md'
	@echo 'make fuzz         ten minutes for each parser of foreign bytes (FUZZ_SECONDS=600)'
	@echo 'make clean        remove what was built here; a running cloud stays'

quickstart:
	scripts/setup run
	$(MAKE) --no-print-directory build
	scripts/quickstart $(STACKYARD)

web:
	scripts/web build

build: web
	cargo build --release --locked -p stackyard

test:
	scripts/setup test
	tests/cleanup
	tests/run

lint:
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny --log-level error check bans licenses sources
	scripts/layers
	scripts/names
	scripts/prose
	scripts/links

unit:
	tests/unit

web-check:
	scripts/web check

api:
	tests/api/run
	tests/api/examples

e2e:
	tests/cloud/run quickstart

# The words behind `prove` are parts.
ifeq ($(firstword $(MAKECMDGOALS)),prove)
PARTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(PARTS)
$(PARTS): prove
	@:
endif

prove:
	tests/prove $(if $(STALE),--stale) $(if $(KEEP),--keep) $(PARTS)

screenshots:
	scripts/engine start
	tests/console/run screenshots target/screenshots

bench: build
	bench/run

FUZZ_SECONDS ?= 600
fuzz:
	fuzz/run $(FUZZ_SECONDS)

clean:
	cargo clean
	rm -rf web/node_modules web/node/node_modules web/dist/console web/dist/sources
