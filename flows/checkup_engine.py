"""What an engine's environment has, asked in a process of its own: vLLM and torch by importing them, GPUs and their memory by torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.checkup import Check, Health
from flows.model_folder import GIB
from sinks.lanes.vllm_process import worker_environment

PATIENCE_S = 300.0
"""Importing vLLM for the first time, from a cold disk, takes minutes."""
MADE_FOR = ((0, 32), (0, 34))
"""The versions that the worker was written for: from the first, below the second."""
_PROBE = """
import json
found = {"gpus": []}
try:
    import torch
    found |= {"torch": torch.__version__, "cuda": torch.version.cuda or torch.version.hip}
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        found["gpus"].append({"name": torch.cuda.get_device_name(number), "free": free, "total": total})
    import vllm
    found["vllm"] = vllm.__version__
except BaseException as error:
    found["error"] = f"{type(error).__name__}: {getattr(error, 'name', None) or 'see for yourself with the interpreter'}"
print()
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Two lines, and the memory of each device in bytes: of GPUs, or of this machine where the engine runs on its CPU."""

    engine: Check
    device: Check
    memory: tuple[int, ...]


def probe_engine(python: Path, device: str) -> Machine:
    """Import vLLM with this interpreter, in the worker's own environment."""
    found = _ask(python, device)
    engine = _engine(found, python)
    if device == "cpu":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        detail = f"cpu: {os.cpu_count()} cores, {memory / GIB:.1f} GiB; right for a trial, slow for a night"
        return Machine(engine=engine, device=Check(health=Health.GOOD, what="device", detail=detail), memory=(memory,))
    return Machine(engine=engine, device=_gpus(found), memory=tuple(int(gpu["total"]) for gpu in found.get("gpus", ())))


def _ask(python: Path, device: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the job names, our own program
            [str(python), "-P", "-c", _PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
            env=worker_environment(device),
        )
        form = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    except OSError as error:
        return {"error": f"{python} cannot be started ({error.strerror})"}
    except subprocess.TimeoutExpired:
        return {"error": f"the import did not end within {PATIENCE_S:.0f} s"}
    except ValueError:
        return {"error": f"the interpreter ended with status {done.returncode}"}
    return form if isinstance(form, dict) and form else {"error": f"the interpreter ended with status {done.returncode}"}


def _engine(found: dict[str, Any], python: Path) -> Check:
    if "vllm" not in found:
        reason = found.get("error", "it said nothing")
        detail = f"vLLM cannot be imported with {python}: {reason}; `make vllm` (VLLM=gpu for a GPU) makes such an environment"
        return Check(health=Health.BAD, what="engine", detail=detail)
    detail = f"vLLM {found['vllm']}, torch {found['torch']}, {python}"
    if not MADE_FOR[0] <= _numbers(found["vllm"]) < MADE_FOR[1]:
        low, high = (".".join(map(str, version)) for version in MADE_FOR)
        return Check(health=Health.DOUBTFUL, what="engine", detail=f"{detail}; made for {low} to below {high}: watch the first night")
    return Check(health=Health.GOOD, what="engine", detail=detail)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+", maxsplit=1)[0].split(".")[:2] if part.isdecimal())


def _gpus(found: dict[str, Any]) -> Check:
    gpus = found.get("gpus", [])
    if gpus:
        detail = ", ".join(f"{gpu['name']} {gpu['total'] / GIB:.1f} GiB ({gpu['free'] / GIB:.1f} free)" for gpu in gpus)
        taken = any(gpu["free"] < gpu["total"] * 0.9 for gpu in gpus)
        more = "; something else uses it: see nvidia-smi, or lower gpu_memory_utilization" if taken else ""
        return Check(health=Health.DOUBTFUL if taken else Health.GOOD, what="device", detail=detail + more)
    if not found.get("cuda"):
        detail = "this torch is built for CPUs: `make vllm VLLM=gpu` for a GPU, or `device: cpu` in the endpoint's settings for a trial"
    elif shutil.which("nvidia-smi") is not None:
        detail = "torch sees no GPU although nvidia-smi is there: see whether the driver is new enough, and CUDA_VISIBLE_DEVICES"
    else:
        detail = "no GPU, and no nvidia-smi: install the driver, or set `device: cpu` with a CPU build in the endpoint's settings"
    return Check(health=Health.BAD, what="device", detail=detail)
