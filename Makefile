# Everything a newcomer needs: `make demo` and `make test` do all of their own set-up.
# Needed beforehand: make, and Python 3.11 or later with its venv module.

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-pg soak check lint types imports tidy mpy bench sim vm desk shots docs deb hooks lock clean

PYTHON ?= python3
SCENARIO ?= simulator/scenarios/lunch_outage.toml
SEED ?=
PYTEST_ARGS ?=
# One worker more than cores: many tests wait for a browser, a port or a clock of their own. "-n 0" runs
# them one after the other.
WORKERS ?= -n $(shell expr $$(nproc) + 1) --maxprocesses 8 --dist worksteal
BENCH ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
HASHED := --quiet --require-hashes

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort \
		| while IFS=: read -r name text; do printf '  make %-8s %s\n' "$$name" "$${text#*## }"; done
	@echo
	@echo '  PYTEST_ARGS="-k purse" for test; SCENARIO=file SEED=n for sim and vm; BENCH=name for bench;'
	@echo '  PYTHON=python3.12 for setup'

# ---------------------------------------------------------------- what each target stands on

setup: .venv/.ready-test ## create .venv with everything to run and to test, once

.venv/.python:
	@command -v $(PYTHON) >/dev/null || { \
		echo 'No $(PYTHON) here. On Debian or Ubuntu: apt-get install python3 python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) --version) is too old: this needs 3.11 or later." >&2; \
		echo 'Name another one so: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo 'Python has no venv module. On Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up .venv (once, about half a minute) ...'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.ready: .venv/.python requirements/lock.txt pyproject.toml
	@$(PIP) install $(HASHED) -r requirements/lock.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.ready-test: .venv/.ready requirements/fuzz.txt requirements/browser.txt requirements/device.txt
	@$(PIP) install $(HASHED) -r requirements/fuzz.txt
	@$(PIP) install $(HASHED) -r requirements/device.txt
	@$(PIP) install $(HASHED) -r requirements/browser.txt
	@touch $@

.venv/.ready-check: .venv/.ready requirements/check.txt
	@echo 'Fetching the checkers (once) ...'
	@$(PIP) install $(HASHED) -r requirements/check.txt
	@touch $@

# MicroPython's stubs stay outside .venv, where they would shadow CPython's own modules.
.typings/.ready: requirements/stubs.txt | .venv/.ready
	@rm -rf .typings
	@$(PIP) install $(HASHED) --no-deps --target .typings -r requirements/stubs.txt
	@touch $@

# Rival drivers, each in a folder of its own: two of them are imported by the same name. Their
# dependencies need a compiler and a Raspberry Pi and stay out.
.bench/.ready: requirements/bench.txt | .venv/.ready
	@rm -rf .bench
	@$(PIP) download $(HASHED) --no-deps --only-binary :all: --dest .bench/wheels -r requirements/bench.txt
	@for wheel in .bench/wheels/*.whl; do \
		name=$${wheel##*/}; name=$${name%%-*}; \
		$(PIP) install --quiet --no-deps --no-index --target ".bench/$$name" "$$wheel" || exit 1; \
	done
	@touch $@

