# Every target sets itself up in .venv; nothing but Python 3.11+, make and a package index is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.base
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt
OPENSMILE := $(VENV)/opensmile

.PHONY: help demo test servers lint format bench clean

help:
	@echo "make demo    synthesise a small corpus, run the default job on it, write a report"
	@echo "make test    run the tests"
	@echo "make servers install what tests of clusters and object stores start (root, Debian)"
	@echo "make lint    check style and types"
	@echo "make bench   measure beside references, with tables in bench.md and bench.json"

$(BASE): pyproject.toml tests/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "emodask needs Python 3.11 or newer; run make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[page]'
	@touch $@

$(READY): $(BASE)
	@echo "installing what the tests need, about 3 GB"
	$(PIP) --editable '.[test]'
	@touch $@

demo: $(BASE)
	$(BIN)/emodask demo

test: $(READY)
	$(BIN)/python -m pytest

servers: $(READY)
	@tests/servers/install.sh

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# openSMILE is licensed for research. It is measured in an environment of its own; where it cannot be
# installed its row is left out.
bench: $(READY)
	@test -x $(OPENSMILE)/bin/python || { $(PYTHON) -m venv $(OPENSMILE) && \
		$(OPENSMILE)/bin/python -m pip install --quiet --disable-pip-version-check opensmile; } || \
		{ rm -rf $(OPENSMILE); echo "openSMILE cannot be installed: going on without it"; }
	$(BIN)/python -m tests.benchmarks --json bench.json --markdown bench.md

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
