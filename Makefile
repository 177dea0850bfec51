# Targets: demo, test, check, coverage, docs, bench, bench-guard, format, lock, clean. Each makes the .venv it needs, with the versions and hashes in
# requirements.lock.
# Another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCENARIO := experiments/rural1/check.yaml
RESULTS := results/rural1
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: demo test check coverage docs bench bench-guard format lock clean setup

demo: $(READY)
	$(BIN)/admmflex run $(SCENARIO) --out $(RESULTS)

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The pages as a site that needs no network: results/site/index.html.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Lines that the tests run, ranks and command lines included, machine code left out: docs/reliability.md.
coverage: $(READY)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest --numprocesses auto --dist loadfile --timeout 1200
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# Every benchmark against its peers, half an hour: experiments/benchmarks/results.json and README.md.
bench: $(READY)
	$(BIN)/python -m experiments.benchmarks bench

# The same, compared with the stored ratios; by hand or nightly.
bench-guard: $(READY)
	$(BIN)/python -m experiments.benchmarks guard

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@echo "Installing into $(VENV), once: a few minutes"
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Needs uv; the lock holds versions and hashes, no addresses.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --upgrade \
		--no-emit-index-url --no-header --no-annotate pyproject.toml --output-file requirements.lock --quiet

clean:
	rm -rf $(VENV) results .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
