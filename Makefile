# Two commands are the contract: `make demo` and `make test`; both set up what they need in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# One thread each: two OpenMP threads beside a busy neighbour took 588 ms instead of 8 ms for one window.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check test-slow setup clean
.DEFAULT_GOAL := demo

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Wristlead needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv/.ready
	$(BIN)/wristlead demo

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: .venv/.ready
	$(BIN)/python -m pytest -m slow --timeout 1800

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
