"""How long a job keeps what it wrote, and what a legal hold keeps longer: the job's keys, and what they mean for records of the ledger.

- A hold wins over every retention. A record of which the classes are a lower bound (`partial`) may carry the held class: it is kept too.
- A hold that names nothing the ledger knows is refused before anything is deleted: a slip in writing must not delete evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flows.errors import JobError
from policies.model import CLASS_NAME, CLEAN
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

_RECORD = re.compile(r"r[0-9a-f]{24}")
_RUN = re.compile(r"[a-z0-9-]{1,40}-\d{4}-\d{2}-\d{2}(\.r\d+)?")
_MOST_DAYS = 36_500
LOOK_OF = ".look-"
"""Between the id of a run and what makes it the id of its second look (`flows/look_run.py`)."""


def _held(value: str) -> str:
    if not any(form.fullmatch(value) for form in (CLASS_NAME, _RECORD, _RUN)) or value == CLEAN:
        raise ValueError("expected a data class, such as PRIVILEGED, the full id of a record, or the id of a run, such as mail-2026-11-22")
    return value


Hold = Annotated[str, AfterValidator(_held)]
Days = Annotated[int, Field(ge=0, le=_MOST_DAYS)]


class Retention(BaseModel):
    """So many days `waybill purge` leaves things where they are; without the key, for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    results_days: Days | None = None
    spool_days: Days | None = None
    remote_days: Days | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What is under legal hold: whole runs, and records, those of held classes among them. `runs` of other ledgers are not in it."""

    runs: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()

    def cover(self, run_id: str, record_ids: Sequence[str]) -> bool:
        """Whether any of these records, or their run, is held."""
        return run_id.partition(LOOK_OF)[0] in self.runs or not self.records.isdisjoint(record_ids)


_HELD_RECORDS = """
    SELECT DISTINCT record_id FROM entries
    WHERE record_id IS NOT NULL AND (
        list_contains($holds, record_id)
        OR ($of_class AND event IN ('decided', 'judged', 'rescanned', 'overridden')
            AND (coalesce(partial, false) OR list_has_any(coalesce(data_classes, []::VARCHAR[]), $holds))))
"""
_KNOWN = """
    SELECT unnest($holds) AS hold EXCEPT
    (SELECT record_id FROM entries UNION SELECT run_id FROM entries UNION SELECT unnest(data_classes) FROM entries)
"""


def holds_in(ledger: Ledger | Path, holds: Sequence[str], *, classes: Sequence[str]) -> Holds:
    """The runs and records that these holds keep. classes: names that need not have been met yet. Raises JobError for a hold on nothing."""
    if not holds:
        return Holds()
    with reading(ledger) as reader:
        unknown = set(reader.table(_KNOWN, holds=list(holds))["hold"].to_pylist()) - set(classes)
        if unknown:
            raise JobError(
                f"legal_hold: {', '.join(sorted(unknown))}: expected a class of the policy, or a record or run of this ledger; "
                "found neither, so nothing was deleted"
            )
        of_class = any(CLASS_NAME.fullmatch(one) for one in holds)
        records = reader.table(_HELD_RECORDS, holds=list(holds), of_class=of_class)["record_id"].to_pylist()
    return Holds(runs=frozenset(one for one in holds if _RUN.fullmatch(one)), records=frozenset(records))


def names_on_hold(ledger: Ledger | Path, holds: Holds) -> frozenset[str]:
    """The records of which the names are held: those of held runs too."""
    if not holds.runs:
        return holds.records
    with reading(ledger) as reader:
        of_runs = reader.table(
            "SELECT DISTINCT record_id FROM entries WHERE record_id IS NOT NULL AND list_contains($runs, run_id)", runs=list(holds.runs)
        )
    return holds.records | frozenset(of_runs["record_id"].to_pylist())
