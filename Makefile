# `make` or `make help` lists what there is to do.

# The environment to work in, and the interpreter to make it with (empty: the newest one found).
VENV ?= .venv
# Another one, for the libraries that the benchmarks compare with.
BENCH_VENV ?= .venv-bench
PYTHON ?=
# Processes that run the tests; 0 runs them in one, without pytest-xdist.
WORKERS ?= 2

BIN := $(VENV)/bin
BASE := $(VENV)/.installed-base
TESTING := $(VENV)/.installed-test
WRITING := $(VENV)/.installed-docs
PEERS_HERE := $(BENCH_VENV)/.installed-benchmark
RECIPE := pyproject.toml scripts/environment.sh

SPHINX := $(BIN)/python -m sphinx -c docs -q -E

export PYTHON

.PHONY: help digits test tiny lint types tests fuzz bench curves mnist race language site book links clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter, VENV=FOLDER another place for the environment."

digits: $(BASE)  ## train on 1,797 handwritten digits and say how well it went
	@$(BIN)/chainrule train digits

test:  ## everything that must hold: lint, types, tests
	@start=$$(date +%s); \
	$(MAKE) --no-print-directory $(TESTING) && \
	$(MAKE) --no-print-directory lint && \
	$(MAKE) --no-print-directory types && \
	$(MAKE) --no-print-directory tests && \
	echo "make test: all good in $$(( $$(date +%s) - start )) s"

tests: $(TESTING)  ## the tests and the programs in the documentation strings
	@$(BIN)/python -m pytest -q $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS))

tiny: $(TESTING)  ## the fastest essential tests, in under five seconds
	@$(BIN)/python -m pytest -q -m tiny tests/conformance $$(grep -rl --include='test_*.py' tiny $(filter-out tests/conformance,$(wildcard tests/*)))

fuzz: $(TESTING)  ## random graphs on both engines: make fuzz GRAPHS=10000
	@$(BIN)/python -m tests.engines.native.fuzzing --graphs $(or $(GRAPHS),10000)

bench: $(PEERS_HERE)  ## the speed beside the peers: make bench ROW=mlp-128 PROFILE=1, PEERS=torch,jax, QUICK=1
	@$(BENCH_VENV)/bin/python -m benchmarks.speed $(if $(ROW),--row $(ROW)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(PROFILE),--profile) $(if $(QUICK),--quick)

curves: $(PEERS_HERE)  ## each step's loss beside PyTorch's, for each optimizer: make curves PICTURE=curves.png
	@$(BENCH_VENV)/bin/python -m benchmarks.curves $(if $(PICTURE),--picture $(PICTURE))

mnist: $(TESTING)  ## MNIST's classic table trained anew, some 25 minutes: make mnist ROWS=linear,lenet5 VALIDATION=1
	@$(BIN)/python -m benchmarks.mnist_table $(if $(ROWS),--rows $(ROWS)) $(if $(VALIDATION),--validation) \
		$(if $(KEPT_IN),--kept-in $(KEPT_IN))

race: $(PEERS_HERE)  ## time to 99 % of MNIST's test digits beside PyTorch: make race PICTURE=race.png
	@$(BENCH_VENV)/bin/python -m benchmarks.mnist_race $(if $(PICTURE),--picture $(PICTURE))

language: $(PEERS_HERE)  ## a language model beside PyTorch, in bits a character: make language PICTURE=curves.png
	@$(BENCH_VENV)/bin/python -m benchmarks.shakespeare $(if $(PICTURE),--picture $(PICTURE))

site: $(WRITING)  ## the documentation as a site, in build/site/index.html; with warnings it fails
	@$(BIN)/python -m scripts.book.figures
	@rm -rf build/site
	@$(SPHINX) -b html -W --keep-going . build/site
	@$(BIN)/python -m scripts.book.links build/site
	@echo "build/site/index.html is the site; its first page is build/site/docs/README.html"

book: site  ## the same

links: $(WRITING)  ## follow every link of the documentation; those to other places need the network
	@$(BIN)/python -m scripts.book.figures
	@$(SPHINX) -b linkcheck . build/links

lint: $(TESTING)  ## ruff
	@$(BIN)/ruff check

types: $(TESTING)  ## mypy
	@$(BIN)/mypy

clean:  ## remove what was made, the environment too
	@rm -rf build dist src/chainrule.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@for folder in $(VENV) $(BENCH_VENV); do if [ -e $$folder/pyvenv.cfg ]; then rm -rf $$folder; fi; done

# One stamp for users and one for developers, so that `make digits` never waits for the test tools.
$(BASE): $(RECIPE)
	@scripts/environment.sh $(VENV)
	@touch $@

$(TESTING): $(RECIPE)
	@scripts/environment.sh $(VENV) test
	@touch $@ $(BASE)

$(WRITING): $(RECIPE)
	@scripts/environment.sh $(VENV) docs
	@touch $@ $(BASE)

$(PEERS_HERE): $(RECIPE)
	@scripts/environment.sh $(BENCH_VENV) benchmark
	@touch $@
