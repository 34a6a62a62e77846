# make setup | demo | test | lint | docs | bench | image | image-test    (each does what it needs of the others)
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
# Open MPI refuses root unless told, and containers often forbid its single-copy shared memory.
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
export OMPI_MCA_btl_vader_single_copy_mechanism ?= none
MPIRUN := mpirun --oversubscribe
SOURCES := mpicamnet scaling tests

.PHONY: setup demo test lint docs bench image image-test clean

setup:
	@install/system.sh && install/python.sh $(VENV) dev

demo: setup
	@$(BIN)/mpicamnet synth runs/demo-slides
	@$(MPIRUN) -n 2 $(BIN)/mpicamnet run configs/demo.yaml
	@echo "Look at:"; ls $(CURDIR)/runs/demo/report.html $(CURDIR)/runs/demo/infer/heatmaps/*.png

lint: setup
	@$(BIN)/ruff check --quiet --line-length 160 --select E,F,I,UP,B,SIM $(SOURCES)
	@$(BIN)/mypy $(SOURCES:tests=)

test: lint
	@install/system.sh tests
	@$(BIN)/python -m pytest -q tests

docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "Open $(CURDIR)/site/index.html"

bench: setup
	@$(BIN)/python -m pip install --quiet -c constraints.txt 'pyvips[binary]'
	@$(BIN)/python -m tests.bench

image:
	apptainer build --force mpicamnet.sif singularity.def

image-test:
	@install/image-test.sh

clean:
	rm -rf $(VENV) runs site build *.egg-info .mypy_cache .ruff_cache .pytest_cache
