"""What `waybill audit verify` finds, for the report: the same function, told in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sinks.errors import LedgerError
from sinks.ledger.note import VerifierKey
from sinks.ledger.verify import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """intact: None when the ledger could not be verified; `told` then says why."""

    intact: bool | None
    told: str
    entries: int = 0
    pinned: bool = False
    deep: bool = False
    first_bad: int | None = None

    @property
    def standing(self) -> str:
        """How the page dresses it: good is only what a pinned key has signed."""
        if self.intact is None:
            return "unknown"
        return ("good" if self.pinned else "consistent") if self.intact else "bad"


def verified(ledger: Path, *, deep: bool, keys: Sequence[VerifierKey], anchors: Sequence[Path]) -> Verification:
    """Verify the ledger as it is now. What was read before is part of what is verified: the log only grows."""
    try:
        verdict = verify(ledger, deep=deep, pinned=keys, anchors=anchors)
    except LedgerError as error:
        return Verification(intact=None, told=f"not verified: {error}")
    if verdict.fault is not None:
        return Verification(
            intact=False,
            told=f"NOT INTACT: first bad entry {verdict.fault.seq}: {verdict.fault.reason}",
            entries=verdict.entries,
            pinned=verdict.pinned,
            deep=verdict.deep,
            first_bad=verdict.fault.seq,
        )
    told = "intact, signed by the pinned key" if verdict.pinned else "self-consistent, key not pinned"
    return Verification(intact=True, told=told, entries=verdict.entries, pinned=verdict.pinned, deep=verdict.deep)
