.DEFAULT_GOAL := help
.PHONY: help browser setup page page-if-npm demo test test-thorough quick test-next laws soak fuzz api-fuzz chaos check bench clean

PYTHON ?= python3
# Processes that run tests side by side, each with its own Kafka and Postgres: they wait more than they compute.
WORKERS ?= 4
BIN := .venv/bin
# Newer Pythons, newest first, as commands and where pyenv and uv keep them; the first that works is taken.
NEXT ?= $(foreach v,3.14 3.13 3.12,python$(v) $(wildcard $(HOME)/.pyenv/versions/$(v).*/bin/python$(v)) \
	$(wildcard $(HOME)/.local/share/uv/python/cpython-$(v).*/bin/python$(v)))
QUICK := -m 'not real and not kill and not slow'
# Newer than pyproject.toml: what it asks for is installed.
READY := .venv/.ready
# In an environment of its own: it takes an older jsonschema-rs than the package does.
SCHEMATHESIS := .venv-fuzz/bin/schemathesis
PAGE := stream_durable/api/page/index.html
PACKAGES := dashboard/node_modules/.ready

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) page-if-npm ## install everything into .venv, the jars of Kafka into the user's cache, and build the page

page: $(PAGE) ## build the dashboard, which the API serves

browser: $(READY) page ## drive the page in a browser as the tests do, in more widths; pictures are in .artefacts/page
	@BROWSER=1 $(BIN)/python -m pytest tests/page

demo: $(READY) ## run the demonstration on a real Kafka and a real Postgres
	@$(BIN)/stream-durable demo

test: $(READY) $(SCHEMATHESIS) page-if-npm ## run all tests, those with a real Kafka and Postgres too
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --max-worker-restart 0
	@PYTHONPATH=tests $(BIN)/python -m api_fuzz $(SCHEMATHESIS) --phases fuzzing --examples 2

test-thorough: export THOROUGH = 1
test-thorough: test ## run all tests with the larger numbers of tests/budget.py: more seeds, examples, runs and records

quick: $(READY) ## run the tests that need no services and no seeds, in a minute
	@$(BIN)/python -m pytest $(QUICK)

test-next: ## run the quick tests with the newest Python that is installed, if it is newer than 3.11
	@for name in $(NEXT); do \
		if $$name -c 'import venv, ensurepip' 2>/dev/null; then next=$$name; break; fi; \
	done; \
	if [ -z "$$next" ]; then echo "No Python newer than 3.11 is installed; NEXT=/path/to/python names one."; exit 0; fi; \
	test -x .venv-next/bin/pip || $$next -m venv --clear .venv-next; \
	.venv-next/bin/python -m pip install --quiet --upgrade 'pip>=25.1' && \
	.venv-next/bin/python -m pip install --quiet --editable '.[local]' --group dev && \
	.venv-next/bin/python --version && \
	.venv-next/bin/python -m pytest $(QUICK)

laws: $(READY) ## try the laws of the fold on new examples
	@$(BIN)/python -m pytest --hypothesis-profile default tests/property

soak: $(READY) ## simulate many seeds: make soak SEEDS=20000 FIRST=0
	@$(BIN)/python -m stream_durable.simulation --seeds $(or $(SEEDS),10000) --first $(or $(FIRST),0)

fuzz: $(READY) ## write damaged records to every topic: make fuzz RECORDS=1000000 SEED=7
	@PYTHONPATH=tests $(BIN)/python -m fuzz --records $(or $(RECORDS),20000) $(if $(SEED),--seed $(SEED))

api-fuzz: $(READY) $(SCHEMATHESIS) ## ask every operation of the HTTP API with drawn values, by Schemathesis: make api-fuzz EXAMPLES=50
	@PYTHONPATH=tests $(BIN)/python -m api_fuzz $(SCHEMATHESIS) \
		$(if $(EXAMPLES),--examples $(EXAMPLES) --seconds 3600) $(if $(SEED),--seed $(SEED))

$(SCHEMATHESIS): | $(READY)
	@$(BIN)/python -m venv --clear .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet 'schemathesis>=4.32,<5'

chaos: $(READY) ## break everything at once, again and again: make chaos MINUTES=60 SEED=7
	@PYTHONPATH=tests $(BIN)/python -u -m chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

check: $(READY) ## lint, format, types and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## measure throughput, latency and CPU
	@$(BIN)/stream-durable bench all --repeat 3

clean: ## remove what was installed and built here; the user's cache stays
	rm -rf dashboard/node_modules stream_durable/api/page .artefacts
	rm -rf .venv .venv-next .venv-fuzz .durable dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): pyproject.toml
	@$(MAKE) --no-print-directory java-and-maven
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[local]' --group dev
	@$(BIN)/python -m stream_durable.local prepare
	@touch $@

page-if-npm:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory page; \
	else echo "The page is not built: it needs Node 20.19 or newer with npm (apt-get install nodejs npm, or nodejs.org)."; fi

$(PAGE): $(PACKAGES) dashboard/index.html dashboard/vite.config.ts $(shell find dashboard/src dashboard/public -type f)
	@cd dashboard && npm run --silent build -- --logLevel warn

$(PACKAGES): dashboard/package-lock.json
	@cd dashboard && npm ci --no-audit --no-fund --loglevel error
	@touch $@

# Kafka needs both. As root on Debian, in a container mostly, we install them; Debian releases
# without Java 17 have a newer one as their default. Elsewhere a person has to decide.
.PHONY: java-and-maven
java-and-maven:
	@command -v java >/dev/null && command -v mvn >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Java and Maven, which the local Kafka needs"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq; \
		apt-get install -qq -y --no-install-recommends openjdk-17-jre-headless maven >/dev/null || \
		apt-get install -qq -y --no-install-recommends default-jre-headless maven >/dev/null; \
	else \
		echo "The local Kafka needs Java 17 and Maven: apt-get install openjdk-17-jre-headless maven" >&2; \
		exit 1; \
	fi
