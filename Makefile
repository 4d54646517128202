# demo: watch a rollout, a bad release and a rollback · test: everything that proves it
# check: types, style, layers · simulate: seeded rollouts with faults · bench: numbers and peers
# docs: generated pages · requirements: which test proves which row · lock: pin versions and hashes

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 5000

.PHONY: demo test check bench simulate docs requirements lock
.DELETE_ON_ERROR:

$(VENV)/.ready: pyproject.toml requirements.lock scripts/environment
	@PYTHON="$(PYTHON)" scripts/environment "$(VENV)"

demo: $(VENV)/.ready
	@$(BIN)/python -m holdfast.drills.demo --html demo-report.html --json demo-report.json

test: check
	@$(BIN)/python -m pytest -q -n 2 -m "not live"
	@$(BIN)/python -m pytest -q -m live --durations=10
	@$(BIN)/python -m holdfast.drills.simulation --seeds 5000 --jobs 2

check: $(VENV)/.ready
	@$(BIN)/ruff check src tests benchmarks examples scripts
	@$(BIN)/ruff format --check -q src tests benchmarks examples scripts
	@$(BIN)/mypy -p holdfast
	@$(BIN)/lint-imports --no-logo

simulate: $(VENV)/.ready
	@$(BIN)/python -m holdfast.drills.simulation --seeds $(SEEDS) --jobs 2

bench: $(VENV)/.ready
	@$(BIN)/python benchmarks/run_all.py

docs: $(VENV)/.ready
	@$(BIN)/python scripts/write_docs.py

requirements: $(VENV)/.ready
	@$(BIN)/python scripts/requirements.py

lock: $(VENV)/.ready
	@$(BIN)/pip-compile -q --all-extras --generate-hashes --strip-extras --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header \
	  --no-annotate -o requirements.lock pyproject.toml
