"""How many tokens a request will be, before anybody has counted: what is expected, and what it cannot exceed. Pure.

Without a tokenizer, a token of ordinary text is three bytes or more, so a third of the bytes is what to expect. No token is less than a
byte, so the bytes are a bound for any text, digits and rare scripts included. What a provider puts around the parts is added to both. A
schema counts in its longest form: where a provider takes no lists of types, each type is written out with all that lies below it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sinks.lanes.anthropic_schema import taken
from sinks.request import Prompt, spoken

BYTES_PER_TOKEN = 3

# What chat templates put around messages and their parts is a handful of tokens each; for structured output providers add a system prompt
# of their own, the longest documented one 530 tokens.
PER_REQUEST = 64
PER_PART = 16
PER_SCHEMA = 640

CountTokens = Callable[[str], int]
"""A tokenizer: the tokens of one text, exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTokens:
    """The input of one request: expected, and at most."""

    expected: int
    at_most: int


def input_tokens(prompt: Prompt, parts: Mapping[str, str], count: CountTokens | None = None) -> InputTokens:
    """Estimate the input of one record's request. count: the endpoint's tokenizer, with which both figures are the same."""
    texts = [part.text for message in spoken(prompt.fill(parts)) for part in message.parts]
    around = PER_REQUEST + PER_PART * len(texts)
    if prompt.schema is not None:
        texts.append(_longest_form(json.dumps(prompt.schema, ensure_ascii=False)))
        around += PER_SCHEMA
    if count is not None:
        exact = sum(map(count, texts)) + around
        return InputTokens(expected=exact, at_most=exact)
    size = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    return InputTokens(expected=-(-size // BYTES_PER_TOKEN) + around, at_most=size + around)


@functools.lru_cache(maxsize=16)
def _longest_form(schema: str) -> str:
    """The longer of a schema as it is, and as the lanes write it that must."""
    return max(schema, json.dumps(taken(json.loads(schema)), ensure_ascii=False), key=lambda form: len(form.encode(errors="surrogatepass")))
