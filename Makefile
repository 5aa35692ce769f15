# A fresh machine needs only Python 3.11 or newer: the environment is made where it is missing.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin

# What the tests of the services engine need is fetched and started, where it can be; `make test SERVERS=` leaves it out.
SERVERS = $(BIN)/python -m tests.support.servers where-possible --

.PHONY: run test check bench format schema

run: $(VENV)/ready
	@$(BIN)/recollect serve --demo

test: $(VENV)/ready
	$(SERVERS) $(BIN)/pytest $(ARGS)

check: $(VENV)/ready
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/ready
	$(BIN)/python -m bench

format: $(VENV)/ready
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

schema: $(VENV)/ready
	$(BIN)/recollect schema > schema/schema.graphql

$(VENV)/ready: pyproject.toml
	@echo "Installing into $(VENV), about a minute."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Recollect needs Python 3.11 or newer; name one with PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/ready
