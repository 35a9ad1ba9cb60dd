# The commands of the project. Everything they need on a machine, they install, and say so.

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CHIPQ := $(TARGET)/debug/chipq
RELEASE := $(TARGET)/release/chipq
# Where `make install` installs to; a package's build adds DESTDIR.
PREFIX ?= /usr/local
PROFILE ?= release
INSTALLED := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/chipq
SHARE := $(DESTDIR)$(PREFIX)/share
BASH_COMPLETION := $(SHARE)/bash-completion/completions/chipq
ZSH_COMPLETION := $(SHARE)/zsh/site-functions/_chipq
FISH_COMPLETION := $(SHARE)/fish/vendor_completions.d/chipq.fish

.PHONY: help build release demo install uninstall test test-integration triton lint packages

help: ## This list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

build: ## The executable; its path is the last line
	@$(CARGO) build --locked --package chipq
	@echo "$(CHIPQ)"

release: ## The executable for production and for figures; its path is the last line
	@$(CARGO) build --locked --package chipq --release
	@echo "$(RELEASE)"

demo: packages build ## Inspect a lot of generated boards and look at the result (ARGS="--once --count 6")
	@exec "$(CHIPQ)" demo $(ARGS)

install: ## The executable, its manual pages and shells' completions (PREFIX=/usr/local, DESTDIR=)
	@$(CARGO) build --locked --package chipq --profile $(PROFILE)
	@install -D --mode=755 "$(INSTALLED)" "$(DESTDIR)$(PREFIX)/bin/chipq"
	@chipq="$(DESTDIR)$(PREFIX)/bin/chipq"
	@"$$chipq" manual-pages "$(SHARE)/man/man1"
	@"$$chipq" completions bash | install -D --mode=644 /dev/stdin "$(BASH_COMPLETION)"
	@"$$chipq" completions zsh | install -D --mode=644 /dev/stdin "$(ZSH_COMPLETION)"
	@"$$chipq" completions fish | install -D --mode=644 /dev/stdin "$(FISH_COMPLETION)"
	@"$$chipq" --version

uninstall: ## What `make install` installed
	@rm -f "$(DESTDIR)$(PREFIX)/bin/chipq" "$(SHARE)"/man/man1/chipq.1 "$(SHARE)"/man/man1/chipq-*.1 \
	    "$(BASH_COMPLETION)" "$(ZSH_COMPLETION)" "$(FISH_COMPLETION)"

test: packages ## Every test, on a real PostgreSQL, Triton, Keycloak, Kafka and S3 (installed into a cache)
	@CHIPQ_TEST_PDFS=$$(mktemp -d)
	trap 'deploy/stop-test-postgres; rm -rf "$$CHIPQ_TEST_PDFS"' EXIT
	CHIPQ_TRITON=$$(deploy/ensure-triton)
	CHIPQ_KEYCLOAK=$$(deploy/ensure-keycloak)
	CHIPQ_KAFKA_RUNTIME=$$(deploy/ensure-kafka)
	CHIPQ_KAFKA_CONSUMERS=$$(deploy/ensure-kafka-consumers)
	CHIPQ_SEAWEEDFS=$$(deploy/ensure-seaweedfs)
	export CHIPQ_TRITON CHIPQ_KEYCLOAK CHIPQ_KAFKA_RUNTIME CHIPQ_KAFKA_CONSUMERS CHIPQ_SEAWEEDFS CHIPQ_TEST_PDFS
	$(CARGO) test --locked --workspace $(ARGS)
	if [ -n "$(ARGS)" ] && [ -z "$$(ls "$$CHIPQ_TEST_PDFS")" ]; then
	    echo "SKIPPED: veraPDF has no report to look at; these tests make none"
	else
	    deploy/check-pdfs "$$CHIPQ_TEST_PDFS"
	fi
	[ -n "$${CHIPQ_TEST_TIMESCALE_URL:-}" ] || \
	    echo "SKIPPED: read models on TimescaleDB; set CHIPQ_TEST_TIMESCALE_URL to a server that has it (docs/timescaledb.md)"

test-integration: packages ## The tests with a real Kafka, consumers of others, a real S3 and two machines; says what it skips
	@trap 'deploy/stop-test-postgres' EXIT
	CHIPQ_KAFKA_RUNTIME=$$(deploy/ensure-kafka)
	CHIPQ_KAFKA_CONSUMERS=$$(deploy/ensure-kafka-consumers)
	CHIPQ_SEAWEEDFS=$$(deploy/ensure-seaweedfs)
	export CHIPQ_KAFKA_RUNTIME CHIPQ_KAFKA_CONSUMERS CHIPQ_SEAWEEDFS
	$(CARGO) test --locked --workspace --test kafka --test s3 --test machines -- --nocapture
	projectors/kafka-client/tests/with-brokers

triton: ## Serve triton/ with a real Triton on 127.0.0.1: gRPC 8001, HTTP 8000 (ARGS="--grpc-port=9001")
	@runtime=$$(deploy/ensure-triton)
	@triton/declare-digest --check
	@exec "$$runtime/bin/tritonserver" --model-repository=triton --model-control-mode=explicit \
	    --load-model=golden-compare --disable-auto-complete-config --http-address=127.0.0.1 \
	    --grpc-address=127.0.0.1 --metrics-address=127.0.0.1 $(ARGS)

lint: ## Format, clippy, documentation
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

packages:
	@deploy/ensure-packages
