"""From a row's messages to the tokens of a prompt, by the model's own chat template.

A record must not speak for anyone else: where its text spells one of the model's control tokens (`<|im_end|>` and the like), that text is
made into plain tokens, so that it can neither end its message nor begin an answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import RowError, UnloadableError

TEXT_SLOT = "text"
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")  # no tokenizer takes one; a replacement of one character keeps offsets
_ROLES = ("system", "user", "assistant")
_MARK_BYTES = 12

# One message: its role and its pieces; a piece is a text and whether it is the record's.
_Message = tuple[str, list[tuple[str, bool]]]


class Prompts:
    """One model's tokenizer and template."""

    def __init__(self, tokenizer: Any) -> None:
        """Raises UnloadableError when the model has no chat template that renders a user's message."""
        self._tokenizer = tokenizer
        self._control = _control_pattern(tokenizer)
        # Some models' templates refuse a system message; its text then leads the user's.
        self._merges_system = not self._renders("system", "user")
        if self._merges_system and not self._renders("user"):
            raise UnloadableError("the model has no usable chat template; put a chat_template.jinja beside its tokenizer")

    def ids(self, body: Mapping[str, Any], text: str | None = None) -> list[int]:
        """The prompt of this row, with `text` in place of the record's own if given. Raises RowError."""
        messages = _messages(body, text)
        if self._merges_system:
            messages = _merged(messages)
        try:
            if self._control is not None and any(
                is_record and self._control.search(piece) for _, pieces in messages for piece, is_record in pieces
            ):
                return self._guarded(messages)
            return self._apply([{"role": role, "content": "".join(piece for piece, _ in pieces)} for role, pieces in messages])
        except RowError:
            raise
        except Exception:  # noqa: BLE001 - templates raise what they like, and their messages quote the record
            raise RowError("request_refused") from None

    def _apply(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        # Two steps as vLLM does it, but for tokenizers (Mistral's) whose template makes no text.
        ids = self._tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
        return [int(token) for token in ids]

    def _guarded(self, messages: list[_Message]) -> list[int]:
        """Record pieces are taken out before the template, and their tokens put in where it placed them."""
        mark, kept = f"slot{os.urandom(_MARK_BYTES).hex()}", list[str]()
        marked = []
        for role, pieces in messages:
            content = ""
            for piece, is_record in pieces:
                content += f"{mark}n{len(kept)}e" if is_record else piece
                kept += [piece] if is_record else []
            marked.append({"role": role, "content": content})
        rendered = self._tokenizer.apply_chat_template(marked, tokenize=False, add_generation_prompt=True)
        segments = re.split(rf"{mark}n(\d+)e", rendered)
        if {int(number) for number in segments[1::2]} != set(range(len(kept))):
            raise RowError("request_refused")  # the template drops or changes what it is given
        ids: list[int] = []
        for position, segment in enumerate(segments):
            is_record = position % 2 == 1
            ids += self._encode(kept[int(segment)] if is_record else segment, plain=is_record)
        return ids

    def _encode(self, text: str, *, plain: bool) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, split_special_tokens=plain)["input_ids"]) if text else []

    def _renders(self, *roles: str) -> bool:
        try:
            return len(self._apply([{"role": role, "content": "."} for role in roles])) > 0
        except Exception:  # noqa: BLE001 - a template refuses by any exception
            return False


def record_text(body: Mapping[str, Any]) -> str | None:
    """The record's document as the prompt will carry it, or None when the template has no place for it."""
    for message in body["messages"]:
        for part in message["content"]:
            if part.get("slot") == TEXT_SLOT:
                return _plain(part["text"])
    return None


def request_salt(salt: str, body: Mapping[str, Any]) -> str:
    """The prefix cache's salt: the worker's own, and the values of the job's salt columns where it names any."""
    values = [[part["slot"], part["text"]] for part in body.get("cache_salt") or ()]
    return hashlib.sha256(json.dumps([salt, *values]).encode()).hexdigest()


def _messages(body: Mapping[str, Any], text: str | None) -> list[_Message]:
    """The pieces of each message. Raises RowError for anything that is not a chat with text in it; engines take such things silently."""
    try:
        messages = [
            (
                message["role"],
                [
                    (_plain(text if text is not None and part.get("slot") == TEXT_SLOT else part["text"]), part.get("slot") is not None)
                    for part in message["content"]
                ],
            )
            for message in body["messages"]
        ]
    except (KeyError, TypeError, AttributeError):
        raise RowError("request_refused") from None
    told = any(piece.strip() for _, pieces in messages for piece, _ in pieces)
    if not told or any(role not in _ROLES for role, _ in messages):
        raise RowError("request_refused")
    return messages


def _merged(messages: list[_Message]) -> list[_Message]:
    system = [piece for role, pieces in messages if role == "system" for piece in (*pieces, ("\n\n", False))]
    rest = [message for message in messages if message[0] != "system"]
    if not system:
        return rest
    first, *others = rest or [("user", [])]
    return [(first[0], [*system, *first[1]]), *others]


def _plain(text: str) -> str:
    return _LONE_SURROGATES.sub("\ufffd", text)


def _control_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """What a text must contain to be mistaken for control. None for tokenizers that never read control out of text."""
    added = getattr(tokenizer, "added_tokens_decoder", None)
    if added is None:
        return None
    words = {str(token) for token in added.values() if token.special} | set(tokenizer.all_special_tokens)
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word)) if words else None
