"""Held records: which there are now, and releasing them for another try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import lookup

# An ambiguous hand-over is also held, but releasing it here could pay twice: it is settled by looking it up at the provider.
_HELD = """
    SELECT s.run_id, s.record_id, s.state, coalesce(s.reason, s.error_code) AS reason, s.data_classes, s.endpoint, e."at" AS since
    FROM record_states s JOIN entries e ON e.seq = s.seq
    WHERE s.state IN ('held', 'ambiguous', $failed)
      AND ($reason IS NULL OR coalesce(s.reason, s.error_code) = $reason)
    QUALIFY row_number() OVER (PARTITION BY s.record_id ORDER BY s.seq DESC) = 1
    ORDER BY e."at", s.record_id
"""


def held_now(ledger: Ledger | Path, *, reason: str | None = None, failed: bool = False) -> pa.Table:
    """The records that are held now: run_id, record_id, state, reason, data_classes, endpoint, since, source."""
    with reading(ledger, ("intents", "record_states")) as reader:
        table = reader.table(_HELD, reason=reason, failed="failed" if failed else "held")
    folder = ledger.path if isinstance(ledger, Ledger) else ledger
    names = lookup(folder, table["record_id"].to_pylist())
    sources = [names[record].source if record in names else None for record in table["record_id"].to_pylist()]
    return table.append_column("source", pa.array(sources, pa.string()))


def release(
    path: Path,
    *,
    records: Sequence[str],
    reason: str | None,
    failed: bool,
    actor: str,
    now: datetime,
    keys: Path | None = None,
) -> tuple[int, list[str]]:
    """Release held records, by id or by reason, or all of them; returns how many, and the ids that were not held."""
    waiting = {row["record_id"]: row for row in held_now(path, reason=reason, failed=failed).to_pylist() if row["state"] != "ambiguous"}
    ledger = Ledger.open(path, keys=keys)  # only now: asking about a ledger that is not there must not make one
    chosen = [record for record in records if record in waiting] if records else list(waiting)
    ledger.commit(
        [
            Entry(
                event=Event.RELEASED,
                at=now,
                run_id=waiting[record]["run_id"],
                record_id=record,
                actor=actor,
                reason="retry",
                before=waiting[record]["reason"],
            )
            for record in chosen
        ]
    )
    return len(chosen), [record for record in records if record not in waiting]
