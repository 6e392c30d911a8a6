.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
SERVICES := backend frontend mlflow
# Its imports are three times slower when nothing may be compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build and start the stack in Docker; ARGS=--detach in the background
	@./doctor engine compose-ports
	docker compose up --build $(ARGS)

.PHONY: monitoring
monitoring: ## Start Prometheus and Grafana beside the stack; what cannot be built is left out
	@./doctor engine
	docker compose up --build --detach prometheus
	@if docker compose build grafana; then docker compose up --detach grafana; else \
	  echo "Grafana is missing: its image could not be built, see above. Prometheus runs. Run make monitoring again once $$(sed -n 's/^FROM //p' deploy/grafana/Dockerfile) can be pulled." >&2; \
	fi

.PHONY: local
local: $(VENV)/installed ## Start the stack without Docker; Ctrl-C stops it
	@./doctor ports
	@PATH="$(BIN):$$PATH" honcho start

.PHONY: doctor
doctor: ## Look whether this machine has what the stack needs, and say what to do
	@./doctor

.PHONY: train
train: ## Train, log and publish a model in the running stack; ARGS="--data data/table.csv --target label"
	@if [ -n "$$(docker compose ps --quiet --status running mlflow 2>/dev/null)" ]; then \
	  docker compose exec $$(test -t 0 || echo -T) mlflow python3 /app/metrics.py $(ARGS); \
	else \
	  $(MAKE) --silent $(VENV)/installed && \
	  PATH="$(BIN):$$PATH" honcho run sh -c "$$RUN" mlflow/metrics.py; \
	fi

.PHONY: score
score: ## Score a file or a folder with a published model; ARGS="data/table.csv data/scored/table.csv"
	@if [ -n "$$(docker compose ps --quiet --status running backend 2>/dev/null)" ]; then \
	  docker compose run --rm $$(test -t 0 || echo -T) score $(ARGS); \
	else \
	  $(MAKE) --silent $(VENV)/installed && \
	  PATH="$(BIN):$$PATH" honcho run sh -c "$$RUN" backend/scoring.py; \
	fi

define RUN
export MODELS_DIR="$$(realpath "$${MODELS_DIR:-models}")"
export MODEL_SIGNING_KEY="$${MODEL_SIGNING_KEY:-keys/private/model_signing_key.pem}"
export MODEL_PUBLIC_KEY="$${MODEL_PUBLIC_KEY:-keys/public/model_public_key.pem}"
export MLFLOW_TRACKING_URI="$${MLFLOW_TRACKING_URI:-http://localhost:$${MLFLOW_PORT:-8003}}"
export BACKEND_URL="$${BACKEND_URL:-http://localhost:$${BACKEND_PORT:-8002}}"
exec python "$$0" $(ARGS)
endef
export RUN

.PHONY: keys
keys: ## Make the pair of keys that models are signed with, as the first start does
	@if [ -f $(VENV)/installed ] || ! docker info >/dev/null 2>&1; then \
	  $(MAKE) --silent $(VENV)/installed && cd mlflow && $(BIN)/python -m $(call SIGNING,$(CURDIR)/keys/private,$(CURDIR)/keys/public); \
	else \
	  docker compose run --rm --no-deps mlflow python3 -m $(call SIGNING,/keys,/public); \
	fi
SIGNING = publishing.signing $(1)/model_signing_key.pem $(2)/model_public_key.pem

PARTS := backend frontend trainer stack
.PHONY: test $(PARTS:%=test-%)
test: $(VENV)/installed ## Test everything but Docker
	@export SHARED_TRAINING_DIR=$$(mktemp -d) && trap 'rm -rf "$$SHARED_TRAINING_DIR"' EXIT && \
	for part in $(PARTS); do \
	  echo "== $$part" && $(MAKE) --no-print-directory test-$$part || exit 1; \
	done

# Tests with real clients and browsers lie in tests/, as they start several servers.
OF_API := $(patsubst %,tests/test_%.py,api_document conformance open_inference pickles)
OF_PAGE := $(patsubst %,tests/test_%.py,overview page page_models site)
# Files are scored by what trainings publish, and that part has the time.
OF_FILES := $(patsubst %,tests/test_%.py,output pace scoring sources text)
test-backend: FOLDER := backend
test-backend: LEFT_OUT := $(OF_FILES)
test-backend: ALSO := $(OF_API)
test-backend: ## Test the backend, and its API with real clients
test-frontend: FOLDER := frontend
test-frontend: ALSO := $(OF_PAGE)
test-frontend: ## Test the page and the site of the documentation, in a browser too
test-trainer: FOLDER := mlflow
test-trainer: FILES := $(OF_FILES)
test-trainer: ## Test trainings, and the scoring of files
test-stack: FOLDER := tests
test-stack: LEFT_OUT := e2e $(notdir $(OF_API) $(OF_PAGE))
test-stack: ## Test what spans services, without Docker

# A file's tests stay in one process, so that they share its servers.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
$(PARTS:%=test-%): $(VENV)/installed
	@cd $(FOLDER) && $(PYTEST) $(LEFT_OUT:%=--ignore %)
	@$(if $(ALSO),$(PYTEST) $(ALSO))
	@$(if $(FILES),cd backend && $(PYTEST) --dist load $(FILES)) # one of them has nearly all tests

.PHONY: e2e
e2e: $(VENV)/installed ## Build, start and test the stack in Docker
	@./doctor engine
	$(BIN)/python -m pytest tests/e2e

