"""Reading a frozen shard with suspicion: is it, byte for byte, what the template, the registry and the scanned parts make? Pure.

Invariant 2. Each row is compared with a skeleton that the lane builds from the registered prompt with marks in place of slots.
Everything but the marks must be equal; under a mark there must be a string whose keyed digest is the one of the record's scanned
part. The bytes must be the canonical form of that row, so that nothing hides in white space, duplicate keys or number forms.

Said of bytes, that is: constants of the canonical skeleton, and between them JSON strings in their canonical form, each decoded and found
to be the scanned one. So a row is first read with the skeleton's mould (`sinks/moulds.py`), made anew for each shard after its bytes were
read. One that is not exactly of that form is looked at tree by tree, which finds out what is wrong with it, and stops the shard.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sinks.errors import GateError
from sinks.freeze import intent_id_of, row_id_of
from sinks.lanes import Lane
from sinks.ledger.keys import Keys
from sinks.moulds import ROW_ID, Moulds, canonical
from sinks.request import Prompt
from sinks.shard import FrozenShard, ShardRow


class GateCode(StrEnum):
    """Why the gate stops a shard. The value is the code in the error and in the ledger."""

    # The file
    UNREADABLE = "shard_unreadable"
    ROW_COUNT = "row_count"
    NOT_JSON = "row_not_json"
    NOT_CANONICAL = "row_not_canonical"
    SHAPE = "row_shape"
    CONSTANT = "row_constant"
    TEXT = "row_text"
    ROW_ID = "row_id"
    INTENT = "intent_id"
    DUPLICATE = "duplicate_record"
    PARTS = "parts_not_scanned"
    # The job
    TEMPLATE = "template_not_registered"
    ENDPOINT = "endpoint_not_registered"
    # The ledger's word on the record
    NO_DECISION = "no_decision"
    REQUIREMENT = "requirement_unknown"
    OVERRIDE_EXPIRED = "override_expired"
    OVERRIDE_RAISED = "override_raised"
    RULEBOOK = "rulebook_changed"
    NOT_ASSIGNED = "not_assigned"
    NO_CLEARANCE = "no_clearance"
    CLEARANCE_SPENT = "clearance_spent"
    CLEARANCE_VOID = "clearance_void"
    CLEARANCE_OTHER = "clearance_mismatch"
    SETTLED = "record_settled"
    # The gate itself
    CONTENDED = "ledger_contended"
    NOT_ISSUED = "not_issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedRow:
    """What the gate now knows of a row by itself, without believing the shard object."""

    row: ShardRow
    payload_hmac: str
    payload_bytes: int


def inspect(content: bytes, shard: FrozenShard, prompt: Prompt, lane: Lane, keys: Keys) -> tuple[InspectedRow, ...]:
    """Every row of `content`, found to be what it must be. Raises GateError with a code and a row ordinal.

    A repair is compared with the registered template in its repair form: one registered constant more.
    """
    prompt = replace(prompt, repairing=shard.repair)
    lines = content.split(b"\n")
    if lines.pop() != b"" or len(lines) != len(shard.rows) or not lines:
        raise GateError(GateCode.ROW_COUNT)
    if len({row.record_id for row in shard.rows}) != len(lines) or len({row.clearance_id for row in shard.rows}) != len(lines):
        raise GateError(GateCode.DUPLICATE)
    forms = Moulds(lane, prompt, shard.endpoint)
    inspected = tuple(
        _inspect_row(ordinal, line, row, shard, forms=forms, keys=keys)
        for ordinal, (line, row) in enumerate(zip(lines, shard.rows, strict=True))
    )
    payloads = [(found.row.record_id, found.payload_hmac) for found in inspected]
    if shard.intent_id != intent_id_of(shard.run_id, shard.endpoint, shard.attempt, payloads):
        raise GateError(GateCode.INTENT)
    return inspected


def _inspect_row(ordinal: int, line: bytes, row: ShardRow, shard: FrozenShard, *, forms: Moulds, keys: Keys) -> InspectedRow:
    if row.row_id != row_id_of(shard.intent_id, ordinal):
        raise GateError(GateCode.ROW_ID, ordinal)
    parts = _parts_of(line, row, forms, keys)
    if parts is None:
        parts = _parts_by_tree(ordinal, line, row, forms, keys)
    body = forms.payload(parts)
    return InspectedRow(row=row, payload_hmac=keys.hmac("payload", body), payload_bytes=len(body))


def _parts_of(line: bytes, row: ShardRow, forms: Moulds, keys: Keys) -> dict[str, str] | None:
    """The strings of a row that is what it must be; None where it is not, or where its lane has no mould."""
    mould = forms.row_mould(row.part_hmacs)
    strings = None if mould is None else mould.strings(line)
    if strings is None or strings.pop(ROW_ID) != row.row_id:
        return None
    found = keys.part_hmacs(strings)
    return strings if all(row.part_hmacs[slot] == digest for slot, digest in found.items()) else None


def _parts_by_tree(ordinal: int, line: bytes, row: ShardRow, forms: Moulds, keys: Keys) -> dict[str, str]:
    """The strings of a row, each value compared with the skeleton's. Raises GateError with what is wrong."""
    prompt = forms.prompt
    # Marks nobody can guess: a template constant that looks like one would otherwise stand for a slot.
    nonce = secrets.token_hex(16)
    marks = {f"{nonce} {slot}": slot for slot in prompt.slots if slot in row.part_hmacs}
    skeleton_body = forms.body({slot: mark for mark, slot in marks.items()})
    skeleton = forms.lane.row(row.row_id, skeleton_body, forms.endpoint)
    parts: dict[str, str] = {}
    for expected, found in _leaves(skeleton, _parse(line, ordinal), ordinal):
        slot = marks.get(expected) if isinstance(expected, str) else None
        if slot is None:
            if isinstance(expected, str) and nonce in expected:  # a lane that hides a part inside another string cannot be checked
                raise GateError(GateCode.SHAPE, ordinal)
            if expected != found:
                raise GateError(GateCode.CONSTANT, ordinal)
        elif keys.part_hmacs({slot: found}) != {slot: row.part_hmacs[slot]}:
            raise GateError(GateCode.TEXT, ordinal)
        else:
            parts[slot] = found
    if set(marks.values()) - parts.keys() - {prompt.salt_slot}:  # a part that the lane loses; the salt alone is not for every lane
        raise GateError(GateCode.SHAPE, ordinal)
    return parts


def _parse(line: bytes, ordinal: int) -> Any:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        raise GateError(GateCode.NOT_JSON, ordinal) from None
    try:
        same = canonical(tree) == line
    except (ValueError, RecursionError):  # NaN, or an escaped lone surrogate
        same = False
    if not same:
        raise GateError(GateCode.NOT_CANONICAL, ordinal)
    return tree


def _leaves(skeleton: Any, found: Any, ordinal: int) -> Iterator[tuple[Any, Any]]:
    """Pairs of scalars in the same place. Raises GateError where the trees differ in form: a field more, one less, another type."""
    if isinstance(skeleton, dict) and isinstance(found, dict) and skeleton.keys() == found.keys():
        for key in skeleton:
            yield from _leaves(skeleton[key], found[key], ordinal)
    elif isinstance(skeleton, list) and isinstance(found, list) and len(skeleton) == len(found):
        for expected, given in zip(skeleton, found, strict=True):
            yield from _leaves(expected, given, ordinal)
    # 1, 1.0 and True are equal to Python, not to a provider: the type must be the same.
    elif isinstance(skeleton, dict | list) or type(skeleton) is not type(found):
        raise GateError(GateCode.SHAPE, ordinal)
    else:
        yield skeleton, found
