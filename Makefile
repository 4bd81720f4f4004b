# Everything a fresh machine needs is made by these targets; Python >= 3.11 and make are enough to begin.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONFIG ?= config/sandbox.yaml
TOOLS := iproute2 util-linux procps curl systemd prometheus

.PHONY: install run test conformance lint docs mutants fuzz adversity image quickstart bench tools lock sbom clean

install: $(STAMP)

$(STAMP): requirements-dev.lock setup.cfg
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 was found; install one or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV) (once, about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP)
	@exec $(BIN)/telewarden run -c $(CONFIG)

# Two at a time: most tests wait for a process, a socket or a disk.
test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(PYTEST_ARGS)

# Stock Telethon's suite, and two MTProto clients that nobody here wrote. One is from npm, so it stays out of make test.
# Pointed at another server (docs/conformance.md) it skips what that can't show.
MTCUTE := tests/conformance/mtcute
conformance: $(STAMP) $(MTCUTE)/node_modules/.package-lock.json
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(if $(TELEWARDEN_CONFORMANCE_ADDRESS),,-p tests.no_skips) -m "" tests/conformance $(PYTEST_ARGS)

$(MTCUTE)/node_modules/.package-lock.json: $(MTCUTE)/package-lock.json
	@command -v npm >/dev/null 2>&1 || { echo "make: npm is missing; on Debian: apt-get install nodejs npm" >&2; exit 1; }
	@cd $(MTCUTE) && npm ci --silent --no-audit --no-fund
	@touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@command -v systemd-analyze >/dev/null 2>&1 || { echo "make lint: systemd-analyze is missing, the unit isn't looked at: make tools" >&2; exit 0; }; \
	mkdir -p build && sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' systemd/telewarden.service > build/telewarden.service && \
	said=$$(systemd-analyze verify build/telewarden.service 2>&1) && test -z "$$said" || { echo "$$said" >&2; exit 1; }; \
	systemd-analyze security --offline=true --threshold=12 --no-pager build/telewarden.service >/dev/null

# The pages of docs/ that are made from the code.
docs: $(STAMP)
	@$(BIN)/python -m tests.generated

# Takes out one cure at a time (tests/mutants/) and shows that its test goes red: make mutants MUTANTS_ARGS=trap_04
mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants.run $(MUTANTS_ARGS)

# The properties and state machines of the runtime, the sandbox's parsers, and the API for each role, far beyond make test.
FUZZ_EXAMPLES := 10000
fuzz: $(STAMP)
	@TELEWARDEN_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --timeout 0 --durations 0 \
		tests/actors/runtime/test_mailbox_machine.py tests/actors/runtime/test_restart_machine.py \
		tests/actors/runtime/test_restart.py tests/sandbox/test_parsers.py tests/sandbox/test_differences.py \
		tests/daemon/test_api.py $(PYTEST_ARGS)

# 1,000 storms, 200 kills, 200 races, ten minutes of secrets and ten restarts, some two hours; progress on stderr.
# One seed alone: python -m tests.adversity.storms --seeds 17
adversity: $(STAMP)
	@failed=0; \
	$(BIN)/python -m tests.adversity.storms --seeds 0-999 --out bench/results/storms.json || failed=1; \
	$(BIN)/python -m tests.adversity.kills --kills 200 --out bench/results/kills.json || failed=1; \
	$(BIN)/python -m tests.adversity.races --races 200 --out bench/results/races.json || failed=1; \
	$(BIN)/python -m tests.adversity.secrets --minutes 10 --out bench/results/secrets.json || failed=1; \
	$(BIN)/python -m tests.adversity.restarts --out bench/results/restarts.json || failed=1; \
	exit $$failed

# The image as far as that goes without an engine: its steps replayed in a clean folder. It is linted by make lint.
image: $(STAMP)
	$(BIN)/python -m tests.image

# README's quick start for one's own account, in fresh clones: as this user and, for root, as an ordinary one too.
quickstart: $(STAMP)
	$(BIN)/python -m tests.quickstart --fresh
	@test "$$(id -u)" != 0 || $(BIN)/python -m tests.quickstart --fresh --ordinary

bench: $(STAMP)
	$(BIN)/python bench/collect.py --out bench/results/collect.json
	$(BIN)/python bench/live.py --out bench/results/live.json
	$(BIN)/python bench/accounts.py --out bench/results/accounts.json
	$(BIN)/python bench/actors.py --out bench/results/actors.json
	$(BIN)/python bench/sandbox.py --out bench/results/sandbox.json

# What the tests use beyond Python; Debian's names. RUNLEVEL=1 keeps what is installed from being started. Elsewhere a test that lacks its tool is skipped with the reason.
tools:
	@command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 || { \
		echo "make tools: only Debian and its relatives are known here; install what these hold by hand: $(TOOLS)" >&2; exit 1; }; \
	missing=; for tool in $(TOOLS); do \
		dpkg-query -W -f '$${Status}' $$tool 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$tool"; done; \
	test -n "$$missing" || exit 0; \
	as_root=; if [ "$$(id -u)" != 0 ]; then \
		if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then as_root=sudo; \
		else echo "make tools: only root can install what is missing; as root: apt-get install$$missing" >&2; exit 1; fi; fi; \
	$$as_root apt-get update -q && \
	$$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $$missing

# The locks are made anew only on purpose: the versions and hashes in them are what was tested.
lock: $(STAMP)
	$(BIN)/uv pip compile setup.cfg --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -q -o requirements.lock
	$(BIN)/uv pip compile setup.cfg --extra dev --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -q -o requirements-dev.lock
	$(MAKE) sbom

# What the daemon is made of, with licences: of an environment that holds what requirements.lock says and nothing else.
sbom: $(STAMP)
	@rm -rf build/sbom && $(PYTHON) -m venv --without-pip build/sbom
	@$(BIN)/python -m pip --python build/sbom/bin/python install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock
	$(BIN)/cyclonedx-py environment build/sbom/bin/python --output-reproducible -o sbom.cdx.json


clean:
	rm -rf $(VENV) $(MTCUTE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
