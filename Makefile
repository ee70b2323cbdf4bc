# Two commands matter: `make demo` and `make test`. Everything they need goes into .venv and .cache of this folder.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SEEDS ?= 100
FROM ?= 1
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first interpreter that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

.PHONY: demo
demo: $(VENV)/.runtime  ## a living utility in ./amity-demo: simulated meters, head-end, store, console (ARGS="--meters 50 --once")
	@$(BIN)/amity demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev  ## every test that needs no peer and no service
	@$(BIN)/pytest -n 2 --dist worksteal -rs $(ARGS)

.PHONY: check
check: $(VENV)/.dev  ## style, types, import contracts, dependencies
	@$(BIN)/ruff check src tests benchmarks fuzz
	@$(BIN)/ruff format --check src tests benchmarks fuzz
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry src

.PHONY: interop
interop: $(VENV)/.dev .interop/gurux/.done .interop/dlms-cosem/.done .interop/amshan/.done  ## foreign DLMS clients, in processes of their own, read our meters
	@$(BIN)/pytest -m interop tests/interop $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev .interop/gurux/.done .interop/dlms-cosem/.done  ## speed, side by side with the peers, as a table and as JSON
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: services-test
services-test: $(VENV)/.dev  ## independent programs of Debian's packages read our traffic (tshark); what is missing is skipped with its reason
	@$(BIN)/pytest -m services tests/services -rs $(ARGS)

.PHONY: simulate
simulate: $(VENV)/.dev  ## the whole head-end on virtual time with every fault, a world per seed (SEEDS=1000 FROM=1)
	@$(BIN)/python -m amity.simulation.campaign --seeds $(SEEDS) --from $(FROM) $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev  ## coverage-guided fuzzing of every decoder and both ends of a session (ARGS="--seconds 60")
	@$(BIN)/python -m fuzz $(ARGS)

.PHONY: lock
lock: .cache/uv/bin/uv  ## resolve requirements/*.in anew into hash-pinned requirements/*.txt
	@for name in build runtime dev interop-gurux interop-dlms-cosem interop-amshan; do \
	  echo "requirements/$$name.txt"; \
	  .cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --upgrade requirements/$$name.in -o requirements/$$name.txt || exit 1; done

.PHONY: format
format: $(VENV)/.dev  ## let ruff write the layout
	@$(BIN)/ruff format src tests benchmarks fuzz
	@$(BIN)/ruff check --fix --quiet src tests benchmarks fuzz

.PHONY: clean
clean:  ## remove everything these commands made, the demo folder excepted
	rm -rf $(VENV) .interop .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# ---------------------------------------------------------------- set-up
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Amity needs Python 3.11 or newer; none was found on PATH."; \
	  echo "next: install it (Debian, Ubuntu: apt-get install python3 python3-venv) or say make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "next: install the venv module (Debian, Ubuntu: apt-get install python3-venv) and run make again"; exit 1; }

$(VENV)/.runtime: $(BIN)/python requirements/build.txt requirements/runtime.txt pyproject.toml
	@echo "installing pinned dependencies (once)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "installing pinned test tools (once)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.interop/%/.done: requirements/interop-%.txt $(BIN)/python
	@echo "installing the peer $* into a virtual environment of its own"
	@$(PYTHON) -m venv .interop/$*
	@.interop/$*/bin/pip install --quiet --require-hashes -r $<
	@touch $@

.cache/uv/bin/uv: $(BIN)/python
	@$(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv
