# `make train` and `make test` are all that is needed on a fresh machine: each makes .venv first.
# Options reach the script by ARGS: make train ARGS="--dataset mnist --root data"
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test lint clean

train: .venv/ready
	$(BIN)/python scripts/train_pyg.py $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamp comes last, so that an install which was cut short is done again.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

clean:
	rm -rf .venv
