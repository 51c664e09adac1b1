# Everything a newcomer types.  Needs git, make and Python 3.11 or newer; the rest goes into .venv.
#   make demo      install, then the main job on the generated shop (minutes, offline once installed)
#   make test      the fast tests        make test-all  the slow ones too
#   make check     format, lint, types, import layers, house rules, docs
#   make docs      write the program's --help into the marked blocks of README.md and docs/
# make install PYTHON=/path/to/python3.12 chooses an interpreter; PIP_ARGS="..." is handed to pip (README, "Installing").

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.lookwise-installed
LOG := $(VENV)/install.log
PIP_ARGS ?=
WORKERS ?= 2
# The first interpreter on the path that is new enough; `make install` says so when there is none.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# pip's words go to a log; what is downloaded is shown as it comes, and the log's end when pip fails.
PIP = $(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS)
SHOW = 2>&1 | tee -a $(LOG) | sed -u -n -E -e 's/^ *Downloading ([^ ]*\/)?([^ ]+).*\((.*)\)$$/   \2, \3/p' \
	-e 's/^Installing collected packages:.*/   all there; writing them into $(VENV), a minute or two without a word/p' \
	|| { tail -n 15 $(LOG) >&2; exit 1; }

.PHONY: install demo test test-all check docs clean

install: $(STAMP)

# torch comes first and pinned, so that the package's range cannot pull in another; only changed requirements run pip again.
$(STAMP): pyproject.toml requirements-setup.txt
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.11 or newer; install one, or name it: make install PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "== creating $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "make: python could not make $(VENV); on Debian and Ubuntu install python3-venv" >&2; exit 1; }; }
	@echo "== installing torch, which is large (README, Installing: how to take the CPU build), then lookwise and its tools"
	@echo "   a few minutes; all that pip says goes to $(LOG)"
	@: >$(LOG)
	@$(PIP) -r requirements-setup.txt $(SHOW)
	@$(PIP) -c requirements-setup.txt -e ".[dev]" $(SHOW)
	@touch $(STAMP)

demo: install
	$(BIN)/lookwise demo

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not gpu" -n $(WORKERS) --dist loadfile

test-all: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house

docs: install
	$(BIN)/python tools/help_blocks.py --write

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
