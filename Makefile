# `make quickstart` brings OpenStack up on this machine and a yard of container hosts on it; `make test`
# checks everything.
# Both install what they need first; both may be run again at any time.

STACKYARD := $(or $(CARGO_TARGET_DIR),target)/release/stackyard

.PHONY: help quickstart web build test lint unit web-check api hosts console screenshots kolla images cloud bench fuzz clean

help:
	@echo 'make quickstart   build Stackyard, bring up OpenStack, hosts and a stack on it'
	@echo 'make build        the release binary with the console, $(STACKYARD)'
	@echo 'make web          the console alone, web/dist, which the binary embeds'
	@echo 'make test         lint + unit + web-check + api + hosts + console + kolla + images + cloud,'
	@echo '                  with what they need installed first'
	@echo 'make lint         format, clippy, cargo deny, layers'
	@echo 'make unit         tests of the crates (against a real Docker Engine)'
	@echo 'make web-check    the console: types, lint, tests, generated client, size of the first load'
	@echo 'make api          the API against its document: schemathesis, and the examples of docs/api.md, on real servers'
	@echo 'make hosts        stacks over several hosts: deploy, scale, update, kill, drain, remove; machines that join'
	@echo 'make console      the console in a real Chromium against a real server with real agents'
	@echo 'make screenshots  every page of the console, into target/screenshots'
	@echo 'make kolla        our container contract against that of Kolla'
	@echo 'make images       the guest of container hosts: built, booted by BIOS and by UEFI'
	@echo 'make cloud        OpenStack on this machine, end to end: up, test, change, kill, reboot, down'
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

unit:
	tests/unit

web-check:
	scripts/web check

api:
	tests/api/run
	tests/api/examples

hosts:
	scripts/engine start
	tests/beside tests/hosts/run tests/hosts/ports tests/hosts/links tests/hosts/doctor

console:
	scripts/engine start
	tests/console/run

screenshots:
	scripts/engine start
	tests/console/run screenshots target/screenshots

kolla:
	cargo build --locked --quiet -p stackyard
	$(or $(CARGO_TARGET_DIR),target)/debug/stackyard --home /var/lib/stackyard-test image build services
	tests/kolla/run

images:
	tests/images/run

cloud:
	tests/cloud/run

bench: build
	bench/run

FUZZ_SECONDS ?= 600
fuzz:
	fuzz/run $(FUZZ_SECONDS)

clean:
	cargo clean
	rm -rf web/node_modules web/node/node_modules web/dist/console web/dist/sources
