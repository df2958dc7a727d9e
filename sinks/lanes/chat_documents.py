"""One record of a server inside: from the checked body to the wire, and documents longer than the server's context in pieces. Pure.

No tokenizer is asked: a text is taken to fit by its bytes. Whoever extracts must have read everything, so there a token of a record is one
byte, and no text has more; a summary may try with three, which prose has and digits have not. A server that refuses a piece all the same,
or that counts so many tokens that it may have cut the prompt without a word (Ollama does), gets smaller ones of a summary; an extraction
fails. What looks like a control token in a record is broken up on the wire (`control_tokens`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.model import Endpoint
from sinks.clients.chat_client import Reply
from sinks.errors import EndpointError
from sinks.lanes.control_tokens import guarded
from sinks.lanes.openai_rows import read_response
from sinks.lanes.vllm_worker.splitting import UnsplittableError, split
from sinks.request import TaskKind
from sinks.shard import LaneResult

TOO_LONG = "prompt_too_long"
TEXT_SLOT = "text"
OVERHEAD_TOKENS = 64
"""What a chat template adds to a prompt, at the most."""
BYTES_PER_TOKEN = {TaskKind.SUMMARIZE: 3.0, TaskKind.EXTRACT: 1.0}
"""Of a record's text, unless the endpoint's settings say otherwise."""
TEMPLATE_BYTES_PER_TOKEN = 3.0
"""Of the words and the schema of a job, which are no record's to choose."""
MOST_HALVINGS = 3
MOST_LEVELS = 6
"""Of summaries of summaries: each level is a few times shorter than the one before, so six are beyond any document."""

_CLIENT_ERROR = 400

