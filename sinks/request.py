"""Neutral messages: what a prompt is before any provider's wire form, with record parts kept apart from template constants.

A template is rendered once per job into `Prompt`, a list of messages made of constants and slots. A record fills the
slots. Nothing else can enter a request, which is what lets the gate check a frozen row string by string (invariant 2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

SALT_ROLE = "cache_salt"
"""The role of the message that holds a record's cache salt. No model reads it: lanes send it as a parameter, or leave it out."""


class TaskKind(StrEnum):
    """What is asked of the model."""

    SUMMARIZE = "summarize"
    EXTRACT = "extract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of one message: a template constant (`slot` is None, `text` set) or a record slot (`slot` is its name)."""

    text: str = field(default="", repr=False)
    slot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; role is system or user, or SALT_ROLE for the one that is a parameter."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A job's registered template: constants and slots, and the task's fixed parameters.

    schema: the JSON Schema for extract, else None. max_tokens: the output limit per record. seed, temperature: sampling.
    salt_slot: the record part that keeps cached prompt prefixes of different tenants or matters apart, if the job names one.
    repair: the constant that a request ends with when a first answer did not keep to the schema; empty: nothing is asked again.
    repairing: whether this is the template in that form; it has the same hash, which covers the constant.
    """

    kind: TaskKind
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    salt_slot: str | None = None
    repair: str = ""
    repairing: bool = False
    _hash: str = field(default="", init=False, repr=False, compare=False)  # made when it is first asked for, then by every record

    @property
    def slots(self) -> tuple[str, ...]:
        """Slot names in order of first use, the salt's last."""
        used = [part.slot for message in self.messages for part in message.parts if part.slot]
        return tuple(dict.fromkeys([*used, *([self.salt_slot] if self.salt_slot else [])]))

    @property
    def constants(self) -> tuple[str, ...]:
        """Every constant string a request can carry because of the template or the schema."""
        texts = [part.text for message in self.messages for part in message.parts if part.slot is None]
        if self.repair:
            texts.append(self.repair)
        return (*texts, *([json.dumps(self.schema, ensure_ascii=False, sort_keys=True)] if self.schema else ()))

    @property
    def canonical(self) -> bytes:
        """The whole of it in one byte form; `read_prompt` reads it back."""
        form = {
            "kind": self.kind,
            "messages": [[m.role, [[p.slot, p.text] for p in m.parts]] for m in self.messages],
            "schema": self.schema,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            **({"salt_slot": self.salt_slot} if self.salt_slot else {}),
            **({"repair": self.repair} if self.repair else {}),
        }
        return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical form, hex: the `template_hash` of results and ledger, and the task's identity."""
        if not self._hash:
            object.__setattr__(self, "_hash", hashlib.sha256(self.canonical).hexdigest())
        return self._hash

    def present(self, record_parts: Mapping[str, str]) -> frozenset[str]:
        """The slots this record fills; parts for absent or empty slots are left out of its request."""
        return frozenset(slot for slot in self.slots if record_parts.get(slot))

    def as_repair(self) -> Prompt:
        """The form in which a record is asked once more: the same request, and at the end of what the user says the repair constant."""
        return replace(self, repairing=True)

    def fill(self, record_parts: Mapping[str, str]) -> tuple[Message, ...]:
        """The rendered request of one record: every remaining part has text; slot names are kept for the gate."""
        filled = []
        for message in self.messages:
            parts = [
                part if part.slot is None else Part(slot=part.slot, text=record_parts[part.slot])
                for part in message.parts
                if part.slot is None or record_parts.get(part.slot)
            ]
            if parts:
                filled.append(Message(role=message.role, parts=tuple(parts)))
        if self.repairing and self.repair:
            last = max((place for place, message in enumerate(filled) if message.role == "user"), default=len(filled) - 1)
            filled[last] = Message(role=filled[last].role, parts=(*filled[last].parts, Part(text=self.repair)))
        if self.salt_slot and record_parts.get(self.salt_slot):
            filled.append(Message(role=SALT_ROLE, parts=(Part(slot=self.salt_slot, text=record_parts[self.salt_slot]),)))
        return tuple(filled)


def spoken(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages that a model reads: all but the salt."""
    return tuple(message for message in messages if message.role != SALT_ROLE)


def read_prompt(canonical: bytes) -> Prompt:
    """The prompt of this canonical form."""
    form = json.loads(canonical)
    messages = tuple(
        Message(role=role, parts=tuple(Part(slot=slot, text=text) for slot, text in parts)) for role, parts in form.pop("messages")
    )
    return Prompt(kind=TaskKind(form.pop("kind")), messages=messages, **form)
