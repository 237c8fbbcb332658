# Everything here needs Python 3.11 or newer, make and git; the rest is installed into $(VENV) by the lock files.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CANDIDATES := python3.11 python3.12 python3.13 python3 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PYTEST_ARGS ?=
RUN := var/run

.PHONY: help run test mutants bench soak lint proto lock
.DEFAULT_GOAL := help

help: ## What there is.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## A sidecar on this machine, with a store of demo tenants.
	@mkdir -p $(RUN)
	@$(BIN)/python -m sidecar demo seed --store $(RUN)/store.db
	@echo "$$TRY"
	@exec $(BIN)/python -m sidecar serve --store $(RUN)/store.db --policies policies --state-dir $(RUN)/state \
		--grpc-socket $(RUN)/deskgate.sock --log-format console

test: $(READY) ## All tests, three at a time: some wait for processes, or for time to pass.
	$(BIN)/python -m pytest -n 3 --dist worksteal $(PYTEST_ARGS)

soak: $(READY) ## The long ones: the engine against the oracle, and kill -9, many times over.
	DESKGATE_SOAK=1 $(BIN)/python -m pytest -o timeout=7200 tests/property tests/faults $(PYTEST_ARGS)

mutants: $(READY) ## Whether the tests notice a core that is wrong: 30 mutants of it, by a fixed seed.
	$(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

bench: $(READY) ## Benchmarks: a table and JSON, held to benchmarks/thresholds.json.
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lint: $(READY) ## Style, types, and generated code against its sources.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python proto/generate.py --check
	$(BIN)/hadolint Dockerfile
	@if [ -x $(BIN)/buf ]; then echo "$(BIN)/buf lint proto"; $(BIN)/buf lint proto; \
		else echo "buf is not installed: its lint was left out"; fi

proto: $(READY) ## Generates sidecar/_gen from proto/.
	$(BIN)/python proto/generate.py

$(READY): requirements.lock requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: none of $(CANDIDATES) is" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Newest versions that pyproject.toml allows, with hashes; nothing of this machine gets into the files.
COMPILE = .make/lock/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

lock: ## Renews the lock files.
	$(PYTHON) -m venv .make/lock
	.make/lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --only-build-deps --build-deps-for wheel --constraint requirements-dev.lock \
		--output-file requirements-build.lock pyproject.toml

define TRY

Try, in another terminal:

  $(BIN)/deskgate check acme booking.create shared_desk
  $(BIN)/deskgate explain acme booking.create shared_desk --at 2027-01-01
  $(BIN)/deskgate tenant list --store $(RUN)/store.db
  $(BIN)/deskgate order history acme --store $(RUN)/store.db
  $(BIN)/deskgate forecast --days 30 --store $(RUN)/store.db
  curl -s http://127.0.0.1:9291/metrics | grep deskgate_decisions
  curl -s http://127.0.0.1:9291/statusz?format=json
  $(BIN)/deskgate check acme booking.create shared_desk --target unix:$(RUN)/deskgate.sock
  grpcurl -plaintext -d '{"tenant_id": "acme", "action": "booking.create", "resource": {"kind": "shared_desk"}}' \
    127.0.0.1:9290 desking.entitlements.v1.AuthorizationService/Check

Edit policies/desking.yaml and save: the next check follows it. A mistake changes nothing, and /statusz says what it is.
Ctrl-C stops the sidecar.

endef
export TRY
