# Everything runs in a virtual environment of its own: VENV=... chooses where.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
STATE ?= build/demo.pt
SAMPLE := samples/four-pounds-of-lead.pdf

.PHONY: demo test lint format bench torture model clean

demo: model
	@mkdir -p $(dir $(STATE))
	$(BIN)/infini summarize $(SAMPLE)
	$(BIN)/infini read $(SAMPLE) -o $(STATE)
	$(BIN)/infini ask --memory $(STATE) "Who is this story about?"

test: model
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy models/infini_attention infini_cli tests benchmarks samples

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: model
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.table

# About forty minutes; TORTURE=--quick takes two.
torture: $(READY)
	$(BIN)/python -m benchmarks.torture --output build/torture $(TORTURE)

model: $(READY)
	$(BIN)/infini models pull

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
