# The front door. Every target makes the environment it needs; `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
REVISION ?= $(shell git describe --always --dirty 2>/dev/null || echo local)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
SOURCE ?=
REGISTRY ?=
TORCH_BUILD ?= cuda
WORKERS ?= 2
# On Linux a plain pip takes torch's build for CUDA, 3.7 GB more than the one for CPUs. Named here, since the one for CPUs
# lies elsewhere for everybody: an index, or a folder of wheels. It is installed first, and pip then leaves it alone.
TORCH_INDEX ?=
TORCH_WHEELS ?=
#: TORCH_INDEX   URL of a package index to take torch alone from, for example one with a CPU build
#: TORCH_WHEELS  folder with a wheel of torch, used before TORCH_INDEX
#: ARGS          more arguments of the target's command
#: WORKERS       processes that share the tests
#: PYTHON, VENV  the interpreter to make the environment with, and its folder
#: REVISION, REGISTRY  tag and registry of the images
#: TORCH_BUILD   torch in the trainer's image: cuda, or another build's name such as cpu, from docker/wheels or TORCH_INDEX
#: SOURCE        address of the sources, for the images' labels

SCANNED := k8s/tagging k8s/serving k8s/kserve $(wildcard k8s/overlays/*)
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ifneq ($(TORCH_WHEELS),)
INSTALL_TORCH := $(PIP) --no-deps --no-index --find-links "$(TORCH_WHEELS)" $(TORCH)
else ifneq ($(TORCH_INDEX),)
INSTALL_TORCH := $(PIP) --no-deps --index-url "$(TORCH_INDEX)" $(TORCH)
endif

KILLS := tests/e2e/test_container_kills.py
# These targets start no daemon and change none: they say what is missing, and pytest says what is skipped for it.
DOCKER_ANSWERS = @docker version > /dev/null || { echo "no Docker daemon: start one, or set DOCKER_HOST to its address"; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help kubeflow run test e2e signals fuzz containers kills ci lint types scan audit compile golden mutants compare bench-tag bench-train images clean

help: ## list the targets, and the variables that they heed
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1	/' | expand -t 12
	@echo; sed -n 's/^#: //p' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## the whole pipeline on this machine, on generated data; ARGS='--preset wnut16 --data ...' for more
	$(BIN)/tofner run $(ARGS)

test: $(VENV)/dev.stamp ## fast tests, with a real S3 server; ARGS='-k name' for some
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not e2e and not slow and not kubeflow" -n $(WORKERS) $(ARGS)

e2e: $(VENV)/dev.stamp ## slow tests and the whole pipeline
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "(e2e or slow) and not containers" -n $(WORKERS) --dist loadfile $(ARGS)

containers: $(VENV)/dev.stamp ## images built and tried, the pipeline run in them: needs Docker, base image, torch in docker/wheels
	$(DOCKER_ANSWERS)
	$(BIN)/python -m pytest -m containers --deselect $(KILLS) $(ARGS)

kills: $(VENV)/dev.stamp ## training in containers killed ten times, and compared; needs the same
	$(DOCKER_ANSWERS)
	$(BIN)/python -m pytest -s $(KILLS) $(ARGS)

signals: $(VENV)/dev.stamp ## tag, serve and run hit by SIGTERM, SIGINT and kill -9 ten times each, and what is left; ARGS='--each 3' for fewer
	PYTHONPATH=. $(BIN)/python benchmarks/kills.py $(ARGS)

fuzz: $(VENV)/dev.stamp ## 12,500 damaged inputs, each of which must end in a result or in an error that names its file
	$(BIN)/python -m pytest -m e2e tests/e2e/test_fuzz.py $(ARGS)

ci: ## what the project's standing check runs
	bash .ci/run

lint: $(VENV)/dev.stamp ## style, import order, who may import whom, Dockerfiles and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/hadolint docker/*.Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: $(VENV)/dev.stamp ## mypy --strict
	$(BIN)/mypy

scan: $(VENV)/dev.stamp ## checkov over Dockerfiles and what kustomize makes of k8s/; in an environment of its own, 290 MB
	test -x $(VENV)-scan/bin/checkov || { $(PYTHON) -m venv $(VENV)-scan && \
	$(VENV)-scan/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30; }
	rm -rf build/scan && mkdir -p build/scan && cp docker/*.Dockerfile build/scan
	for folder in $(SCANNED); do $(BIN)/kubectl kustomize "$$folder" > "build/scan/$$(basename $$folder).yaml" || exit; done
	$(VENV)-scan/bin/checkov --config-file .checkov.yaml --directory build/scan --framework kubernetes dockerfile \
	--skip-download --quiet --compact $(ARGS)

audit: | $(BIN)/python ## pip-audit: known vulnerabilities of every pinned library; in an environment of its own, asks PyPI
	test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off $(ARGS)

compile: $(VENV)/dev.stamp ## the graph as build/tof.yaml; REVISION and REGISTRY name the images
	$(BIN)/tofner compile --out build --revision "$(REVISION)" --registry "$(REGISTRY)" $(ARGS)

golden: $(VENV)/dev.stamp ## write tests/golden/*.yaml and surface.json, docs/pipeline.svg, docs/settings.md and docs/components.md anew
	$(BIN)/python -m tofner_kubeflow.pipelines.compile
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_components.py
	$(BIN)/python -m tests.golden.surface

kubeflow: $(VENV)/dev.stamp ## tests on a real Kubeflow, two hours: KFP, STORE (tests/kubeflow/README.md)
	TOFNER_TEST_KFP="$(KFP)" TOFNER_TEST_STORE="$(STORE)" TOFNER_TEST_REGISTRY="$(REGISTRY)" TOFNER_TEST_REVISION="$(REVISION)" \
	TOFNER_TEST_PROFILE="$(PROFILE)" TOFNER_TEST_NAMESPACE="$(NAMESPACE)" $(BIN)/python -m pytest -m kubeflow tests/kubeflow $(ARGS)

mutants: $(VENV)/dev.stamp ## break the code line by line and look whether its tests see it, 20 minutes or more; ARGS='NAME' for some
	$(BIN)/python tests/mutants/run.py $(ARGS)

compare: $(VENV)/dev.stamp ## whether two commits train the same models; ARGS='A B'
	$(BIN)/python tools/compare.py $(ARGS)

bench-tag: $(VENV)/dev.stamp ## tagging speed
	$(BIN)/python benchmarks/tag.py $(ARGS)

bench-train: $(VENV)/dev.stamp ## training speed beside a plain transformers Trainer; ARGS='--data DATA --encoder FOLDER'
	$(BIN)/python benchmarks/train.py $(ARGS)

images: ## container images from docker/*.Dockerfile, tagged with REVISION, and what is in them as build/NAME.cdx.json
	@set -e; mkdir -p build; for file in docker/*.Dockerfile; do \
	name="tofner-$$(basename "$$file" .Dockerfile)"; image="$(if $(REGISTRY),$(REGISTRY)/)$$name:$(REVISION)"; \
	docker build -f "$$file" --build-arg REVISION="$(REVISION)" --build-arg VERSION="$(VERSION)" \
	--build-arg SOURCE="$(SOURCE)" $$(grep -q '^ARG TORCH_BUILD' "$$file" && \
	echo --build-arg TORCH_BUILD="$(TORCH_BUILD)" $(if $(TORCH_INDEX),--build-arg TORCH_INDEX="$(TORCH_INDEX)")) $(ARGS) \
	-t "$$image" .; made=$$(docker create "$$image"); \
	docker cp "$$made:/usr/share/tofner/sbom.cdx.json" "build/$$name.cdx.json"; docker rm "$$made" > /dev/null; done

clean: ## remove environments, caches, work folders and builds
	rm -rf $(VENV) $(VENV)-scan $(VENV)-audit .tofner build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than 3.11: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL_TORCH)
	$(PIP) -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL_TORCH)
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $(VENV)/run.stamp $@
