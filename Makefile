# res_rust_webrtc: build, install, show, test. `make help` lists what there is.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := all

# The rig makes roots and namespaces: as root directly, else through sudo with the caller's environment.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$(PATH)" "HOME=$(HOME)")
PYTEST := $(AS_ROOT) /usr/bin/python3 -m pytest
MODULE := target/release/libres_rust_webrtc.so
export ENGINE ?= ours

## all: build the module against /usr/include/asterisk (or ASTERISK_INCLUDE_DIR)
.PHONY: all
all:
	cargo build --release --locked --lib

## install [DESTDIR= MODDIR=]: put it where Asterisk looks for modules; never over a file that a package owns
.PHONY: install
install:
	build/install $(MODULE) DESTDIR="$(DESTDIR)" MODDIR="$(MODDIR)"

## uninstall [DESTDIR= MODDIR=]: remove it again; webrtc.conf stays
.PHONY: uninstall
uninstall:
	build/install --remove DESTDIR="$(DESTDIR)" MODDIR="$(MODDIR)"

## demo: a headless Chromium calls through a disposable Asterisk 16; prints what the call measured (ENGINE=stock to compare)
.PHONY: demo
demo: prerequisites $(if $(filter ours,$(ENGINE)),module-bullseye)
	$(AS_ROOT) tests/rig/demo

## demo-serve: the same Asterisk and web phone on loopback for your own browser, until interrupted
.PHONY: demo-serve
demo-serve: prerequisites $(if $(filter ours,$(ENGINE)),module-bullseye)
	$(AS_ROOT) tests/rig/demo --serve

## test: everything, from unit tests to a real Chromium on a real Asterisk
.PHONY: test
test: test-unit test-stub-host test-asterisk test-browser

## test-unit: unit, simulation and layering tests; needs no Asterisk
.PHONY: test-unit
test-unit: prerequisites
	cargo test --locked --no-default-features

## test-stub-host: a C program that stands in for Asterisk opens the module under AddressSanitizer
.PHONY: test-stub-host
test-stub-host: prerequisites
	ASTERISK_INCLUDE_DIR="$$($(AS_ROOT) tests/rig/headers)" cargo test --locked --test stub_host --test layout

## test-asterisk: the module in Debian's Asterisk 16 and 22 (RIG_SUITES=bullseye for 16 alone, ENGINE=stock for stock's modules)
.PHONY: test-asterisk
test-asterisk: prerequisites modules
	$(PYTEST) tests/asterisk

## test-browser: Chromium through the web phone on Asterisk 16 and 22
.PHONY: test-browser
test-browser: prerequisites modules
	$(PYTEST) tests/browser

## dist: source archive of the last commit with its crates and a checksum in dist/; builds offline
.PHONY: dist
dist:
	build/dist dist

## deb: Debian packages for the Asterisk of bullseye and sid in dist/ (RIG_SUITES=bullseye for one)
.PHONY: deb
deb: prerequisites dist
	for suite in $(or $(RIG_SUITES),bullseye sid); do $(AS_ROOT) build/deb $$suite "$$(ls -t dist/*.tar.xz | head -n 1)" || exit 1; done

## test-package: install, upgrade and remove those packages in clean roots
.PHONY: test-package
test-package: deb
	$(PYTEST) tests/package

## bench-calls [QUICK=1]: calls at load, ours against stock's engine and the physical floor, on Asterisk 16 (half an hour; QUICK: 3 minutes)
.PHONY: bench-calls
bench-calls: prerequisites module-bullseye
	$(AS_ROOT) benches/calls/run $(if $(QUICK),--quick) $(BENCH_OPTIONS)

## bench-websocket [QUICK=1]: our WebSocket server and stock's in turn on Asterisk 16, as ratios of processor time (QUICK=1: a tenth of the load)
.PHONY: bench-websocket
bench-websocket: prerequisites module-bullseye
	export LOAD="$$(cargo bench --locked --no-default-features --bench websocket --no-run --message-format=json | \
		sed -n 's/.*"executable":"\([^"]*websocket[^"]*\)".*/\1/p')" && \
	$(AS_ROOT) benches/websocket/run $(if $(QUICK),--quick) $(BENCH_OPTIONS)

## check: format, lints, documentation, licences, layering, generated header
.PHONY: check
check: prerequisites
	cargo fmt --check
	export ASTERISK_INCLUDE_DIR="$$($(AS_ROOT) tests/rig/headers)" && \
	cargo clippy --locked --all-targets -- -D warnings && \
	cargo clippy --locked --all-targets --no-default-features -- -D warnings && \
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	"$$(tests/rig/tool cargo-deny)" --offline check licenses bans sources
	cargo test --locked --no-default-features --test layering
	tests/rig/header --check

## header: write include/res_rust_webrtc.h anew
.PHONY: header
header:
	tests/rig/header

## prerequisites: install with apt what building and testing need
.PHONY: prerequisites
prerequisites:
	@tests/rig/prerequisites

## modules: build the module inside the Debian roots of the tests
.PHONY: modules
modules: $(if $(filter ours,$(ENGINE)),$(addprefix module-,$(or $(RIG_SUITES),bullseye sid)))

module-%:
	$(AS_ROOT) tests/rig/build $*

## clean: remove what was built here (tests/rig/root SUITE --remove drops a cached root)
.PHONY: clean
clean:
	$(AS_ROOT) rm -rf target

## help: this list
.PHONY: help
help:
	@sed -n 's/^## //p' Makefile | awk -F': ' '{ printf "  make %-38s %s\n", $$1, $$2 }'
