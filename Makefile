# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
export PYTHONUNBUFFERED = 1
# One thread a process: the networks are small, and threads that contend are far slower than none.
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test test-slow lint bench clean

# The stamp is younger than what it depends on exactly when the environment is up to date.
$(VENV)/installed: pyproject.toml constraints.txt CMakeLists.txt $(wildcard liquidtorch/ops/csrc/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liquidtorch needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/liquid fit @cheetah --series trace --time t --task forecast --epochs 40 --out $(DEMO)
	$(BIN)/liquid predict $(DEMO) @cheetah --out $(DEMO)/predictions.csv

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	$(TESTS) -m 'not slow'

test-slow: $(VENV)/installed
	$(TESTS) --dist worksteal -m slow

bench: $(VENV)/installed
	$(BIN)/python benchmarks/adding.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/spiking.py
	$(BIN)/python benchmarks/windows.py
	$(BIN)/python benchmarks/ridge.py
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/echo.py
	$(BIN)/python benchmarks/radius.py
	$(BIN)/python benchmarks/reservoir.py
	$(BIN)/python benchmarks/resilience.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/structure.py
	$(BIN)/python benchmarks/readme.py

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .ruff_cache .hypothesis