Ask = Callable[[bytes], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How the server is to be used.

    max_model_len: its context in tokens. bytes_per_token: how few bytes of a record a token stands for at the least; None for what the
    task demands. salt: what keeps its cached prefixes ours.
    """

    max_model_len: int
    bytes_per_token: float | None = None
    concurrency: int = 16
    salt: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint, salt: str) -> ChatOptions:
        """The endpoint's settings. Raises EndpointError."""
        given = endpoint.settings.get("max_model_len")
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise EndpointError(
                f"endpoint {endpoint.name}: settings.max_model_len: expected the server's context in tokens, found {given!r}; a server may "
                "cut longer prompts without a word, so it must be known"
            )
        given_bytes = _number(endpoint, "bytes_per_token", 1.0) if "bytes_per_token" in endpoint.settings else None
        return cls(
            max_model_len=given,
            bytes_per_token=given_bytes,
            concurrency=int(_number(endpoint, "concurrency", 16)),
            salt=salt,
        )

    def of_kind(self, kind: str) -> ChatOptions:
        """The same for one kind of task."""
        return replace(self, bytes_per_token=self.bytes_per_token or BYTES_PER_TOKEN[TaskKind(kind)])

    def tokens(self, text: str) -> int:
        """Not less than the tokens of a record's text, as it goes over the wire."""
        return _tokens(guarded([(text, True)]), self.bytes_per_token or BYTES_PER_TOKEN[TaskKind.EXTRACT])


def _tokens(text: str, bytes_per_token: float) -> int:
    return int(len(text.encode("utf-8", "surrogatepass")) / bytes_per_token) + 1


def _number(endpoint: Endpoint, name: str, default: float) -> float:
    value = endpoint.settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        raise EndpointError(f"endpoint {endpoint.name}: settings.{name}: expected a number of at least 1, found {value!r}")
    return float(value)


def answer(body: Mapping[str, Any], options: ChatOptions, ask: Ask) -> LaneResult:
    """The server's answer to a checked body. Its `row_id` is empty: the caller knows it."""
    options = options.of_kind(body["kind"])
    text = _text_of(body)
    room = options.max_model_len - int(body["max_tokens"]) - OVERHEAD_TOKENS - _tokens_without_text(body, options)
    fits = options.tokens(text) <= room
    result = _one(body, options, ask, text) if fits else LaneResult(row_id="", error_code=TOO_LONG)
    budget = min(room, options.tokens(text)) // (2 if fits else 1)
    for _ in range(MOST_HALVINGS):
        if result.error_code != TOO_LONG or body["kind"] != TaskKind.SUMMARIZE or budget < 1:
            break
        result = _in_pieces(body, options, ask, text, budget)
        budget //= 2
    return result


def _in_pieces(body: Mapping[str, Any], options: ChatOptions, ask: Ask, text: str, budget: int) -> LaneResult:
    """Summaries of pieces, then a summary of the summaries, until one is left. An error of any piece is the record's."""
    spans: tuple[tuple[int, int], ...] | None = None
    tokens_in = tokens_out = 0
    for _ in range(MOST_LEVELS):
        try:
            pieces = split(text, options.tokens, budget)
        except UnsplittableError:
            break
        spans = spans or tuple(pieces)
        parts = []
        for start, end in pieces:
            if not text[start:end].strip():  # nothing can be asked about white space
                continue
            part = _one(body, options, ask, text[start:end])
            tokens_in, tokens_out = tokens_in + (part.tokens_in or 0), tokens_out + (part.tokens_out or 0)
            if part.error_code is not None:
                return replace(part, tokens_in=tokens_in, tokens_out=tokens_out)
            parts.append(part)
        if len(parts) == 1:
            return replace(parts[0], tokens_in=tokens_in, tokens_out=tokens_out, chunks=spans)
        shorter = "\n\n".join(part.output or "" for part in parts)
        if len(shorter) >= len(text):  # a model that does not shorten would go on for ever
            break
        text = shorter
    return LaneResult(row_id="", error_code=TOO_LONG, tokens_in=tokens_in, tokens_out=tokens_out)


def _one(body: Mapping[str, Any], options: ChatOptions, ask: Ask, text: str) -> LaneResult:
    reply = ask(wire(body, options, text))
    if reply.status == 0:
        return LaneResult(row_id="", error_code=reply.failure)
    # The model is the one that was asked for: what a server calls itself could be the text that it was sent.
    result = replace(read_response("", reply.status, reply.tree), model=body["model"])
    if reply.status < _CLIENT_ERROR and (result.tokens_in or 0) + int(body["max_tokens"]) >= options.max_model_len:
        return LaneResult(row_id="", error_code=TOO_LONG, model=result.model, tokens_in=result.tokens_in, tokens_out=result.tokens_out)
    return replace(result, confidence=_confidence(reply.tree)) if result.output is not None else result


def wire(body: Mapping[str, Any], options: ChatOptions, text: str) -> bytes:
    """The request: parts joined as the template has them, `text` in the place of the document, the salt as a digest.

    A control token in a record's part is broken up.
    """
    request = {name: value for name, value in body.items() if name not in {"kind", "messages", "cache_salt"}}
    request["messages"] = [
        {"role": message["role"], "content": guarded([(_said(part, text), bool(part.get("slot"))) for part in message["content"]])}
        for message in body["messages"]
    ]
    salt = [options.salt, *(part["text"] for part in body.get("cache_salt", ()))]
    request["cache_salt"] = hashlib.sha256(json.dumps(salt).encode()).hexdigest()
    return json.dumps(request, allow_nan=False).encode()


def _said(part: Mapping[str, str], text: str) -> str:
    return text if part.get("slot") == TEXT_SLOT else part["text"]


def _text_of(body: Mapping[str, Any]) -> str:
    return next((part["text"] for part in _parts(body) if part.get("slot") == TEXT_SLOT), "")


def _tokens_without_text(body: Mapping[str, Any], options: ChatOptions) -> int:
    """Of the template and the schema (some servers put it into the prompt), and of the record's other columns."""
    schema = json.dumps(body["response_format"]) if "response_format" in body else ""
    ours = "".join(part["text"] for part in _parts(body) if not part.get("slot")) + schema
    return _tokens(ours, TEMPLATE_BYTES_PER_TOKEN) + sum(options.tokens(part["text"]) for part in _parts(body) if _is_column(part))


def _is_column(part: Mapping[str, str]) -> bool:
    return part.get("slot") not in {None, "", TEXT_SLOT}


def _parts(body: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    return [part for message in body["messages"] for part in message["content"]]


def _confidence(tree: Any) -> float | None:
    """Mean token log-probability, where the server gives them and they are numbers: NaN and infinity are not."""
    try:
        values = [float(token["logprob"]) for token in tree["choices"][0]["logprobs"]["content"]]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
