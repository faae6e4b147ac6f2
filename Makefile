# `make train` and `make test` are all that is needed on a fresh machine: each makes .venv first.
# Options reach the script by ARGS: make train ARGS="--dataset mnist --root data"
PYTHON ?= python3
BIN := .venv/bin
# The lowest Python that runs; from 3.12 on some of the lowest versions have no wheel. pyenv has a
# python3.10 that only says it is not installed, so each is started.
LOWEST_PYTHON ?= $(shell for python in python3.10 python3.11; do \
	$$python -c "" 2>/dev/null && echo $$python && exit; done; echo $(PYTHON))
LOWEST := .venv-lowest

.PHONY: train test test-slow test-lowest shipped lint docs docs-links clean

train: .venv/ready
	$(BIN)/python scripts/train_pyg.py $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# Those that take more than a few seconds each.
test-slow: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m slow $(ARGS)

# The same tests with every package at exactly the lowest version that pyproject.toml declares.
test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# Trains the model in pyg_agfn/shipped/digits again; its README.md says what it is.
shipped: .venv/ready
	$(BIN)/python scripts/train_pyg.py --dataset digits --method agfn-nlc --noise 0 --seed 0 \
		--backbone-arg width=16 --feature-dim 64 --bank-size 512 --device cpu --out build/shipped
	cd build/shipped/digits-agfn-nlc-noise0-seed0 && cp model.json model.safetensors bank.json \
		bank.safetensors metrics.json ../../../pyg_agfn/shipped/digits/

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in docs/_build/html: runs the tutorials, and takes every warning as an error.
docs: .venv/docs-ready
	$(BIN)/sphinx-build -q -E -W --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Asks the network for every link to another site.
docs-links: .venv/docs-ready
	$(BIN)/sphinx-build -q -b linkcheck -D nb_execution_mode=off docs docs/_build/links

# The stamp comes last, so that an install which was cut short is done again.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

.venv/docs-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	touch $@

# Only wheels: where a version has none for this Python, pip says so instead of compiling.
$(LOWEST)/ready: pyproject.toml
	@echo "lowest versions on $$($(LOWEST_PYTHON) --version); another by LOWEST_PYTHON=..."
	$(LOWEST_PYTHON) -m venv $(LOWEST)
	sed -n '/^dependencies = /,/^dev = /p' pyproject.toml | grep -oE '"[^"]+>=[^"]+"' \
		| tr -d '"' | sed 's/>=/==/' > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		-c $(LOWEST)/lowest.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv $(LOWEST)
