# `make test` is everything that has to hold before a change is merged.

BIN := .venv/bin
# Three workers keep two cores busy: much of a test is waiting. A file's tests stay together and share what they start.
PYTEST := $(BIN)/python -m pytest tests -n 3 --dist loadfile --no-loadscope-reorder -q --rollout-push never
SCRIPTS := scripts/allure_html
unexport PYTHONDONTWRITEBYTECODE  # or each of a thousand processes compiles our modules anew
BENCHMARKS := plugin_loading judging_cost evidence_log wrong_verdicts load_truth load_throughput

.PHONY: help setup demo test lint bench clean
.DEFAULT_GOAL := help

help:   ## Say what the targets do.
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST)

setup:  ## Install what is missing: .venv, Prometheus, Pushgateway, Alertmanager, PostgreSQL, a browser.
	@scripts/setup

demo:   ## Decide stage 1 of the prisma rollout in the sandbox and show the reports.
	@scripts/setup >/dev/null
	@scripts/demo

test:   ## Set up, lint, run every test.
	@scripts/setup >/dev/null
	@$(MAKE) --no-print-directory lint
	$(PYTEST)

lint:   ## ruff and mypy.
	$(BIN)/ruff check . $(SCRIPTS)
	$(BIN)/ruff format --check . $(SCRIPTS)
	$(BIN)/mypy
	$(BIN)/mypy $(SCRIPTS)

bench:  ## Run every benchmark.
	@scripts/setup >/dev/null
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

clean:  ## Remove caches, reports and the local evidence.
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .rollout dist build
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +
	find reports -mindepth 1 -not -name .gitkeep -delete
