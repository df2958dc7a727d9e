"""The wire body of one Messages request. Pure; every text part is one JSON string of its own, so that the gate can look at it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from policies.model import Endpoint
from sinks.errors import EndpointError
from sinks.lanes.anthropic_schema import taken
from sinks.request import Message, Part, Prompt, TaskKind, spoken

EXTRACTION = "extraction"
"""The name of the tool whose input is the extraction, where the endpoint's model knows no structured output."""

# From this version on the API refuses temperature at any value, so only an endpoint that names an earlier one sends it.
_WITHOUT_SAMPLING = "2026-10-21"
_CACHED = {"type": "ephemeral", "ttl": "1h"}
_CHOICES = {
    "structured_output": ("json_schema", "tool"),
    "thinking": ("", "disabled", "adaptive"),
    "effort": ("", "low", "medium", "high", "xhigh", "max"),
    "api_version": (_WITHOUT_SAMPLING, "2023-06-01"),
}


def setting(endpoint: Endpoint, name: str) -> str:
    """A setting with a closed list of values; the first is the default. Raises EndpointError for another."""
    value = endpoint.settings.get(name, _CHOICES[name][0])
    if value not in _CHOICES[name]:
        known = ", ".join(choice for choice in _CHOICES[name] if choice)
        msg = f"endpoint {endpoint.name}: settings.{name}: expected one of {known}, found {value!r}; correct it in the endpoint registry"
        raise EndpointError(msg)
    return str(value)


def check_settings(endpoint: Endpoint) -> None:
    """Raises EndpointError where a setting of this engine has a value that it cannot have."""
    for name in _CHOICES:
        setting(endpoint, name)
    if endpoint.base_url.rstrip("/").endswith("/v1"):
        msg = f"endpoint {endpoint.name}: base_url: expected the API's root without /v1, which the client adds; correct it in the registry"
        raise EndpointError(msg)
    cached = endpoint.settings.get("prompt_cache", False)
    if not isinstance(cached, bool):
        msg = f"endpoint {endpoint.name}: settings.prompt_cache: expected true or false, found {cached!r}; correct it in the registry"
        raise EndpointError(msg)


def message_body(messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    """The parameters of one request: system blocks, messages, limits, and the schema of an extraction."""
    constants = _constant_blocks(prompt) if endpoint.settings.get("prompt_cache", False) is True else 0
    numbered = iter(range(1, 1 << 31))
    system = [block for message in _of(messages, system=True) for block in _blocks(message, numbered, constants)]
    turns = [{"role": message.role, "content": list(_blocks(message, numbered, constants))} for message in _of(messages, system=False)]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": prompt.max_tokens,
        "messages": [turn for turn in turns if turn["content"]],
        **({"system": system} if system else {}),
    }
    if setting(endpoint, "api_version") < _WITHOUT_SAMPLING:
        body["temperature"] = prompt.temperature
    if setting(endpoint, "thinking"):
        body["thinking"] = {"type": setting(endpoint, "thinking")}
    body |= _structured(prompt, endpoint)
    return body


def _structured(prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    effort = setting(endpoint, "effort")
    config: dict[str, Any] = {"effort": effort} if effort else {}
    tool: dict[str, Any] = {}
    if prompt.kind is TaskKind.EXTRACT and prompt.schema is not None:
        if setting(endpoint, "structured_output") == "json_schema":
            config["format"] = {"type": "json_schema", "schema": taken(prompt.schema)}
        else:
            schema = {key: value for key, value in prompt.schema.items() if key != "$schema"}
            tool["tools"] = [{"name": EXTRACTION, "description": "Records what was extracted.", "input_schema": schema}]
            tool["tool_choice"] = {"type": "tool", "name": EXTRACTION}
    return {**tool, **({"output_config": config} if config else {})}


def _of(messages: Sequence[Message], *, system: bool) -> list[Message]:
    return [message for message in spoken(messages) if (message.role == "system") is system]


def _blocks(message: Message, numbered: Iterator[int], constants: int) -> Iterator[dict[str, Any]]:
    """Text blocks. The last block of what is the same in every request carries the mark up to which the provider may cache."""
    for part in message.parts:
        if not _is_blank(part):
            mark = {"cache_control": dict(_CACHED)} if next(numbered) == constants else {}
            yield {"type": "text", "text": part.text, **mark}


def _constant_blocks(prompt: Prompt) -> int:
    """How many blocks come before a record's first word, in the order in which the provider reads them. No record has fewer."""
    count = 0
    for message in [*_of(prompt.messages, system=True), *_of(prompt.messages, system=False)]:
        for part in message.parts:
            if part.slot is not None:
                return count
            count += not _is_blank(part)
    return count


def _is_blank(part: Part) -> bool:
    """White space between two slots: the API refuses blocks without a word, and blocks are apart from each other anyway."""
    return part.slot is None and not part.text.strip()
