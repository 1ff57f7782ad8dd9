# The front door. Every target makes the environment it needs; `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
REVISION ?= $(shell git describe --always --dirty 2>/dev/null || echo local)
REGISTRY ?=

.DEFAULT_GOAL := help
.PHONY: help run test e2e ci lint types compile golden bench-tag images clean

help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1	/' | expand -t 12

run: $(VENV)/run.stamp ## the whole pipeline on this machine, on generated data; ARGS='--preset wnut16 --data ...' for more
	$(BIN)/tofner run $(ARGS)

test: $(VENV)/dev.stamp ## fast tests, with a real S3 server; ARGS='-k name' for some
	$(BIN)/python -m pytest -m "not e2e and not slow" $(ARGS)

e2e: $(VENV)/dev.stamp ## slow tests and the whole pipeline
	$(BIN)/python -m pytest -m "e2e or slow" $(ARGS)

ci: ## what the project's standing check runs
	bash .ci/run

lint: $(VENV)/dev.stamp ## style and import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## mypy --strict
	$(BIN)/mypy

compile: $(VENV)/dev.stamp ## the graph as build/tof.yaml; REVISION and REGISTRY name the images
	$(BIN)/tofner compile --out build --revision "$(REVISION)" --registry "$(REGISTRY)" $(ARGS)

golden: $(VENV)/dev.stamp ## write tests/golden/*.yaml and surface.json, docs/pipeline.svg, docs/settings.md and docs/components.md anew
	$(BIN)/python -m tofner_kubeflow.pipelines.compile
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_components.py
	$(BIN)/python docs/make_components.py
	$(BIN)/python -m tests.golden.surface

bench-tag: $(VENV)/dev.stamp ## tagging speed
	$(BIN)/python benchmarks/tag.py $(ARGS)

images: ## container images from docker/*.Dockerfile, tagged with REVISION
	@set -e; for file in docker/*.Dockerfile; do name=$$(basename "$$file" .Dockerfile); \
	docker build -f "$$file" --build-arg REVISION="$(REVISION)" $(ARGS) \
	-t "$(if $(REGISTRY),$(REGISTRY)/)tofner-$$name:$(REVISION)" .; done

clean: ## remove environments, caches, work folders and builds
	rm -rf $(VENV) .tofner build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than 3.11: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(VENV)/run.stamp $@
