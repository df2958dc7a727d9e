"""Held records: which there are now, and releasing them for another try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from sinks.ledger.audit import SHORTEST
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import AMBIGUOUS_REASON
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import readable_names

# An ambiguous hand-over is also held, but releasing it here could pay twice: it is settled by looking it up at the provider.
_HELD = """
    FROM (
        SELECT s.run_id, s.record_id, s.state,
               coalesce(s.reason, s.error_code, CASE s.state WHEN 'ambiguous' THEN $ambiguous END) AS reason,
               s.data_classes, s.endpoint, e."at" AS since
        FROM record_states s JOIN entries e ON e.seq = s.seq LEFT JOIN runs r ON r.run_id = s.run_id
        QUALIFY row_number() OVER (PARTITION BY coalesce(r.job, s.run_id), s.record_id ORDER BY s.decided_seq DESC) = 1
    )
    WHERE state IN ('held', 'ambiguous', $failed) AND ($reason IS NULL OR reason = $reason)
    ORDER BY since, record_id, run_id
"""


def held_now(ledger: Ledger | Path, *, reason: str | None = None, failed: bool = False) -> pa.Table:
    """The records that are held now, as of the run of their job that read them last.

    Columns: run_id, record_id, state, reason, data_classes, endpoint, since, source.
    """
    with reading(ledger, ("intents", "record_states", "runs")) as reader:
        table = reader.table(_HELD, reason=reason, failed="failed" if failed else "held", ambiguous=AMBIGUOUS_REASON)
    folder = ledger.path if isinstance(ledger, Ledger) else ledger
    names = readable_names(folder, table["record_id"].to_pylist())
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
    """Release held records, by id or its beginning or by reason, or all; returns how many, and the ids that do not name one held record.

    A record that several jobs of this ledger hold is released in each.
    """
    waiting = [row for row in held_now(path, reason=reason, failed=failed).to_pylist() if row["state"] != "ambiguous"]
    ledger = Ledger.open(path, keys=keys)  # only now: asking about a ledger that is not there must not make one
    held = {row["record_id"] for row in waiting}
    named = {name: [record for record in held if record == name or (len(name) >= SHORTEST and record.startswith(name))] for name in records}
    wanted = {found[0] for found in named.values() if len(found) == 1}
    chosen = [row for row in waiting if not records or row["record_id"] in wanted]
    ledger.commit(
        [
            Entry(
                event=Event.RELEASED,
                at=now,
                run_id=row["run_id"],
                record_id=row["record_id"],
                actor=actor,
                reason="retry",
                before=row["reason"],
            )
            for row in chosen
        ]
    )
    return len({row["record_id"] for row in chosen}), [name for name, found in named.items() if len(found) != 1]
