#!/usr/bin/env bash
# The local lane on a machine with a GPU: figures for the table in benchmarks/README.md.
#
#     benchmarks/local_gpu.sh /srv/models/instruct-8b
#
# The model is a folder that is there already; nothing is downloaded but packages. It makes .venv and .venv-vllm (VLLM=gpu), looks
# whether the engine works (`waybill doctor`), and measures: about an hour for 8 billion parameters on one card. Options behind the model
# go to benchmarks/local.py, for example `--window 512 --large 2000`.
set -euo pipefail
cd "$(dirname "$0")/.."
model=$(realpath "${1:?the folder of a model, for example /srv/models/instruct-8b}")
shift

make vllm VLLM=gpu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/inbox"
cat >"$scratch/job.yaml" <<JOB
name: bench
source: {path: inbox}
task: {kind: summarize}
lanes: {local: vllm, cloud: null}
engine: {python: $PWD/.venv-vllm/bin/python, model: $model}
output: out/results
ledger: out/ledger
JOB
.venv/bin/waybill doctor --lane local --job "$scratch/job.yaml"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
make bench-local VLLM=gpu MODEL="$model" ARGUMENTS="$*"
