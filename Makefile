# make demo · make test · make check. They make .venv themselves and install what they need.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Tests that run at the same time: most wait for a server, a browser or a clock.
JOBS ?= 2
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help venv demo check lint format test servers fault fuzz soak bench credibility lock clean

help:
	@echo "make demo     the whole product on this machine (ARGS='--patients 40')"
	@echo "make check    format, lint, types, import layers, unit and golden tests: under a minute"
	@echo "make test     everything, with real servers and a browser"
	@echo "make servers  find, install or build the servers that the tests start"
	@echo "make fault    every fault, 100 kills      make soak   the long form of it"
	@echo "make fuzz     a million inputs for each decoder"
	@echo "make bench    throughput and latency on this machine"
	@echo "make credibility  the reports of docs/credibility, from recordings in ../shared/data"
	@echo "make format   format the code             make lock   renew requirements.lock"
	@echo "make clean    remove .venv and caches (not the servers in your cache folder)"

venv:
	@scripts/venv.sh dev

demo:
	@scripts/venv.sh run
	@$(BIN)/twin demo $(ARGS)

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/pytest -m "not slow" tests/unit $(wildcard tests/golden) $(ARGS)

test: lint servers
	$(BIN)/python scripts/run_tests.py --numprocesses $(JOBS) --dist loadfile $(ARGS)

servers: venv
	@scripts/test_machine.sh

fault: venv servers
	@mkdir -p build && rm -f build/faults.jsonl
	TWIN_FAULT_KILLS=$${TWIN_FAULT_KILLS:-100} TWIN_FAULT_DEVICES=$${TWIN_FAULT_DEVICES:-10000} \
	TWIN_FAULT_REPORT=$(CURDIR)/build/faults.jsonl $(BIN)/pytest -m fault --timeout 3600 $(ARGS)
	$(BIN)/python -m tests.support.reliability

soak: venv servers
	@mkdir -p build && rm -f build/soak.jsonl
	TWIN_FAULT_KILLS=$${TWIN_FAULT_KILLS:-200} TWIN_FAULT_DEVICES=$${TWIN_FAULT_DEVICES:-10000} \
	TWIN_FAULT_REPORT=$(CURDIR)/build/soak.jsonl $(BIN)/pytest -m fault --timeout 86400 $(ARGS)
	$(BIN)/python -m tests.support.reliability build/soak.jsonl soak

fuzz: venv
	$(BIN)/pytest -m fuzz --timeout 86400
	$(BIN)/python -m tests.support.fuzzing --inputs $${TWIN_FUZZ_INPUTS:-1000000} $(ARGS)

bench: venv
	$(BIN)/twin bench $(ARGS)

credibility: venv
	$(BIN)/python scripts/credibility.py $(ARGS)

format: venv
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

lock:
	scripts/lock.sh

clean:
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf build dist *.egg-info test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
