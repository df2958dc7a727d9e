"""One row on its way: a single question, or a long document in chunks whose answers are asked about again until one is left. Pure.

- A document is split only when its kind allows it (`text` given) and its prompt is over the limit.
- Each level is at least a tenth shorter than the one before, or the row ends: no model can keep it going.
- A part that fails fails the row: a summary that silently lacks a part is worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import RowError
from .splitting import UnsplittableError, split

_SHRINK = 0.9
_JOIN = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the engine said to one call. `logprob` is the sum over the answer's tokens."""

    text: str = field(repr=False)
    finish_reason: str
    tokens_in: int
    tokens_out: int
    logprob: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One question to the engine. A final call's answer is the row's."""

    work: Work
    number: int
    final: bool
    _ids: list[int] | None = field(default=None, repr=False)
    _text: str = field(default="", repr=False)

    def ids(self) -> list[int]:
        """The prompt's tokens; those of a chunk are made when its turn comes."""
        return self.work.render(self._text) if self._ids is None else self._ids


class Work:
    """One row: the calls it needs and the answers it has.

    render: the prompt's tokens with this in place of the record's text (None: with the text itself). limit: the most tokens that a prompt
    may have. text: the record's text if it may be split, else None. constrained: whether the answer is bound to a schema.
    """

    def __init__(
        self, row_id: str, *, render: Callable[[str | None], list[int]], limit: int, text: str | None, constrained: bool = False
    ) -> None:
        self.row_id, self.render, self._constrained = row_id, render, constrained
        self._limit, self._text = limit, text
        self._chunks: list[tuple[int, int]] | None = None
        self._size = 0
        self._partials: list[str | None] = []
        self._tokens_in = self._tokens_out = 0

    def begin(self) -> list[Call]:
        """The first calls. Raises RowError when the prompt is too long and cannot be split."""
        ids = self.render(None)
        if len(ids) <= self._limit:
            return [Call(work=self, number=0, final=True, _ids=ids)]
        if self._text is None:
            raise RowError("prompt_too_long")
        self._size = len(ids)
        self._chunks = self._split(self._text)
        return self._level([self._text[start:end] for start, end in self._chunks])

    def take(self, call: Call, answer: Answer) -> list[Call] | dict[str, Any]:
        """The calls that follow from this answer, or the row's result once it is complete. Raises RowError."""
        self._tokens_in += answer.tokens_in
        self._tokens_out += answer.tokens_out
        if (code := _code(answer, constrained=self._constrained)) is not None:
            return self.failed(code, finish_reason=answer.finish_reason)
        if call.final:
            return self._result(answer)
        self._partials[call.number] = answer.text.strip()
        return [] if None in self._partials else self._reduce()

    def failed(self, code: str, finish_reason: str | None = None) -> dict[str, Any]:
        """The result of a row without an answer, with what it has used."""
        used = {"tokens_in": self._tokens_in, "tokens_out": self._tokens_out} if self._tokens_in else {}
        return {"row_id": self.row_id, "error_code": code, "finish_reason": finish_reason, **used}

    def _reduce(self) -> list[Call]:
        joined = _JOIN.join(partial for partial in self._partials if partial)
        ids = self.render(joined)
        if len(ids) <= self._limit:
            return [Call(work=self, number=0, final=True, _ids=ids)]
        if len(ids) > self._size * _SHRINK:
            raise RowError("prompt_too_long")
        self._size = len(ids)
        return self._level([joined[start:end] for start, end in self._split(joined)])

    def _level(self, pieces: list[str]) -> list[Call]:
        # Nothing can be asked about white space; it is covered by saying nothing.
        self._partials = [None if piece.strip() else "" for piece in pieces]
        calls = [Call(work=self, number=number, final=False, _text=piece) for number, piece in enumerate(pieces) if piece.strip()]
        if not calls:
            raise RowError("prompt_too_long")
        return calls

    def _split(self, text: str) -> list[tuple[int, int]]:
        try:
            return split(text, lambda piece: len(self.render(piece)), self._limit)
        except UnsplittableError:
            raise RowError("prompt_too_long") from None

    def _result(self, answer: Answer) -> dict[str, Any]:
        return {
            "row_id": self.row_id,
            "output": answer.text,
            "finish_reason": answer.finish_reason,
            "tokens_in": self._tokens_in,
            "tokens_out": self._tokens_out,
            "confidence": _mean(answer.logprob, answer.tokens_out),
            "chunks": self._chunks,
        }


def _mean(total: float | None, count: int) -> float | None:
    """None where there is no number that JSON can hold: a token of probability zero has an endless logarithm."""
    return None if total is None or not count or not math.isfinite(total) else total / count


def _code(answer: Answer, *, constrained: bool) -> str | None:
    """Why this answer is none. One that was cut is half an answer, and no valid JSON."""
    if answer.finish_reason == "stop":
        return None if answer.text.strip() else "empty_output"
    if answer.finish_reason == "length":
        return "max_tokens"
    # The engine compiles a schema while the request waits; one that it cannot ends the request before its first token.
    return "invalid_schema" if constrained and not answer.tokens_out else "engine_error"
