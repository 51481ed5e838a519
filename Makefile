# What a developer and CI run. `make` alone lists it.
PYTHON ?=
BIN := .venv/bin
STAMP := .venv/.made-by-setup
# Ends of the demo that its user chose: later, reject, cancel, Ctrl-C. They are no errors of make.
DECIDED := 3 | 4 | 8 | 130

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-engines test-model lint docs bench bench-peers pins clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with all that tests and demo use (PYTHON=... chooses the interpreter)

# The stamp makes the second call instant; it is touched only when every step before it went well.
$(STAMP): pyproject.toml requirements/dev.txt tools/setup.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh
	@touch $@

demo: setup ## correct the orbit of a virtual accelerator: task, card, approval, run, figures
	@$(BIN)/osprey-executor demo || { code=$$?; case $$code in $(DECIDED)) ;; *) exit $$code ;; esac; }

test: lint docs ## everything that CI checks
	@sh tools/programs.sh
	@sh tools/test.sh $(BIN)/python

test-engines: setup ## all of the engines' suite on a gateway, a Jupyter server and an own container; minutes
	@$(BIN)/python -m pytest tests/execution/container/whole_conformance.py tests/execution/container/whole_own_conformance.py

test-model: setup ## run `basic` against a real small model on ten tasks; installs 180 MB once, needs node
	@$(BIN)/python benchmarks/model.py $(ARGS)

lint: setup ## style, types and the arrows between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-cache # its cache keeps an import as it was before the imported module existed

docs: setup ## build the documentation into docs/_build/html; a warning is an error
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: setup ## measure what users wait for, beside its goals (ARGS="--only engine,request")
	@$(BIN)/python benchmarks/bench.py $(ARGS)

bench-peers: setup ## measure Osprey, Jupyter, bubblewrap and podman beside us; installs 1 GB once
	@$(BIN)/python benchmarks/peers.py $(ARGS)

# The extras by name: `all` would refer to this project itself, and the pins must not contain it.
# Known pins stay as they are; `make pins ARGS=--upgrade` moves them.
pins: setup ## write requirements/dev.txt anew from pyproject.toml
	@$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-options \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --extra science --extra epics --extra pva --extra simulator --extra anthropic --extra openai --extra claude --extra prices --extra container --extra web --extra mcp --extra dev \
	    $(ARGS) --output-file requirements/dev.txt pyproject.toml

clean: ## remove what tests, docs and benchmarks left; .venv and benchmarks/.peers and .model stay
	@rm -rf build dist docs/_build benchmarks/results .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests benchmarks docs \( -path benchmarks/.peers -o -path benchmarks/.model \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
