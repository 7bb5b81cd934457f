# Two commands do all the set-up: `make run` and `make test`.
VENV ?= .venv
BIN = $(VENV)/bin
DATA ?= data
ARGS ?=
# The tests run node and npm: the machine's own, else those of the virtual environment.
export PATH := $(PATH):$(abspath $(BIN))

.PHONY: help run test lint types floors unit integration bench coverage lock docs clean

help:
	@echo "make run          start everything on loopback, data in ./$(DATA) (ARGS='--replay FILE --speed 5')"
	@echo "make test         lint, types, import floors, all tests with coverage"
	@echo "make lint types floors unit integration    one part of it"
	@echo "make bench        performance, as ratios within one run"
	@echo "make docs         write the generated pages anew"
	@echo "make lock         resolve the requirements anew"

run:
	@scripts/bootstrap $(VENV) runtime
	@exec $(BIN)/hxp up --data $(DATA) $(ARGS)

test: lint types floors
	scripts/system-packages
	rm -f .coverage .coverage.*
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --skip-covered --precision=1 | tail -n 40

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

floors: dev
	$(BIN)/lint-imports

unit: dev
	$(BIN)/pytest tests/unit

integration: dev
	scripts/system-packages
	$(BIN)/pytest tests/integration

bench: dev
	scripts/bench-packages $(BIN)/python
	$(BIN)/python -m tests.performance

docs: dev
	$(BIN)/python scripts/generate_docs.py

lock:
	@[ -x $(BIN)/uv ] || scripts/bootstrap $(VENV) dev
	$(BIN)/uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	    --no-header --upgrade -q -o requirements/runtime.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-header --upgrade -q -o requirements/dev.txt

.PHONY: dev
dev:
	@scripts/bootstrap $(VENV) dev

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist
