# Muster's two commands are `make drill` and `make test`; `make help` lists the others.
# Needs Python 3.11 or newer and make; everything else is installed from PyPI and npm, into .venv and
# services/console/web.

PYTHON ?= python3
BROKERS ?= 3
ARGS ?=

UV_VERSION := 0.13.9
BIN := .venv/bin
SYNCED := .venv/.synced
LONGEST := 400
# Two at a time: most tests wait for timers, not for a processor. A file's tests stay together, as do its servers.
PARALLEL := --numprocesses=2 --dist=loadfile
# Plays a drill against the clock and holds every decision against the simulator's: nothing may run beside it.
ALONE := tests/e2e/test_differential.py
COVERAGE := --cov=services/domain --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered

# The interpreter that make was given, never one that uv would fetch.
export UV_PYTHON := $(BIN)/python
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV
# Without their bytecode every process compiles its modules again, which doubles what most tests and commands take.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup drill test up check lint format types layers lock schemas plans lengths kafka test-kafka faults guard test-browser fuzz screens audit sbom clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

drill: setup ## Run the shipped chemical-release drill on embedded servers and print its report
	@$(BIN)/muster drill run playbooks/drills/chemical-release.yaml $(ARGS)

test: setup ## Run the tests, but for the long ones and those that need Apache Kafka or a browser; ARGS="-k name" narrows it
	@$(BIN)/pytest -m "not kafka and not long and not browser" $(PARALLEL) $(if $(ARGS),$(ARGS),$(COVERAGE))

up: setup ## Start everything on this machine until Ctrl-C
	@$(BIN)/muster up $(ARGS)

check: lint format types layers lock schemas plans lengths ## Check code, contracts and plans; `make -k check` goes on after a finding

lint: setup
	@$(BIN)/ruff check

format: setup
	@$(BIN)/ruff format --check

types: setup
	@$(BIN)/mypy

layers: setup
	@$(BIN)/lint-imports

lock: setup
	@$(BIN)/uv lock --check

schemas: setup
	@$(BIN)/python -m schemas.generate --check

plans: setup
	@$(BIN)/python -m services.playbooks.check

lengths:
	@find schemas services -name '*.py' -exec awk \
	  'FNR == $(LONGEST) + 1 {print FILENAME ": has more than $(LONGEST) lines"; long = 1} END {exit long}' {} +

kafka: setup ## Start BROKERS (3) Apache Kafka brokers on 127.0.0.1:19092 until Ctrl-C; needs Java 17 and Maven
	@$(BIN)/python -m services.platform.embedded.apache --brokers $(BROKERS) --base-port 19092

test-kafka: setup ## Run the tests that need Apache Kafka (Java 17 and Maven), and the long ones
	@$(BIN)/pytest -m "kafka or long" $(PARALLEL) $(if $(ARGS),$(ARGS),--ignore=$(ALONE))
	$(if $(ARGS),,@$(BIN)/pytest $(ALONE))

faults: setup ## Do everything that can go wrong to live services and judge what came of it; ARGS="--subset", "--mutations"
	@$(BIN)/python -m tests.faults $(ARGS)

guard: setup ## Hold Muster's speed, as a share of the floor's in the same run, against the shares on file (a minute)
	@$(BIN)/muster bench --guard tests/bench/ratios.json

test-browser: setup ## Run the tests that need a browser (Debian's chromium)
	@$(BIN)/pytest -m browser $(PARALLEL) $(ARGS)

fuzz: setup ## Give every way in a million bad inputs (9 minutes of a processor); ARGS="--only cap --inputs 50000" narrows it
	@$(BIN)/uv sync --frozen --quiet --group fuzz
	@$(BIN)/python -m tests.fuzz $(ARGS)

screens: setup ## Take a picture of every page of the console, into docs/screens (Debian's chromium)
	@$(BIN)/python -m tests.browser.screens $(ARGS)

audit: setup ## Ask what is known to be bad about the locked packages (exit code 3: the service could not be asked)
	@$(BIN)/python -m tests.supply audit

sbom: setup ## Write what Muster is made of as CycloneDX, into .muster/sbom
	@$(BIN)/python -m tests.supply sbom

setup: $(SYNCED)

$(SYNCED): pyproject.toml uv.lock Makefile services/console/web/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Muster needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv or ensurepip: install them (Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d ' ' -f 2)" = "$(UV_VERSION)" || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync --frozen --quiet
	@$(BIN)/python -m services.console.assets
	@touch $@

clean: ## Remove what make set up; the records under .muster are kept
	rm -rf .venv .venv-audit services/console/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .muster/kafka-*
