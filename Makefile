# Everything needs only Python 3.11+ and make; what a target needs is set up once, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt
# Every page anew, and a warning is an error: a link that leads nowhere, for one.
SPHINX := $(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going

# More than the processors: a third of the tests' time is waiting for servers.
PROCESSES ?= 4

AUDIT := $(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off
# It has advisories that will stay. pip-audit ends well where it could ask of nothing, as behind a mirror of packages
# alone; a source that knows none of this release is no source.
VULNERABLE := jinja2==2.4.1

.PHONY: help render test campaign lint format bench audit docs clean

help:
	@echo "make render   render the example storyboard into outputs/"
	@echo "make test     run every test"
	@echo "make campaign try at length to break the promises of docs/guarantees.md"
	@echo "make lint     check style, types and the floors of the house"
	@echo "make format   format the code"
	@echo "make bench    measure speed and memory, as ratios; compare them with the last version's"
	@echo "make audit    look up known vulnerabilities of the versions in constraints.txt"
	@echo "make docs     build the documentation into site/"
	@echo "make clean    remove .venv, site/ and caches; outputs/ stays"

render: $(VENV)/.ready
	@$(BIN)/storyreel render configs/storyboards/cat-in-a-garden.yaml

test: $(VENV)/.ready-dev
	@$(BIN)/coverage erase
	@$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadgroup -m 'not alone' --cov --cov-report=term
	@$(BIN)/pytest -m alone
	@rm -f .coverage

campaign: $(VENV)/.ready-dev
	@STORYREEL_CAMPAIGN=long $(BIN)/pytest -o faulthandler_timeout=1800 tests/campaigns

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(SPHINX) -b dummy --doctree-dir build/docs docs build/docs

format: $(VENV)/.ready-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks

audit: $(VENV)/.ready-dev
	@if echo '$(VULNERABLE)' | $(AUDIT) --requirement /dev/stdin 2>/dev/null | grep -q '^jinja2 *2[.]4[.]1 '; then \
		$(AUDIT) --requirement constraints.txt; \
	else \
		echo "no source of advisories can be reached from here: nothing was audited"; \
	fi

docs: $(VENV)/.ready-docs
	@rm -rf site
	@$(SPHINX) -b html --doctree-dir build/docs docs site
	@echo "open site/index.html"

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "storyreel needs Python 3.11 or newer; name one with make PYTHON=..."; exit 1; }
	@echo "setting up $(VENV): once, about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[voice]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "setting up what the tests need: once"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.ready-docs: $(VENV)/.ready
	@echo "setting up what the documentation needs: once"
	@$(PIP) --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
