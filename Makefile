# `make up` serves a real model on this machine; `make test` runs every test. Both install what they need.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
FAST := $(wildcard tests/unit tests/property tests/golden tests/contract)

.PHONY: help up test setup check test-fast test-engine test-browser system lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

up: ## install, prepare the demo model, serve it with vLLM (ARGS="-d" and the like go to `stoker up`)
	@$(PYTHON) tools/setup.py
	@exec $(BIN)/stoker up $(ARGS)

setup: ## .venv with the test tools
	@$(PYTHON) tools/setup.py --with dev

test: setup system ## everything: checks, fast tests, real vLLM, a real browser
	@$(BIN)/python tools/tiers.py check fast engine browser

check: setup ## lint, format, types, layers
	@$(BIN)/python tools/tiers.py check

test-fast: setup ## the tests that need nothing
	@$(BIN)/python tools/tiers.py fast

test-engine: setup ## the tests with real vLLM
	@$(BIN)/python tools/tiers.py engine

test-browser: setup system ## the tests in headless Chromium
	@$(BIN)/python tools/tiers.py browser

system: # what the browser tests need from the system; without root they are skipped, and say so
	@sh tools/system.sh

lock: setup ## write the lock files again
	@$(BIN)/python tools/lock.py

clean: ## stop all fleets; remove .venv, caches, converted and copied weights
	@if [ -x $(BIN)/stoker ]; then $(BIN)/stoker down --all --now || true; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/browser/screenshots
	rm -rf "$${XDG_STATE_HOME:-$$HOME/.local/state}/stoker" "$${XDG_CACHE_HOME:-$$HOME/.cache}/stoker"
