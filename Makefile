# The commands of the project. Everything they need on a machine, they install, and say so.

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CHIPQ := $(TARGET)/debug/chipq

.PHONY: help build demo test lint postgres

help: ## This list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

build: ## The executable; its path is the last line
	@$(CARGO) build --locked --package chipq
	@echo "$(CHIPQ)"

demo: postgres build ## Inspect a lot of generated boards and look at the result (ARGS="--once --count 6")
	@exec "$(CHIPQ)" demo $(ARGS)

test: postgres ## Every test that needs nothing but this repository
	@trap 'deploy/stop-test-postgres' EXIT
	$(CARGO) test --locked --workspace $(ARGS)

lint: ## Format, clippy, documentation
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

postgres:
	@deploy/ensure-postgres
