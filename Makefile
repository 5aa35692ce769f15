# A fresh machine needs only Python 3.11 or newer: the environment is made where it is missing.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# Whoever watches sees what is fetched; a log need not have it.
PIP = $(BIN)/pip install --disable-pip-version-check $(shell test -t 2 || echo --quiet)

# Tests by their markers (pyproject.toml): what needs no more than Python; the rest; and of that, what runs alone.
# One worker more than processors, as tests wait for the servers they start.
WORKERS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST = $(BIN)/pytest --numprocesses $(WORKERS) --dist loadscope
MORE = services or node or docker or slow or hypothesis
ALONE = faults or timed
BASIC = not (services or browser or node or docker or slow or $(ALONE))

# Tests start the server many times, which compiles its modules anew each time where none may be kept.
export PYTHONDONTWRITEBYTECODE =

.PHONY: run test test-all check bench format schema

run: $(VENV)/console
	@RECOLLECT_TRASH_DAYS=$${RECOLLECT_TRASH_DAYS:-7} $(BIN)/recollect serve --demo

test: $(VENV)/ready
	$(PYTEST) $(COVER) -m "$(BASIC)" $(ARGS)

test-all: test
	$(PIP) --editable '.[dev,browser]'
	$(BIN)/python -m tests.support.servers install
	RECOLLECT_FUZZ_SECONDS=30 $(BIN)/pytest --numprocesses auto --dist loadscope --servers --hypothesis-profile ci -m "($(MORE)) and not (browser or $(ALONE))"
	$(PYTEST) -m browser # apart: what drives the browser keeps a loop of its own running in the process
	$(BIN)/pytest --servers -m "browser and services" # in one process: its servers are started once
	$(BIN)/pytest --servers -m "$(ALONE)"

check: $(VENV)/ready
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/ready
	$(BIN)/python -m bench

format: $(VENV)/ready
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

schema: $(VENV)/ready
	$(BIN)/recollect schema > schema/schema.graphql

$(VENV)/ready: pyproject.toml
	@echo "Installing into $(VENV), one to three minutes."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Recollect needs Python 3.11 or newer; name one with PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/ready

# The install builds the console; what has changed of it since then is built anew.
$(VENV)/console: $(VENV)/ready $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/.*')
	@$(PIP) --no-deps --editable .
	@touch $(VENV)/console
