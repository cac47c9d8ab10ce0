# `make up` serves a real model on this machine; `make test` runs every test. Both install what they need.
#   make up ENGINE=cpu|cuda|none   another engine than the one that fits this machine
#   make up ARGS="-d"              options of `stoker up`
#   make up PYTHON=python3.12      another Python than the first on the path
PYTHON ?= python3
BIN := .venv/bin
SETUP := $(PYTHON) tools/setup.py
TIERS := $(BIN)/python tools/tiers.py

.DEFAULT_GOAL := help
.PHONY: help up test image docs site examples check test-fast test-contract coverage test-cluster test-package test-engine test-browser lock clean python setup system

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

up: python ## install, prepare the demo model, serve it with vLLM
	@$(SETUP)
	@exec $(BIN)/stoker up $(ARGS)

test: setup system ## everything: checks, fast tests, real vLLM, a real browser
	@env -u KUBECONFIG $(TIERS) check fast contract package cluster engine browser

check: setup ## lint, format, types, layers
	@exec $(TIERS) check

test-fast: setup ## the tests that compute and never wait, in under a minute
	@exec $(TIERS) fast

test-contract: setup ## the tests with processes and sockets: fleets of simulated engines, the gateway, the double
	@exec $(TIERS) contract

COVERED ?= tests/unit tests/property tests/golden
coverage: setup ## which lines of Stoker the fast tests run (COVERED="tests/unit tests/contract": other tests)
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/coverage run -m pytest -q -n 2 $(COVERED)
	@$(BIN)/coverage combine -q && $(BIN)/coverage report

test-cluster: setup ## a fleet's life in the cluster that KUBECONFIG names, or in the double
	@exec $(TIERS) cluster

test-package: setup ## the wheel in a bare environment, and the image's steps
	@exec $(TIERS) package

test-engine: setup ## the tests with real vLLM
	@exec $(TIERS) engine

test-browser: setup system ## the tests in headless Chromium
	@exec $(TIERS) browser

IMAGE ?= stoker:$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/stoker/__init__.py)
image: ## build Stoker's own image (IMAGE=REGISTRY/stoker:TAG), for a cluster's gateway and chat page
	@command -v docker >/dev/null || { echo "error: docker is not here: podman's docker command does as well" >&2; exit 1; }
	docker build --tag $(IMAGE) .
	docker run --rm --read-only --tmpfs /tmp --cap-drop ALL $(IMAGE) --version

docs: setup ## write the generated reference pages again
	@$(BIN)/python tools/reference.py

site: setup ## make the pages a site with search, build/site; check its links
	@$(BIN)/python tools/site_pages.py

examples: setup ## write the examples' expected plans and manifests again
	@$(BIN)/python tools/examples.py

lock: python ## write the lock files again (UPGRADE=1: with the newest versions)
	@test -x $(BIN)/uv || $(SETUP)
	@$(PYTHON) tools/lock.py

# Weights that were copied from elsewhere stay: `stoker models rm` removes them.
FORGET := import shutil; from stoker.system import paths; \
  [shutil.rmtree(p, ignore_errors=True) for p in (paths.fleets(), paths.engine_cache(), paths.weights() / "demo")]
clean: ## stop all fleets; remove their state, the demo's weights, .venv and caches
	@test ! -x $(BIN)/stoker || { $(BIN)/stoker down --all --now && $(BIN)/python -c '$(FORGET)'; } || \
	  echo "  warn  fleets     could not be stopped: their state and the demo's weights stay" >&2
	rm -rf .venv .venv-site build .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis .import_linter_cache tests/browser/screenshots
	find . -name __pycache__ -prune -exec rm -rf {} +

# A fresh machine may have no Python at all.
python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: there is no $(PYTHON) on the path"; \
	  echo "  fix  sudo apt-get install python3 python3-venv"; exit 1; } >&2

setup: python
	@$(SETUP) --with dev

system:
	@sh tools/system.sh
