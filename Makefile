# `make` alone lists what there is to do. Options for a command go into ARGS:  make run ARGS="--source clip.mp4"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python of a version that this project works with, unless one is named: make run PYTHON=python3.13
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)
endif
# tflite-runtime's newest wheel is for 3.11, whatever the rest runs on.
PYTHON_TFLITE ?= $(shell for python in $(PYTHON) python3.11; do \
	$$python -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" 2>/dev/null && echo $$python && break; done)

VENV := .venv
VENV_RUN := .venv-run
VENV_TFLITE := .venv-tflite
BIN := $(VENV)/bin
WORKERS ?= 2
MODEL ?= edge
ARGS ?=

# A line for `make help` is what follows the two number signs.
.PHONY: help
help: ## list these targets
	@echo "usage: make TARGET [ARGS=\"…\"] [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(VENV_RUN)/.stamp ## read digits from the camera, or from the demo where there is none (device dependencies only)
	@$(VENV_RUN)/bin/python -m runtime.camera $(ARGS)

.PHONY: test
test: environments ## every test but the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: check
check: format-check lint types imports test test-tflite quick-arm64 ## all that must pass before a commit: format, lint, types, import contracts, tests

.PHONY: proof
proof: environments ## the slow tests: training and export for real, long runs
	$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: proof-arm64
proof-arm64: $(VENV)/.stamp ## a Raspberry Pi emulated: answers, demo, install, update, rollback (root, mmdebstrap, qemu; ARGS=--quick)
	$(BIN)/python -m tests.proofs.arm64 $(ARGS)

.PHONY: train
train: $(VENV)/.stamp ## train MODEL (edge unless named)
	$(BIN)/python -m train --model $(MODEL) $(ARGS)

.PHONY: export
export: $(VENV)/.stamp ## write the bundle of MODEL, if every artifact agrees with the float model
	$(BIN)/python -m export --model $(MODEL) $(ARGS)

.PHONY: bench
bench: $(VENV)/.stamp ## measure what reading digits costs on this machine, and say what to ship
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: pictures
pictures: $(VENV)/.stamp ## draw the pictures that README shows
	$(BIN)/python tools/draw_pictures.py $(ARGS)

.PHONY: wheel
wheel: $(VENV)/.stamp ## build dist/edge_digits-….whl, model bundles inside
	$(BIN)/python -m build --wheel --no-isolation

.PHONY: format
format: $(VENV)/.stamp ## rewrite the sources in the house format and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: format-check lint types imports test-tflite
format-check: $(VENV)/.stamp
	$(BIN)/ruff format --check .
lint: $(VENV)/.stamp
	$(BIN)/ruff check .
types: $(VENV)/.stamp
	$(BIN)/mypy
imports: $(VENV)/.stamp
	$(BIN)/lint-imports

# Skips by name where a Raspberry Pi cannot be emulated.
.PHONY: quick-arm64
quick-arm64: $(VENV)/.stamp
	@$(BIN)/python -m tests.proofs.arm64 --quick --if-possible

.PHONY: environments
environments: $(VENV)/.stamp $(VENV_RUN)/.stamp ## make every environment that the tests use

$(VENV)/.stamp: pyproject.toml constraints/full.txt tools/make_environment.py | python
	$(PYTHON) tools/make_environment.py $(VENV) --constraints constraints/full.txt --extras onnx,mqtt,serve,train,dev --keep

$(VENV_RUN)/.stamp: pyproject.toml constraints/device.txt tools/make_environment.py | python
	@echo "making $(VENV_RUN) with what a device needs (once)" >&2
	@$(PYTHON) tools/make_environment.py $(VENV_RUN) --constraints constraints/device.txt --small

ifneq ($(PYTHON_TFLITE),)
environments: $(VENV_TFLITE)/.stamp
$(VENV_TFLITE)/.stamp: pyproject.toml constraints/tflite-runtime.txt tools/make_environment.py
	$(PYTHON_TFLITE) tools/make_environment.py $(VENV_TFLITE) --constraints constraints/tflite-runtime.txt --extras tflite-runtime,onnx,mqtt,serve,test
# What the device runs once more, with both LiteRT interpreters, NumPy 1 and OpenCV 4.
test-tflite: $(VENV_TFLITE)/.stamp
	$(VENV_TFLITE)/bin/python -m pytest -n $(WORKERS) --dist loadfile tests/runtime
else
test-tflite:
	@echo "note: no Python 3.11 here, so the tests with tflite-runtime are left out" >&2
endif

.PHONY: python
python:
	@$(or $(PYTHON),false) -c "$(SUPPORTED)" 2>/dev/null || { \
	  echo "error: edge-digits needs Python 3.11, 3.12 or 3.13, found $$($(or $(PYTHON),python3) --version 2>&1 | tail -1)" \
	    "as $(or $(PYTHON),python3); install one of them, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }

.PHONY: clean
clean: ## remove caches and builds
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find runtime train export benchmarks tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-environments
clean-environments: ## remove the environments too; the next target makes them anew
	rm -rf $(VENV) $(VENV_RUN) $(VENV_TFLITE)
