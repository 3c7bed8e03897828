# `make demo` and `make test` each do all set-up on a fresh Debian 12, as root: system packages by
# vagrant/provision.sh, Python packages in .venv. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCRIPTS := vagrant/provision.sh vagrant/demo.sh .ci/run

INIT := lxcpy/init
INIT_FLAGS := -Os -static -nostdlib -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -Wall -Wextra \
	-Wl,-n -Wl,-z,noseparate-code -Wl,--build-id=none -s
CC_X86_64 ?= gcc
CC_AARCH64 ?= aarch64-linux-gnu-gcc

.PHONY: help demo test lint unit integration bench init clean packages-run packages-test
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo 'make demo         a guided tour with real containers, in a place of its own (root)'
	@echo 'make test         lint, unit and integration tests (root)'
	@echo 'make lint         ruff, mypy, shellcheck'
	@echo 'make unit         unit tests: no root, no programs'
	@echo 'make integration  tests with real LXC containers (root)'
	@echo 'make bench        where the milliseconds go (root)'
	@echo 'make init         rebuild lxcpy-init from init.c, for both machines'
	@echo 'make clean        remove what these targets made, and .venv'

demo: packages-run $(VENV)/run.stamp
	vagrant/demo.sh

test: packages-test $(VENV)/dev.stamp
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory integration
	@echo 'all tests passed'

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	shellcheck $(SCRIPTS)

unit: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests/unit

integration: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests/integration

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench

# The same bytes on every Debian 12: the results are part of the repository.
init:
	$(CC_X86_64) $(INIT_FLAGS) -fcf-protection=none -o $(INIT)/lxcpy-init-x86_64 $(INIT)/init.c
	$(CC_AARCH64) $(INIT_FLAGS) -o $(INIT)/lxcpy-init-aarch64 $(INIT)/init.c

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find lxcpy tests -name __pycache__ -type d -prune -exec rm -rf {} +

packages-run packages-test:
	vagrant/provision.sh $(@:packages-%=%)

# A venv that is there is kept: only what pyproject.toml asks for is added.
$(VENV)/run.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/run.stamp $@