# Rival clients for MicroPython: archives that pip checks and unpacks but cannot install, for they
# have no build files. They are taken as unpacked.
.bench/unpacked/.ready: requirements/umqtt.txt | .bench/.ready
	@rm -rf $(@D) && mkdir $(@D) && cd $(@D) && while read -r line; do \
		printf '%s\n' "$$line" > one.txt; name=$${line%%==*}; \
		TMPDIR=$$PWD ../../$(PIP) download $(HASHED) --no-deps --no-clean -r one.txt > said.txt 2>&1; \
		folder="../$$(printf %s "$$name" | tr - _)"; rm -rf "$$folder"; mkdir "$$folder" && \
		mv pip-download-*/*/umqtt "$$folder/" || { cat said.txt; exit 1; }; \
		rm -rf pip-*; \
	done < ../../requirements/umqtt.txt
	@touch $@

# ThingsBoard's gateway, a program that runs by itself; the constraint pins what one of its
# dependencies is built with as well.
.bench/gateway/.ready: requirements/gateway.txt | .bench/.ready
	@$(BIN)/python -m venv --clear $(@D)
	@PIP_CONSTRAINT=requirements/gateway.txt $(@D)/bin/python -m pip --disable-pip-version-check \
		--no-input install $(HASHED) -r requirements/gateway.txt
	@touch $@

# ---------------------------------------------------------------- what people run

demo: .venv/.ready ## play a lunch with a network cut and a mains cut, and show that nothing is lost
	@$(BIN)/onecard demo

test: .venv/.ready-test ## run all tests
	@$(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

test-pg: .venv/.ready ## run the ledger's tests on PostgreSQL (Debian: apt-get install postgresql)
	@ONECARD_PG=1 $(BIN)/python -m pytest -n 0 -k postgresql $(PYTEST_ARGS) tests/ledger

soak: .venv/.ready-test ## draw new seeds against journal, POS and HTTP API for ONECARD_SOAK_S seconds each
	@$(BIN)/python -m pytest -m soak -s $(PYTEST_ARGS)

sim: .venv/.ready ## run a scenario: make sim SCENARIO=file.toml SEED=7
	@$(BIN)/onecard sim run $(SCENARIO) $(if $(SEED),--seed $(SEED))

vm: .venv/.ready ## run the same scenario with the firmware in a real MicroPython
	@$(BIN)/onecard sim run $(SCENARIO) --home vm $(if $(SEED),--seed $(SEED))

desk: .venv/.ready ## a campus in the browser: pull its plugs, lose its cards
	@$(BIN)/onecard sim desk

shots: .venv/.ready-test ## take the pictures of the README anew (Debian: apt-get install chromium unifont fonts-noto-cjk)
	@ONECARD_SHOTS=1 $(BIN)/python -m pytest -n 0 -q -s -k "five or micropython or wall_of" tests/desk/test_page.py tests/desk/test_device_page.py tests/desk/test_wall.py
	@ONECARD_SHOTS=1 $(BIN)/python -m pytest -n 0 -q -k persona tests/ledger/console

bench: .venv/.ready .bench/.ready .bench/unpacked/.ready .bench/gateway/.ready ## measure ours beside others: make bench BENCH=name
	@$(BIN)/onecard bench $(BENCH)

deb: .venv/.ready ## make the Debian packages of agent and ledger, dist/onecard-*.deb
	@$(BIN)/python -m tools.make_deb --out dist

# ---------------------------------------------------------------- what CI runs besides the tests

check: lint imports tidy mpy types ## all checks below, under a minute

lint: .venv/.ready-check ## ruff: mistakes and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

imports: .venv/.ready ## imports point down only
	@$(BIN)/python -m tools.check_imports

tidy: .venv/.ready ## lengths, leftovers, floats near money
	@$(BIN)/python -m tools.tidy

mpy: .venv/.ready ## everything on a reader compiles for the ESP32-S3
	@$(BIN)/python -m tools.compile_firmware

types: .venv/.ready-check .typings/.ready ## pyright: CPython rooms, and firmware with MicroPython's stubs
	@$(BIN)/pyright
	@$(BIN)/pyright --project typings/firmware.json

docs: .venv/.ready ## every command that the documents name exists
	@$(BIN)/python -m pytest -q tests/project/test_docs.py

# ---------------------------------------------------------------- for those who change the project

hooks: .venv/.ready-check ## run the quick checks before every commit
	@$(BIN)/pre-commit install

LOCK := --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock: ## resolve requirements/*.txt anew (needs uv; UPGRADE=1 takes newer versions)
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra sim --extra dev -o requirements/lock.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra fuzz -c requirements/lock.txt -o requirements/fuzz.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra browser -c requirements/lock.txt -o requirements/browser.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra device -c requirements/lock.txt -o requirements/device.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --extra check -c requirements/lock.txt -o requirements/check.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) requirements/agent.in -c requirements/lock.txt -o requirements/agent.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) requirements/ledger.in -c requirements/lock.txt -o requirements/ledger.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) requirements/stubs.in -o requirements/stubs.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) --no-deps requirements/bench.in -o requirements/bench.txt
	uv pip compile $(LOCK) $(if $(UPGRADE),--upgrade) requirements/gateway.in -o requirements/gateway.txt

clean: ## remove everything that make made
	@rm -rf .venv .typings .bench .hypothesis .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
