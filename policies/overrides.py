"""What a person may change about a record's classes: raise any class, and lower one where the policy allows it at all.

- Raising is declared evidence from then on; nothing found later takes it back.
- Lowering takes one class out of one decision. It counts only while the policy in force lists the class and the approver, the approver's
  signature holds over this very record, text, class, reason, day and ledger, the day has not come, and nobody raised the class since.
  All of that is checked again at every decision, so that neither an old entry nor a forged one frees anything (invariant 1).
- UNSCANNABLE and CREDENTIALS are never lowered: nobody can vouch for what could not be judged, and a secret that works is a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from policies.errors import PolicyError
from policies.model import CLASS_NAME, CLEAN, UNSCANNABLE, Lowered
from policies.yaml_value import YamlValue

NEVER_LOWERED = frozenset({UNSCANNABLE, "CREDENTIALS", CLEAN})
REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")
APPROVER = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
KEY_BYTES, SIGNATURE_BYTES, ID_DIGITS = 32, 64, 16
# RFC 8410: what stands before the 32 bytes in the DER form, whose base64 is the body of `openssl pkey -pubout`.
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")


class OverrideError(PolicyError):
    """An override is refused. `code` says why, fit for the ledger."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringRules:
    """What the policy allows: which classes, approved with which Ed25519 keys (32 bytes, by approver), for how many days at the most."""

    classes: frozenset[str]
    approvers: Mapping[str, bytes]
    max_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What an approver signs. ledger: its origin (`waybill/<id>`). The lowering ends when the day `expires` begins, UTC."""

    ledger: str
    record_id: str
    document_hmac: str
    data_class: str
    reason: str
    expires: date

    def text(self) -> str:
        """The one way to write it: ASCII, a line each, the last one ended too."""
        return (
            "waybill override v1\n"
            f"ledger {self.ledger}\n"
            f"record {self.record_id}\n"
            f"document {self.document_hmac}\n"
            f"lower {self.data_class}\n"
            f"reason {self.reason}\n"
            f"expires {self.expires.isoformat()}\n"
        )

    @property
    def override_id(self) -> str:
        """Names the override in the ledger: the beginning of the statement's SHA-256."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One `overridden` entry, as the ledger has it; `approval`, of a lowering, is the approver's name and signature.

    at: when it was entered. expiry, document_hmac: of a lowering.
    """

    seq: int
    override_id: str
    record_id: str
    data_class: str
    lowers: bool
    reason: str
    at: datetime
    document_hmac: str = ""
    expiry: datetime | None = None
    approval: str = field(default="", repr=False)


def raised(overrides: Iterable[Override]) -> dict[str, str]:
    """The classes that were raised for a record, each with the latest override that did."""
    return {one.data_class: one.override_id for one in sorted(overrides, key=lambda one: one.seq) if not one.lowers}


def in_force(
    overrides: Iterable[Override], rules: LoweringRules | None, *, ledger: str, document_hmac: str, now: datetime
) -> tuple[Lowered, ...]:
    """The lowerings of one record that count for this very text, under these rules, now; in order of class, each class once."""
    ordered = sorted(overrides, key=lambda one: one.seq)
    last_raised = {one.data_class: one.seq for one in ordered if not one.lowers}
    found: dict[str, Lowered] = {}
    for one in ordered:
        if not one.lowers or one.seq < last_raised.get(one.data_class, 0) or one.document_hmac != document_hmac or one.expiry is None:
            continue
        try:
            check_lowering(one, rules, ledger=ledger, now=now)
        except OverrideError:
            continue
        found[one.data_class] = Lowered(data_class=one.data_class, override_id=one.override_id, expiry=one.expiry)
    return tuple(found[name] for name in sorted(found))


def check_lowering(override: Override, rules: LoweringRules | None, *, ledger: str, now: datetime) -> str:
    """The name of the approver whose signature holds, when everything else does as well. Raises OverrideError."""
    if override.data_class in NEVER_LOWERED:
        raise OverrideError(f"{override.data_class} is never lowered; correct the document at its source", code="never_lowered")
    if rules is None or override.data_class not in rules.classes:
        raise OverrideError(
            f"the policy does not allow lowering {override.data_class}; it would have to list it under overrides.lower.classes",
            code="not_allowed",
        )
    if override.expiry is None or override.expiry <= now:
        raise OverrideError("the approval has expired; ask for a new one", code="expired")
    if override.expiry - override.at > timedelta(days=rules.max_days):
        raise OverrideError(f"the approval runs longer than the {rules.max_days} days that the policy allows", code="too_long")
    approver = _signer(override, rules, ledger)
    if approver is None:
        raise OverrideError(
            "no approver that the policy lists has signed this: the record, its text, the class, the reason, the day and the ledger must "
            "all be those of the statement (`waybill override request` prints it)",
            code="not_approved",
        )
    return approver


def _signer(override: Override, rules: LoweringRules, ledger: str) -> str | None:
    if override.expiry is None or override.expiry.timetz().replace(tzinfo=None) != datetime.min.time():
        return None
    statement = Statement(
        ledger=ledger,
        record_id=override.record_id,
        document_hmac=override.document_hmac,
        data_class=override.data_class,
        reason=override.reason,
        expires=override.expiry.date(),
    )
    signature = decoded(override.approval.rpartition(" ")[2])
    if override.override_id != statement.override_id or len(signature) != SIGNATURE_BYTES or not override.document_hmac:
        return None
    for name, key in rules.approvers.items():
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, statement.text().encode())
        except InvalidSignature:
            continue
        return name
    return None


def parse_lowering(value: YamlValue | None, *, evidence: str) -> LoweringRules | None:
    """`overrides` of a policy file; None where the key is absent: nothing is ever lowered."""
    if value is None:
        return None
    lower = value.table(required=("lower",))["lower"]
    if evidence != "complete":
        lower.fail("`evidence: complete` beside it, because a class may only be taken out where all the others are known")
    keys = lower.table(required=("classes", "approvers", "max_days"))
    classes = keys["classes"].names("data class", pattern=CLASS_NAME.pattern)
    if NEVER_LOWERED.intersection(classes):
        keys["classes"].fail(f"classes other than {', '.join(sorted(NEVER_LOWERED))}, which are never lowered")
    approvers: dict[str, bytes] = {}
    for item in keys["approvers"].items("a list of at least one approver"):
        entry = item.table(required=("name", "key"))
        name, key = entry["name"].text("the approver's name", pattern=APPROVER), public_key(entry["key"].text("a public key"))
        if name in approvers or key in approvers.values():
            item.fail("each approver and each key once")
        if not key:
            entry["key"].fail("an Ed25519 public key in base64: the middle line that `openssl pkey -pubout` prints")
        approvers[name] = key
    return LoweringRules(classes=frozenset(classes), approvers=approvers, max_days=keys["max_days"].whole("a number of days", at_least=1))


def public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in base64, bare or in the form of RFC 8410; nothing where it is neither."""
    data = decoded(text)
    key = data.removeprefix(_DER_PREFIX)
    return key if len(key) == KEY_BYTES and len(data) in {KEY_BYTES, KEY_BYTES + len(_DER_PREFIX)} else b""


def decoded(text: str) -> bytes:
    """Standard base64, nothing where it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
