# Set-up in two commands on a machine with Python >= 3.11 and make: `make conformance` and `make test`.
# Everything is installed into .venv, pinned by requirements.lock.

PYTHON ?= python3
BACKEND ?= numpy
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
# Every backend that can run without a GPU.
BACKENDS := numpy torch torch:compile jax jax:jit array_api_strict

# What JAX compiles is kept for the other worker and the next backend.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/build/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1

.PHONY: conformance test test-only lint backends accuracy bench vectors mutants mutation diagnosis implementations
.PHONY: browser gpu bench-gpu gpu-install clean help

help:
	@echo "make conformance [BACKEND=numpy]  set up, run the suite on one backend, write the report"
	@echo "make test                         set up, then lint, all tests, and the suite on every backend of this machine"
	@echo "make accuracy                     measure the error of 10^8 float32 margins a gamma and of all 16-bit logits, every loss"
	@echo "make bench                        time, memory and error beside other implementations, interleaved"
	@echo "make vectors                      generate the test vectors anew and compare them with the committed ones"
	@echo "make mutants                      wrong implementations against every requirement, right ones against false alarms"
	@echo "make mutation                     mutants of this project's own code against its tests: hours"
	@echo "make diagnosis                    how often the cause of a failure is named, over implementations of the tests"
	@echo "make implementations              public implementations in environments of their own, and the pages about them"
	@echo "make browser                      the HTML report in a headless Chromium"
	@echo "make gpu [GPU_PYTHON=python3]     on a machine with an NVIDIA GPU: tests, the suite on CUDA, and make bench-gpu"
	@echo "make bench-gpu                    time and memory on the GPU beside other implementations"

conformance: $(VENV)/.conformance
	$(BIN)/python -m pytest conformance --backend=$(BACKEND) -q -n $(WORKERS)

test: $(VENV)/.test
	$(MAKE) lint test-only backends

test-only: $(VENV)/.test
	$(BIN)/python -m pytest tests -q -n $(WORKERS) --durations=30

# One after the other; the first that is not green ends the run.
backends: $(VENV)/.test
	@set -e; for backend in $(BACKENDS); do \
	  echo "== conformance --backend=$$backend"; \
	  $(BIN)/python -m pytest conformance --backend=$$backend -q -n $(WORKERS); \
	done

# mypy reads the package as users install it: the folders of the checkout have other names.
lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typed && $(BIN)/python -m pip install -q --no-deps --no-build-isolation --target build/typed .
	MYPYPATH=build/typed $(BIN)/mypy -p focal_ref

accuracy: $(VENV)/.test
	$(BIN)/python benchmarks/accuracy.py --out benchmarks/results/accuracy.json
	$(BIN)/python benchmarks/family_accuracy.py --count 4000 --out benchmarks/results/family_accuracy.json

# About half an hour on two processors that do nothing else.
bench: $(VENV)/.test
	$(BIN)/python -m pip install -q -c requirements.lock -r benchmarks/cpu/requirements.txt
	$(BIN)/python -m pip install -q --no-deps -r benchmarks/cpu/requirements-peers.txt
	$(BIN)/python benchmarks/cpu/run.py $(OPTIONS)

vectors: $(VENV)/.conformance
	$(BIN)/python -m focal_ref.conformance.generate --check
	$(BIN)/python -m focal_ref.conformance.family.generate --check
	$(BIN)/python -m focal_ref.conformance.detection.generate --check
	$(BIN)/python -m focal_ref.conformance.bundle.exhaustive --check
	$(BIN)/focal-ref vectors lint
	$(BIN)/python -m focal_ref.conformance.versioning

# Every mutant against all requirements, and every variant: about five minutes.
mutants: $(VENV)/.conformance
	$(BIN)/python -m focal_ref.conformance.kill_matrix --check
	$(BIN)/python -m focal_ref.conformance.variants

# Hours: a part of it with benchmarks/mutation/run.py --share or --file.
mutation: $(VENV)/.test
	$(BIN)/python -m pip install -q -c requirements.lock -r benchmarks/mutation/requirements.txt
	$(BIN)/python benchmarks/mutation/run.py

# Two processes, about 20 minutes.
diagnosis: $(VENV)/.test
	$(BIN)/python benchmarks/diagnosis.py --out benchmarks/results/diagnosis.json

# Installs some 30 packages into .venv-implementations, several GB; an hour. Nothing of it is a dependency of this project.
implementations: $(VENV)/.test
	$(PYTHON) implementations/run.py $(OPTIONS); code=$$?; \
	$(BIN)/python implementations/page.py && exit $$code
	KERAS_BACKEND=torch .venv-implementations/torch/bin/python docs/reports/scripts/blocks.py \
	  docs/reports/torchvision.md docs/reports/keras.md docs/reports/transformers.md

# Needs Chromium and its driver, which no Python package brings; fails where they are missing.
browser: $(VENV)/.test
	$(BIN)/python -m pip install -q -c requirements.lock -e '.[browser]'
	$(BIN)/python -m pytest tests/browser -q

# GPU_PYTHON=python3 takes an interpreter that has PyTorch for CUDA, CuPy, JAX and pytest already, and installs this
# package alone, without its dependencies; by default all comes into .venv-gpu.
GPU_VENV := .venv-gpu
GPU_PYTHON ?= $(GPU_VENV)/bin/python

gpu: $(if $(filter $(GPU_VENV)/bin/python,$(GPU_PYTHON)),$(GPU_VENV)/.ready,gpu-install)
	$(GPU_PYTHON) -m pytest tests/gpu -q
	@set -e; for backend in torch torch:compile jax jax:jit cupy; do \
	  echo "== conformance --backend=$$backend --device=cuda"; \
	  $(GPU_PYTHON) -m pytest conformance --backend=$$backend --device=cuda -q; \
	done
	$(GPU_PYTHON) benchmarks/gpu/run.py $(OPTIONS)

bench-gpu: $(if $(filter $(GPU_VENV)/bin/python,$(GPU_PYTHON)),$(GPU_VENV)/.ready,gpu-install)
	$(GPU_PYTHON) benchmarks/gpu/run.py $(OPTIONS)

gpu-install:
	$(GPU_PYTHON) -m pip install -q --no-deps --no-build-isolation -e .

# The index's PyTorch is the build for CUDA; what else is compared stands in the lock file, without its dependencies.
$(GPU_VENV)/.ready: pyproject.toml requirements.lock requirements-gpu.txt
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -m pip install -q --upgrade pip
	$(GPU_VENV)/bin/python -m pip install -q -r requirements-gpu.txt -e '.[conformance]'
	$(GPU_VENV)/bin/python -m pip install -q --no-deps -c requirements.lock -r requirements-peers.txt \
	  optax kornia fvcore torchvision
	touch $@

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	touch $@

$(VENV)/.conformance: $(VENV)/.created pyproject.toml requirements.lock
	$(BIN)/python -m pip install -q -c requirements.lock -e '.[conformance]'
	touch $@

$(VENV)/.test: $(VENV)/.conformance requirements-peers.txt
	$(BIN)/python -m pip install -q -c requirements.lock -e '.[test]' setuptools
	$(BIN)/python -m pip install -q --no-deps -r requirements-peers.txt
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
