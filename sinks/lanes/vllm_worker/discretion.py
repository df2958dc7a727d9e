"""Nothing that reports, asks a hub or writes prompts down: asserted at each start, whoever made the environment and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import RefusedError

_DEMANDED = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_HOST_IP": "127.0.0.1",
}
_QUIET_LEVELS = frozenset({"INFO", "WARNING", "ERROR", "CRITICAL"})
# Any value of these is refused: they log requests, replace the logging, report, or name another source of models.
_REFUSED = frozenset(
    {
        "HF_ENDPOINT",
        "LLGUIDANCE_LOG_LEVEL",
        "VLLM_API_KEY",
        "VLLM_DEBUG_DUMP_PATH",
        "VLLM_DEBUG_LOG_API_SERVER_RESPONSE",
        "VLLM_LOGGING_CONFIG_PATH",
        "VLLM_TRACE_FUNCTION",
        "VLLM_USAGE_STATS_SERVER",
        "VLLM_USE_MODELSCOPE",
    }
)
_REFUSED_PREFIXES = ("OTEL_", "AWS_", "MODELSCOPE_")
_PROXY, _NO_PROXY = "_PROXY", "NO_PROXY"
_TOKEN_WORDS = ("HF_TOKEN", "HUGGING_FACE", "HUGGINGFACE")
# A request that is logged is a prompt in a file; the others report, fetch, or hand the cache to somebody.
_REFUSED_SETTINGS = frozenset(
    {
        "allowed_local_media_path",
        "allowed_media_domains",
        "collect_detailed_traces",
        "disable_log_stats",
        "ec_transfer_config",
        "enable_log_outputs",
        "enable_log_requests",
        "hf_token",
        "kv_events_config",
        "kv_transfer_config",
        "model",
        "otlp_traces_endpoint",
        "profiler_config",
        "structured_outputs_config",
        "tokenizer",
    }
)
# Ray opens ports and writes logs of its own; any other word names a class to import.
_EXECUTOR, _EXECUTORS = "distributed_executor_backend", (None, "mp", "uni")


def assert_discretion(environment: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Raise RefusedError unless this environment and these engine settings keep prompts here. It names no value."""
    for name, value in _DEMANDED.items():
        if environment.get(name) != value:
            raise RefusedError(f"expected {name}={value} in the environment; the lane sets it")
    if environment.get("VLLM_LOGGING_LEVEL", "INFO").upper() not in _QUIET_LEVELS:
        raise RefusedError("VLLM_LOGGING_LEVEL would log prompts; expected INFO or higher")
    for name in environment:
        if _is_refused(name.upper()):
            raise RefusedError(f"{name} is set in the environment; a local engine runs without it")
    for name in settings:
        if name in _REFUSED_SETTINGS:
            raise RefusedError(f"the engine setting {name} is not allowed; take it out of the endpoint's settings")
    if settings.get(_EXECUTOR) not in _EXECUTORS:
        raise RefusedError(f"the engine setting {_EXECUTOR} is not allowed; expected mp or uni")


def _is_refused(name: str) -> bool:
    if name in _REFUSED or name.startswith(_REFUSED_PREFIXES):
        return True
    return (name.endswith(_PROXY) and name != _NO_PROXY) or any(name.startswith(word) for word in _TOKEN_WORDS)
