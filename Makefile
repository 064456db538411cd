# Every need has one command: `make help` lists them.
# FULL=1 runs `bench` and `faults` in full size, PYTHON=... chooses the interpreter of the environment, PROCESSES=... how
# many processes run the tests at once (0: this one, so that a debugger can be used).

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PY := $(BIN)/python
STAMP := .venv/.complete
PROCESSES ?= 2

# Where it is set, every start would compile all modules again: Feast then takes half as long again to import.
unexport PYTHONDONTWRITEBYTECODE

# Without a wheel folder of their own, installations take torch from the index of its CPU builds.
ifneq ($(origin UV_FIND_LINKS), undefined)
else ifdef PIP_FIND_LINKS
UV_FIND_LINKS := $(PIP_FIND_LINKS)
endif
ifdef UV_FIND_LINKS
export UV_FIND_LINKS
else
UV_TORCH_BACKEND ?= cpu
export UV_TORCH_BACKEND
endif

.PHONY: help setup demo up server test check fmt lint types settings bench faults fuzz lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the environment in .venv (instant when nothing changed)

$(STAMP): requirements.lock pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(PY) -m pip install --quiet uv==0.13.9
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps -e .
	touch $@

test: setup ## run every test
	$(PY) -m pytest -n $(PROCESSES)

check: lint types test ## everything that has to hold before a commit

lint: setup ## rules, formatting, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: setup ## mypy, strict, over product and tests
	$(BIN)/mypy

fmt: setup ## format, and repair what ruff can repair
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

settings: setup ## write docs/settings.md anew from core/settings.py
	$(PY) docs/generate_settings.py

bench: setup ## measure ratios and limits (FULL=1: all sizes)
	@set -e; for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; FULL=$(FULL) OPENBLAS_NUM_THREADS=1 $(PY) $$script; \
	done

faults: setup ## kill, corrupt and starve it, then compare digests (FULL=1: hundreds of kills, SEED=N: once more)
	FULL=$(FULL) SEED=$(SEED) $(PY) -m pytest tests/faults $(if $(FULL),-rP --show-capture=stdout)

fuzz: setup ## hostile exports, JSON, mrkdwn, HTML and text for SECONDS=60 each (FULL=1: RUNS=1000000 inputs each)
	$(PY) tests/fuzz/drive.py $(if $(FULL),--runs $(or $(RUNS),1000000),--seconds $(or $(SECONDS),60))

# Without the upgrade the lock's own "torch==2.13.0" would choose the build that brings gigabytes of CUDA.
lock: setup ## resolve the pinned dependencies into requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip compile --quiet --no-header --python-version 3.11 --extra dev \
		--upgrade-package torch pyproject.toml --output-file requirements.lock
	sed -i 's/^\(torch==[^+]*\)+cpu/\1/' requirements.lock

clean: ## remove the environment, the demo and every cache
	rm -rf .venv .demo .server-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------
# The demonstration: an invented company's Slack export and handbook, then four questions. The first asks as anybody, who
# finds files only; then somebody from the workspace; the last two ask the same, in a private channel and outside of it.

EMPLOYEE := T05LQ8R2PNK/U05LQUZN7GK
MEMBER := T05LQ8R2PNK/U05LQF8E1HC

demo: export THREADWISE_DATA_DIR := .demo
demo: setup ## read an invented company's Slack export and handbook, and ask four questions
	rm -rf .demo
	$(BIN)/threadwise ingest demo/slack-export --source pennock-slack
	$(BIN)/threadwise ingest demo/handbook --source pennock-handbook
	$(BIN)/threadwise models pull || echo "Without a model, answers are quotes."
	$(BIN)/threadwise ask "What do I get per mile when I use my own car?"
	$(BIN)/threadwise ask "How many days of leave can I carry over into the new year?" --as $(EMPLOYEE)
	$(BIN)/threadwise ask "How much is the monthly travel supplement for drivers after the move?" --as $(MEMBER)
	$(BIN)/threadwise ask "How much is the monthly travel supplement for drivers after the move?" --as $(EMPLOYEE)

up: setup ## serve the data folder (THREADWISE_DATA_DIR, default: data) until Ctrl-C
	$(BIN)/threadwise up

# With DEMO=1 the demonstration's commands find the server by its folder, a new one, and the server ends with them.
server: setup ## serve .server on PostgreSQL, Valkey and a model's own server (DEMO=1: run the demo on it, then stop)
ifdef DEMO
	$(PY) -m deploy.native --anew --data-dir .server-demo --port 0 -- \
		make --no-print-directory demo THREADWISE_DATA_DIR=.server-demo
else
	$(PY) -m deploy.native
endif
# ---------------------------------------------------------------------------------------------------------------
