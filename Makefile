# All targets work in .venv at the root and install what they need by themselves.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= out/demo
# One cluster for all of them, in the order of their files.
E2E := $(BIN)/python -m pytest tests/e2e -p no:randomly -p no:xdist --durations 20

.PHONY: demo test e2e e2e-all live check bench bench-operator bench-shop shop lock clean help

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

demo: .venv/core.stamp ## simulate the sale day under five arms; summary, timeline and report in out/demo
	$(BIN)/foresail demo --out $(OUT)

test: check wheel-test live ## lint, types, import contracts, wheel imported elsewhere, all tests, the fast end-to-end ones last
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore=tests/e2e
	$(E2E) -m "not slow"

e2e: live ## the fast end-to-end tests: both charts on a real cluster, load and faults (needs root, cgroup version 1, Go)
	$(E2E) -m "not slow"

e2e-all: live ## every end-to-end test
	$(E2E)

live: .venv/dev.stamp ## install, compile and build what tests need beside Python, as far as this machine can have it
	sh tests/prepare_live_tests.sh

check: .venv/dev.stamp ## lint, format, types and import contracts only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: wheel-test
wheel-test: .venv/dev.stamp
	rm -rf dist && $(BIN)/uv build --quiet --wheel --out-dir dist .
	sh tests/wheel_works_elsewhere.sh $(CURDIR)

bench: .venv/dev.stamp ## measure the figures of docs/benchmarks.md on this machine
	$(BIN)/foresail bench all

# Locks hold for every platform, but load.txt: the load generator runs in an image of its own, so it is for Linux alone.
lock: .venv/uv.stamp ## lock every requirement with hashes, without index addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml -o requirements/core.txt $(LOCK_FLAGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra dev --extra dask --extra train --extra operator --extra shop --extra chaos -c requirements/core.txt pyproject.toml -o requirements/dev.txt $(LOCK_FLAGS)
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['shop'], sep='\n')" \
		| $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/dev.txt - -o requirements/shop.txt $(LOCK_FLAGS)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra operator $(foreach name,numba llvmlite joblib jinja2 markupsafe scipy,--no-emit-package $(name)) \
		-c requirements/dev.txt pyproject.toml -o requirements/operator.txt $(LOCK_FLAGS)
	$(BIN)/python -c "import re, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
		print(*(d for d in p['dependencies'] if re.split('[<>=]', d)[0] in 'numpy pydantic pyyaml rich scipy typer'.split()), *p['optional-dependencies']['chaos'], sep='\n')" \
		| $(BIN)/uv pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/dev.txt - -o requirements/load.txt $(LOCK_FLAGS)
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header - -o requirements/uv.txt $(LOCK_FLAGS)

bench-operator: .venv/dev.stamp ## measure the operator against stand-ins: a tick, queries, memory, CPU, requests, image (10 min)
	$(BIN)/foresail bench-operator

bench-shop: .venv/dev.stamp ## start the demo shop and measure it: memory, capacity, failover, orders under 100 kills (25 min)
	sh demo_shop/local/install-stores.sh
	$(BIN)/foresail bench-shop

shop: .venv/shop.stamp ## the demo shop with its stores on this machine, until Ctrl-C (SHOP_OPTIONS="--faults --zones 2")
	sh demo_shop/local/install-stores.sh
	$(BIN)/python -m demo_shop.local $(SHOP_OPTIONS)

clean: ## remove what the targets made
	rm -rf .venv dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/uv.stamp: requirements/uv.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	touch $@

.venv/core.stamp: .venv/uv.stamp requirements/core.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/core.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

.venv/shop.stamp: .venv/uv.stamp requirements/shop.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/shop.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

.venv/dev.stamp: .venv/core.stamp requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	touch $@

.PHONY: cluster-up cluster-down
cluster-up: .venv/dev.stamp ## a real Kubernetes of three nodes in two zones on this machine; builds it the first time (needs root)
	$(BIN)/foresail cluster build
	$(BIN)/foresail cluster up $(CLUSTER_OPTIONS)

cluster-down: .venv/dev.stamp ## take it away; nothing of it is left
	$(BIN)/foresail cluster down

.PHONY: demo-cluster
demo-cluster: .venv/dev.stamp ## a real cluster with the shop and Foresail in Enforce, a declared sale, and where to look (needs root; make cluster-down ends it)
	$(BIN)/foresail cluster build
	PYTHON=$(CURDIR)/$(BIN)/python sh charts/build-tools.sh
	$(BIN)/foresail demo-cluster $(DEMO_OPTIONS)

.PHONY: charts
charts: .venv/dev.stamp ## lint both charts, render every profile of values, hold them against Kubernetes's schemas and an API server (needs Go once)
	PYTHON=$(CURDIR)/$(BIN)/python sh charts/build-tools.sh
	$(BIN)/foresail crd | diff charts/foresail/files/crd.yaml - || { echo "charts/foresail/files/crd.yaml is old: foresail crd > it" >&2; exit 1; }
	$(BIN)/python -m pytest tests/charts