.PHONY: soak
soak: $(VENV)/installed ## Run the long forms of tests, as every night; an hour
	@for folder in $(SERVICES) tests; do \
	  echo "== $$folder" && (cd $$folder && $(BIN)/python -m pytest -m soak --ignore e2e || test $$? = 5) || exit 1; \
	done # 5: a folder without any

DOCUMENTED := $(BIN)/python bench/documented.py
.PHONY: bench
bench: $(VENV)/installed ## Measure serving, the page, trainings, and what a change of models costs; needs wrk
	$(DOCUMENTED) $(patsubst %,bench/%.py,single_rows anatomy journalling batches page)
	$(BIN)/python bench/training_quality.py
	$(BIN)/python bench/training_speed.py
	$(BIN)/python bench/going_live.py
	$(DOCUMENTED) bench/training_cluster.py bench/journal_growth.py "bench/scoring.py --rows 50_000_000"
	$(DOCUMENTED) "tests/soak/soak.py --minutes 10" tests/soak/fuzz.py

.PHONY: bench-peers
bench-peers: $(VENV)/installed ## Measure other model servers beside the backend, installed into .peers; needs wrk
	$(DOCUMENTED) bench/peers.py

OVERLAYS := $(wildcard deploy/*/compose.yaml)
.PHONY: lint
lint: $(VENV)/installed ## Check style, types, Dockerfiles, workflows and Compose
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@for service in $(SERVICES); do \
	  echo "mypy $$service" && (cd $$service && $(BIN)/mypy --config-file ../pyproject.toml .) || exit 1; \
	done
	$(BIN)/mypy --config-file pyproject.toml deploy/azure/apps.py
	@echo "mypy bench tests/soak maintenance" && MYPYPATH=bench:tests/soak:tests:backend:mlflow $(BIN)/mypy --config-file= --no-strict-optional \
	  --ignore-missing-imports --follow-imports silent --explicit-package-bases bench tests/soak maintenance
	$(BIN)/hadolint $(SERVICES:%=%/Dockerfile) $(wildcard deploy/*/Dockerfile)
	$(BIN)/shellcheck doctor .ci/run $(wildcard */*.sh .devcontainer/*.sh .github/*.sh deploy/*/*.sh)
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml $(filter-out deploy/caddy/%,$(OVERLAYS))
	@# That takes no tag of Compose's own.
	sed 's/ !reset / /' deploy/caddy/compose.yaml | $(BIN)/check-jsonschema --builtin-schema vendor.compose-spec --default-filetype yaml -
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --schemafile .devcontainer/schema.json .devcontainer/devcontainer.json
	$(BIN)/zizmor --offline --quiet .github
	PATH="$(BIN):$$PATH" deploy/kubernetes/validate.sh

.PHONY: docs
docs: $(VENV)/installed ## Build the documentation's site into site/; the first time needs npm
	$(BIN)/mkdocs build --strict

.PHONY: format
format: $(VENV)/installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One resolution for all: the services' locks are parts of the development lock. Only Azure's plug-in
# wants an older MLflow; what is trained with it has to load in the backend all the same.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --custom-compile-command "make lock"
.PHONY: lock
lock: $(VENV)/installed ## Lock the dependencies with hashes; ARGS=--upgrade for newer ones
	$(LOCK) $(ARGS) --group dev --output-file requirements-dev.txt
	@for service in $(SERVICES); do \
	  rm -f $$service/requirements.txt && \
	  $(LOCK) --group $$service --constraint requirements-dev.txt --output-file $$service/requirements.txt; \
	done
	rm -f backend/requirements-tracing.txt && \
	  $(LOCK) --group tracing --constraint requirements-dev.txt --output-file backend/requirements-tracing.txt
	$(LOCK) $(ARGS) --group azure --constraint backend/requirements.txt \
	  --output-file mlflow/requirements-azure.txt

.PHONY: allow-list
allow-list: $(VENV)/installed ## Add to the backend's allow-list the names that good pickles need
	$(BIN)/python maintenance/allow_list.py

.PHONY: images
images: ## Build the three images for others; with PUSH=1 and IMAGES=registry/name push them
	deploy/images.sh build

.PHONY: publish
publish: ## Give what was pushed for amd64 and arm64 its common names; IMAGES=registry/name
	deploy/images.sh publish

.PHONY: release-notes
release-notes: ## Print the text that the release of a tag will have; TAG=v1.2.3
	@.github/release.sh notes "$$TAG"

.PHONY: release
release: ## Make the GitHub release of a tag, with its section of the changelog; TAG=v1.2.3
	.github/release.sh publish "$$TAG"

.PHONY: azure
azure: ## Deploy published images to Azure, once deploy/azure/setup.sh was run there; TAG=1.2.3
	deploy/azure/deploy.sh

.PHONY: azure-check
azure-check: $(VENV)/installed ## Check what the scripts ask of Azure by its own command line, without a cloud
	deploy/azure/check.sh

.PHONY: down
down: ## Stop the stack in Docker; models and runs stay
	docker compose --profile '*' down --remove-orphans

.PHONY: clean
clean: ## Remove what was built; models, runs and journal stay
	@if docker info >/dev/null 2>&1; then docker compose --profile '*' down --rmi local --remove-orphans; fi
	rm -rf $(VENV) .peers .azure-cli site .docs_cache .mypy_cache .ruff_cache .pytest_cache */.mypy_cache */.pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: requirements-dev.txt
	@./doctor python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
