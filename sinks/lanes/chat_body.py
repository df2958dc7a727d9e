"""The chat that both local model lanes freeze: what the gate looks at before a worker or a server gets anything. Pure.

Every part is a content element of its own, record parts with the name of their slot, so that each can be compared with what was scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policies.model import Endpoint
from sinks.request import SALT_ROLE, Message, Prompt, spoken


def chat_body(messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
    """Messages, sampling and, where the job names a column for it, the cache salt."""
    salt = [element for message in messages if message.role == SALT_ROLE for element in _elements(message)]
    return {
        "model": endpoint.model,
        "kind": prompt.kind.value,
        "messages": [{"role": message.role, "content": _elements(message)} for message in spoken(messages)],
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "seed": prompt.seed,
        **({"cache_salt": salt} if salt else {}),
    }


def _elements(message: Message) -> list[dict[str, str]]:
    return [{"type": "text", "text": part.text, **({"slot": part.slot} if part.slot else {})} for part in message.parts]
