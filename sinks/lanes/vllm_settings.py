"""The settings of a `vllm_offline` endpoint, read strictly: what cannot be right is refused before anything is opened.

A setting that would write prompts or answers to a log is refused by name (invariant 5), and so is one that nobody knows: a typing error
in a registry must not become the engine's default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from policies.model import Endpoint
from sinks.errors import EndpointError

DEFAULT_WINDOW = 64
NETNS = "netns"
TENSOR_PARALLEL = "tensor_parallel_size"
EXECUTORS = ("mp", "uni")
"""Processes of this machine. Ray opens ports and writes logs of its own, and any other word names a class to import."""

# Settings of an endpoint that go to the engine as they are, with the types that they may have.
ENGINE_SETTINGS: Mapping[str, tuple[type, ...]] = {
    "block_size": (int,),
    "cpu_offload_gb": (int, float),
    "distributed_executor_backend": (str,),
    "dtype": (str,),
    "enable_prefix_caching": (bool,),
    "enforce_eager": (bool,),
    "gpu_memory_utilization": (float,),
    "kv_cache_dtype": (str,),
    "kv_cache_memory_bytes": (int,),
    "max_lora_rank": (int,),
    "max_model_len": (int,),
    "max_num_batched_tokens": (int,),
    "max_num_seqs": (int,),
    "quantization": (str,),
    TENSOR_PARALLEL: (int,),
}
_OURS: Mapping[str, tuple[type, ...]] = {
    "model_path": (str,),
    "python": (str,),
    "device": (str,),
    "lora_path": (str,),
    "window": (int,),
    "replicas": (int,),
    "gpus_per_replica": (int,),
    "isolation": (str,),
    "long_documents": (bool,),
    # Read elsewhere: how shards are cut (`sinks/packing.py`), how long recovery waits (`sinks/reconcile.py`), how tokens are counted
    # (`flows/tokenizers.py`), and what they cost (`policies/prices.py`).
    "shard_max_rows": (int,),
    "shard_max_bytes": (int,),
    "shard_min_rows": (int,),
    "enqueued_tokens": (int,),
    "reconcile_after_s": (int, float),
    "tokenizer": (str,),
    "usd_per_million_input": (str, int, float),
    "usd_per_million_output": (str, int, float),
}
_CHOICES = {"device": ("", "cpu"), "isolation": ("none", NETNS), "distributed_executor_backend": EXECUTORS}
_POSITIVE = ("window", "replicas", "gpus_per_replica", TENSOR_PARALLEL)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

# enable_chunked_prefill: on a CPU a seeded sample dies of a prompt that is prefilled in pieces ("CPU Generator does not use offset").
_CPU_ENGINE: Mapping[str, bool | int | float | str] = {
    "distributed_executor_backend": "uni",
    "block_size": 32,
    "enforce_eager": True,
    "enable_chunked_prefill": False,
}
_BATCHED_TOKENS = 2048
"""What the engine takes in one step at the least; without chunks, a whole prompt must fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an endpoint asks for. python: None for the job's. devices: of each replica. engine: keyword arguments of `vllm.LLM`."""

    model: str
    model_path: str
    lora_path: str | None
    python: str | None
    device: str
    window: int
    isolation: str
    long_documents: bool
    devices: tuple[tuple[str, ...], ...]
    engine: Mapping[str, Any]


def check_settings(endpoint: Endpoint) -> None:
    """Raise EndpointError, with one line naming endpoint and setting, unless the endpoint's settings can be used."""
    read_settings(endpoint)


def read_settings(endpoint: Endpoint) -> EngineSettings:
    """The endpoint's settings with their defaults. Raises EndpointError."""
    given = endpoint.settings
    for name, value in given.items():
        _check(endpoint, name, value)
    engine = {name: given[name] for name in ENGINE_SETTINGS if name in given}
    gpus = int(given.get("gpus_per_replica", engine.get(TENSOR_PARALLEL, 1)))
    if engine.get(TENSOR_PARALLEL, gpus) != gpus:
        raise _error(endpoint, TENSOR_PARALLEL, f"expected what gpus_per_replica says, {gpus}; name one of the two")
    cpu = given.get("device") == "cpu"
    lora_path = given.get("lora_path")
    return EngineSettings(
        model=endpoint.model,
        model_path=str(given.get("model_path", endpoint.model)),
        lora_path=None if lora_path is None else str(lora_path),
        python=str(given["python"]) if "python" in given else None,
        device="cpu" if cpu else "",
        window=int(given.get("window", DEFAULT_WINDOW)),
        isolation=str(given.get("isolation", "none")),
        long_documents=bool(given.get("long_documents", True)),
        devices=_cpus(given) if cpu else _gpus(endpoint, gpus),
        engine={
            "seed": 0,
            **({"enable_lora": True} if lora_path is not None else {}),
            **({TENSOR_PARALLEL: gpus} if gpus > 1 else {}),
            **(_CPU_ENGINE if cpu else {}),
            **({"max_num_batched_tokens": max(_BATCHED_TOKENS, int(engine["max_model_len"]))} if cpu and "max_model_len" in engine else {}),
            **engine,
        },
    )


def _check(endpoint: Endpoint, name: str, value: object) -> None:
    if "log" in name.lower():  # enable_log_requests, enable_log_outputs, VLLM_LOGGING_LEVEL, max_log_len, …
        raise _error(endpoint, name, "what the engine logs is not for a registry to say: prompts and answers stay out of logs; remove it")
    types = _OURS.get(name) or ENGINE_SETTINGS.get(name)
    if types is None:
        raise _error(endpoint, name, f"no such setting; expected one of {', '.join(sorted({*_OURS, *ENGINE_SETTINGS}))}")
    # True is an int to Python, and 1 no float: what was written must be what is meant.
    if type(value) not in types and not (float in types and type(value) is int):
        raise _error(endpoint, name, f"expected {_WORDS[types[-1]]}, found {value!r}")
    if value not in _CHOICES.get(name, (value,)):
        raise _error(endpoint, name, f"expected one of {', '.join(repr(one) for one in _CHOICES[name])}, found {value!r}")
    if name in _POSITIVE and isinstance(value, int) and value < 1:
        raise _error(endpoint, name, f"expected 1 or more, found {value}")


def _cpus(given: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:
    return tuple((f"cpu-{number}",) for number in range(int(str(given.get("replicas", 1)))))


def _gpus(endpoint: Endpoint, gpus: int) -> tuple[tuple[str, ...], ...]:
    """The devices that we were given (else the first ones), in equal shares."""
    replicas = int(endpoint.settings.get("replicas", 1))
    inherited = os.environ.get("CUDA_VISIBLE_DEVICES")
    if inherited is None:
        visible = [str(number) for number in range(replicas * gpus)]
    else:
        names = [name.strip() for name in inherited.split(",")]
        # As CUDA reads it: nothing counts from the first invalid entry on, and nothing counts twice.
        visible = list(dict.fromkeys(takewhile(lambda name: name not in {"", "-1"}, names)))
    if len(visible) < replicas * gpus:
        found = f"CUDA_VISIBLE_DEVICES names {len(visible)}"
        raise _error(endpoint, "replicas", f"{replicas} with {gpus} GPU(s) each need {replicas * gpus} devices, {found}")
    return tuple(tuple(visible[number * gpus : (number + 1) * gpus]) for number in range(replicas))


def _error(endpoint: Endpoint, name: str, what: str) -> EndpointError:
    return EndpointError(f"endpoint {endpoint.name!r}: settings.{name}: {what}")
