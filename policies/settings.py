"""The settings that an endpoint of each engine may have: a name that nobody reads is a mistake, and is refused where it is written.

Names only: whether a value will do is for the engine to say, in the module that reads it. `tests/policies/test_settings.py` compares this
list with what the program reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from policies.yaml_value import YamlValue

# sinks/packing.py, sinks/reconcile.py, flows/tokenizers.py; the prices of policies/prices.py are for the lane inside.
_EVERY = frozenset({"shard_max_rows", "shard_max_bytes", "shard_min_rows", "enqueued_tokens", "reconcile_after_s", "tokenizer"})
_STATED = frozenset({"usd_per_million_input", "usd_per_million_output"})
# sinks/clients/, sinks/egress.py, policies/check.py
_ADDRESS = frozenset({"allow_host", "local_networks", "timeout_s"})
# flows/lanes.py, policies/check.py, policies/prices.py, sinks/unshown.py
_BATCH = frozenset({"emulator", "emulator_delay_s", "emulator_faults", "charged_as", "results_after_s"})

SETTINGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "extractive": _EVERY | _STATED | {"workers"},
        "vllm_offline": _EVERY
        | _STATED
        | {"model_path", "python", "device", "lora_path", "window", "replicas", "gpus_per_replica", "isolation", "long_documents"}
        | {"block_size", "cpu_offload_gb", "distributed_executor_backend", "dtype", "enable_prefix_caching", "enforce_eager"}
        | {"gpu_memory_utilization", "kv_cache_dtype", "kv_cache_memory_bytes", "max_lora_rank", "max_model_len", "max_num_batched_tokens"}
        | {"max_num_seqs", "quantization", "tensor_parallel_size"},
        "openai_compatible": _EVERY | _STATED | _ADDRESS | {"max_model_len", "bytes_per_token", "concurrency", "strict_schema", "logprobs"},
        "openai_batch": _EVERY
        | _STATED
        | _ADDRESS
        | _BATCH
        | {"token_limit_field", "strict_schema", "batch_url", "expires_after_s", "api_version"},
        "anthropic_batch": _EVERY
        | _STATED
        | _ADDRESS
        | _BATCH
        | {"structured_output", "thinking", "effort", "api_version", "prompt_cache"},
        "bedrock_batch": _EVERY
        | _STATED
        | _ADDRESS
        | _BATCH
        | {"bucket", "prefix", "role_arn", "account", "kms_key", "timeout_h", "invocation", "structured_output", "send_temperature"}
        | {"prompt_cache", "unsafe_accept", "s3_endpoint_url"},
    }
)
"""By engine."""


def settings_of(value: YamlValue | None, engine: str) -> dict[str, bool | int | float | str]:
    """The settings of an endpoint as they are written. Raises PolicyFileError, at its line, for a name that the engine does not know."""
    if value is None:
        return {}
    found: dict[str, bool | int | float | str] = {}
    for name, entry in value.mapping("a table of settings").items():
        if name not in SETTINGS[engine]:
            entry.refuse(_unknown(name, engine))
        found[name] = entry.plain("true or false, a number, or a text")
    return found


def _unknown(name: str, engine: str) -> str:
    # What a server logs would be prompts and answers (invariant 5); such a name is no slip of the pen.
    if "log" in name.lower() and engine == "vllm_offline":
        return "what the engine logs is not for a registry to say: prompts and answers stay out of logs; remove it"
    close = difflib.get_close_matches(name, SETTINGS[engine], n=1)
    if close:
        return f"{engine} has no such setting; did you mean {close[0]}?"
    others = sorted(other for other, names in SETTINGS.items() if name in names)
    of = f" (it is one of {', '.join(others)})" if others else ""
    return f"{engine} has no such setting{of}; expected one of {', '.join(sorted(SETTINGS[engine]))}"
