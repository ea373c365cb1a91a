# What a newcomer needs: `make demo`, `make test`. All of it works in .venv, as an ordinary user.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The first of these that works and is new enough; a version manager's command may be there and
# refuse to start. Looked for only when .venv is made.
PYTHONS := python3.11 /usr/bin/python3.11 python3.12 python3.13 python3
PYTHON ?= $(shell for each in $(PYTHONS); do \
	$$each -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$each && break; done)

# Without annotations, hosts and folders: the same text wherever it is made.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command 'make lock' \
	$(if $(UPGRADE),--upgrade)

# Processes that share the tests. Most tests wait for others, so there is one more than there are
# cores; with more than four, the one that has the container engine would be the last to end.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 3 ? n + 1 : 4)))

.PHONY: help demo test lint format bench crash lock clean python
.DEFAULT_GOAL := help

help:  ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@python="$(PYTHON)"; [ -n "$$python" ] || { \
		echo 'Stepline needs Python 3.11 or newer with venv; name one: make PYTHON=...' >&2; exit 3; }; \
	echo "Setting up $(VENV) ..." && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@

# For .ci/run: the interpreter that .venv is made with, or nothing.
python:
	@echo $(PYTHON)

demo: $(READY)  ## Run an example on its real input and show what happened; KAGGLE=real uses an account
	@$(BIN)/python examples/push-to-kaggle/demo.py $(if $(KAGGLE),--kaggle $(KAGGLE))

test: lint  ## Check the code and run all tests, with coverage, in WORKERS processes
	@$(BIN)/python -m pytest --cov -n $(WORKERS) --dist loadfile --durations 25

lint: $(READY)  ## Check style, types and the direction of imports
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@found=$$($(BIN)/lint-imports --no-logo) || { echo "$$found"; exit 1; }

format: $(READY)  ## Rewrite the code in the house's style
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

bench: $(READY)  ## Measure speed and memory against their bars
	@$(BIN)/python -m benchmarks $(ONLY)

crash: $(READY)  ## Kill a service at each commit and KILLS times at random; count what it loses
	@$(BIN)/stepline selftest --crash --every-point --kills $(or $(KILLS),60)

lock: $(READY)  ## Pin the dependencies with hashes; UPGRADE=1 takes the newest
	@$(COMPILE) --extra aws --extra docker --extra images --group dev pyproject.toml -o requirements/dev.txt
	@$(COMPILE) --constraints requirements/dev.txt pyproject.toml -o requirements/run.txt
	@for each in judge mlflow moto; do \
		$(COMPILE) --group pyproject.toml:$$each -o requirements/$$each.txt || exit; done

clean:  ## Remove what these commands made
	@rm -rf $(VENV) build dist htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache benchmarks/out .coverage .coverage.*
	@find src tests examples benchmarks task-scripts -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
