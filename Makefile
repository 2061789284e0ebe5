# Every verb is written here once; CI and people call the same.
PYTHON ?= python3.11
BIN := .venv/bin
INSIGHT := $(BIN)/insight
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
unexport PYTHONDONTWRITEBYTECODE  # without byte code every start of a command compiles its libraries: seconds each

.PHONY: setup format check test suite demo bench soak figures docs clean

setup: .venv/.ready  ## make the virtual environment from the lock file

.venv/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	$(PIP) --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
		|| $(PIP) --require-hashes -r requirements.lock  # where only pip knows the way to the packages
	$(PIP) --no-deps --editable .
	touch $@

format: setup  ## write the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup  ## format, lint, import arrows, types, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy features training serving tests
	$(BIN)/deptry .

test: setup  ## everything a change must pass; a core that the tests leave idle checks the types meanwhile
	$(MAKE) --no-print-directory --jobs=2 check suite

suite: setup  ## the tests alone
	$(BIN)/python -m pytest

demo: setup  ## the main job on a synthetic operator; ends serving (DEMO="--no-serve" ends after the job)
	$(INSIGHT) demo $(DEMO)

bench: setup  ## figures against floors and peers (BENCH="main_job" for one subject) -> .insight/results/bench.json
	$(BIN)/python -m tests.bench $(BENCH)

soak: setup  ## the slow proofs -> .insight/results/soak.json
	$(BIN)/python -m pytest -m soak

figures: setup  ## keep what bench and soak measured (tests/bench/figures.json, tests/soak/figures.json), write the tables
	$(BIN)/python -m tests.figures

docs: setup  ## generated pages: the catalogues of features and of reasons, the table of files of each room
	$(BIN)/python -m tests.rooms
	$(INSIGHT) catalogue --out features/CATALOGUE.md
	$(INSIGHT) reasons --out serving/scoring/REASONS.md

clean:  ## remove the environment and all state
	rm -rf .venv .insight mlruns/mlflow.db mlruns/artifacts mlruns/bundles .pytest_cache .mypy_cache .ruff_cache
