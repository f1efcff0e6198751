# One command each, on a fresh machine too: whatever is missing is installed into .venv first.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: study tuning push pull experiments test check docs public grade judge bench clean-work

study: .venv/installed
	python -m sycophancy_steering.config.check
	dvc repro
	@cat reports/summary.md
	@python -m sycophancy_steering.foundation.progress

# Training as a baseline (see tuning/dvc.yaml), after the study.
tuning: .venv/installed
	dvc repro tuning/dvc.yaml
	@cat reports/tuning.md

# The experiments that were queued or run (docs/sweeps.md): two numbers a model, and what was varied.
HIDDEN := Created|Executor|.*/|layer$$|\w+_(auroc|best)$$
experiments: .venv/installed
	dvc exp show --only-changed --hide-workspace --drop '$(HIDDEN)'

# To and from DVC's default remote (docs/share.md).
push pull: .venv/installed
	@python -m sycophancy_steering.sharing.$@

test: .venv/installed
	python -m pytest

# Numbers, diagram and reference pages are filled in; then a site in docs/_build, of which every
# warning is an error, such as a link that leads nowhere.
docs: .venv/installed
	python -m sycophancy_steering.documentation.fill
	sphinx-build -q -W --keep-going -E -c docs -d docs/_build/.doctrees . docs/_build
	@echo docs/_build/index.html

# Public questions, some 30 MB. ORIGIN is github, a mirror's address, or a folder that has them.
ORIGIN ?= github
public: .venv/installed
	python stages/fetch.py all $(ORIGIN)

# Answers to be graded: see data/grades/README.md.
grade: .venv/installed
	python stages/grade.py $(MODEL) $(SET) $(GRADER)

judge: .venv/installed
	python stages/judge.py $(MODEL) $(SET) $(JUDGE)

# How fast states are had, beside other libraries, which get an environment of their own.
PEERS := .work/peers/installed
bench: .venv/installed $(PEERS)
	python benchmarks/extraction.py
	python benchmarks/steering.py
	python benchmarks/generation.py
	python benchmarks/turns.py

$(PEERS):
	$(PYTHON) -m venv .work/peers
	.work/peers/bin/python -m pip install --quiet torch==2.13.0 steering-vectors==0.12.2 repeng==0.4.0 ctranslate2==4.8.5
	@touch $@

# What was computed before and is kept in .work; all of it can be made anew.
clean-work:
	@du -sh .work 2>/dev/null | sed 's/\t.*/ freed/' || true
	@rm -rf .work

check: .venv/installed
	ruff check .
	lint-imports
	ruff format --check .
	pyright

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@python -m sycophancy_steering.figures.offline_plots
	@touch $@
