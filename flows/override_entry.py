"""Entering an override: which record is meant, what is signed, whether it may be entered at all.

What is checked here is checked again at every decision (`policies/overrides.py`): an entry by itself frees nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from flows.errors import RequestRefusedError
from policies.errors import PolicyFileError
from policies.load import load_policy, parse_policy
from policies.model import BUILT_IN_CLASSES, CLASS_NAME, CLEAN
from policies.overrides import REASON, SIGNATURE_BYTES, Override, OverrideError, Statement, check_lowering, decoded
from policies.policy import Policy
from policies.yaml_value import Source
from sinks.ledger.audit import records_named
from sinks.ledger.overrides import LastDecision, OverrideBook, last_decision, lowering, raising
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger, newest_key

ACTOR = re.compile(r"[\w.@+-]{1,64}")
RECORD = re.compile(r"r[0-9a-f]{24}")
MOST_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants done to a record. record: its id, the beginning of one, or its source name."""

    record: str
    data_class: str
    reason: str
    actor: str = "operator"


def raise_class(ledger: Ledger, wish: Wish, *, now: datetime) -> str:
    """Enter that a record is of a class, from its next decision on; returns the record's id. Raises RequestRefusedError."""
    _check_words(wish)
    known = {*BUILT_IN_CLASSES, *_declared_classes(ledger)} - {CLEAN}
    if wish.data_class not in known:
        raise RequestRefusedError(f"--to: expected one of {', '.join(sorted(known))}, found {wish.data_class}")
    record_id = _record(ledger, wish.record)
    last = last_decision(ledger, record_id)
    ledger.commit([raising(record_id, wish.data_class, reason=wish.reason, actor=wish.actor, at=now, last=last)])
    return record_id


def statement(ledger: Ledger, wish: Wish, policy: Policy, *, expires: date) -> Statement:
    """What an approver has to sign to let this class be taken out of this record. Raises RequestRefusedError."""
    _check_words(wish)
    if policy.lowering is None or wish.data_class not in policy.lowering.classes:
        raise RequestRefusedError(
            f"the policy does not allow lowering {wish.data_class}; it would have to list it under overrides.lower.classes"
        )
    record_id = _record(ledger, wish.record)
    return Statement(
        ledger=newest_key(ledger.path).name,
        record_id=record_id,
        document_hmac=_decision(ledger, record_id).document_hmac,
        data_class=wish.data_class,
        reason=wish.reason,
        expires=expires,
    )


def lower_class(ledger: Ledger, wish: Wish, policy: Policy, *, expires: date, approval: Path, now: datetime) -> Override:
    """Enter what an approver has signed. Raises RequestRefusedError when the policy or the signature does not allow it."""
    asked = statement(ledger, wish, policy, expires=expires)
    override = Override(
        seq=0,
        override_id=asked.override_id,
        record_id=asked.record_id,
        data_class=asked.data_class,
        lowers=True,
        reason=asked.reason,
        at=now,
        document_hmac=asked.document_hmac,
        expiry=datetime.combine(expires, time(tzinfo=UTC)),
        approval=_signature(approval),
    )
    try:
        approver = check_lowering(override, policy.lowering, ledger=asked.ledger, now=now)
    except OverrideError as error:
        raise RequestRefusedError(str(error)) from None
    entered = OverrideBook(ledger).about([asked.record_id]).get(asked.record_id, ())
    if any(one.override_id == asked.override_id for one in entered):
        raise RequestRefusedError("this approval was entered already; should the class have been raised since, ask for a new one")
    ledger.commit([lowering(override, approver=approver, actor=wish.actor, last=_decision(ledger, asked.record_id))])
    return override


def registered_policy(ledger: Ledger) -> Policy:
    """The policy under which the ledger's latest run began. Raises RequestRefusedError before the first run."""
    with reading(ledger, ("runs", "policies")) as reader:
        rows = reader.table(
            "SELECT p.policy_text FROM runs r JOIN policies p ON p.policy_hash = r.policy_hash ORDER BY r.seq DESC LIMIT 1"
        ).to_pylist()
    if not rows:
        raise RequestRefusedError(f"{ledger.path}: no run yet, so no policy is registered here; name one with --policy")
    return parse_policy(Source(name=f"{ledger.path} (the policy of its latest run)", data=rows[0]["policy_text"].encode()))


def policy_of(ledger: Ledger, policy: Path | None) -> Policy:
    """The policy in this file; without one that of the latest run."""
    return load_policy(policy) if policy else registered_policy(ledger)


def _declared_classes(ledger: Ledger) -> Iterable[str]:
    """The classes of the policy in use; none before the first run, or where that policy is not one for this version."""
    with suppress(RequestRefusedError, PolicyFileError):
        return registered_policy(ledger).classes
    return ()


def check_reason(reason: str, actor: str) -> None:
    """Entries hold codes and names of users, never sentences, which might quote a document (invariant 5)."""
    if not REASON.fullmatch(reason):
        raise RequestRefusedError("--reason: expected a code in small letters, digits and underscores, such as misread_form; no sentence")
    if not ACTOR.fullmatch(actor):
        raise RequestRefusedError("--actor: expected the name of a user, without spaces")


def _check_words(wish: Wish) -> None:
    check_reason(wish.reason, wish.actor)
    if not CLASS_NAME.fullmatch(wish.data_class):
        raise RequestRefusedError("expected a data class in capitals, such as PHI")


def _record(ledger: Ledger, name: str) -> str:
    found = records_named(ledger, name)
    if len(found) == 1:
        return found[0]
    if not found and RECORD.fullmatch(name):
        return name  # a record that the ledger has not met yet may be raised in advance
    raise RequestRefusedError(f"--record: expected the id or source of one record of this ledger, found {len(found)} of that name")


def _decision(ledger: Ledger, record_id: str) -> LastDecision:
    last = last_decision(ledger, record_id)
    if last is None:
        raise RequestRefusedError(f"{record_id}: no decision yet, so there is nothing to lower")
    return last


def _signature(path: Path) -> str:
    """The signature in a file, as base64: 64 bytes as `openssl pkeyutl` writes them, or their base64. Nothing where it is neither."""
    try:
        data = path.read_bytes()[:MOST_BYTES]
    except OSError as error:
        raise RequestRefusedError(f"{path}: the approval cannot be read ({error.strerror})") from None
    if len(data) != SIGNATURE_BYTES:
        data = decoded("".join(data.decode("ascii", "replace").split()))
    return base64.b64encode(data).decode() if len(data) == SIGNATURE_BYTES else ""
