"""A ledger that is compacted: what is told to it, when, and what anybody must see in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from docs import verify_ledger as independent
from sinks.ledger import files, views
from sinks.ledger.entry import Entry, Event
from sinks.ledger.facts import gate_facts
from sinks.ledger.queries import run_counts, run_state
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify

if TYPE_CHECKING:
    pass


START = datetime(2100, 10, 30, 22, tzinfo=UTC)  # after the month of the first entry, whose time is that of the clock
HOUR = timedelta(hours=1)
LEAST = 4
SEEN = "SELECT count(*), count(DISTINCT seq), max(seq) FROM entries"


def tell(ledger: Ledger, night: int, commits: int = LEAST + 1) -> None:
    at = START + night * 24 * HOUR
    for number in range(commits):
        records = [f"r-{night}-{number}-{row}" for row in range(3)]
        ledger.commit([Entry(event=Event.HELD, at=at, run_id=f"n-{night}", record_id=record, reason="budget") for record in records])


def after(hours: float) -> Callable[[], datetime]:
    return lambda: START + hours * HOUR


def names(ledger: Ledger) -> list[str]:
    return [one.path.name for one in files.archived(ledger.path)]


def loose(ledger: Ledger) -> list[int]:
    return [number for number, _ in files.numbered(ledger.path / files.SEGMENTS)]


def rows_in(ledger: Ledger) -> int:
    return int(files.footer(files.numbered(ledger.path / files.SEGMENTS)[-1][1])[files.LAST_SEQ_KEY])


@contextmanager
def opened(ledger: Ledger) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that stays on the views as they are now, although `ledger.duckdb` is replaced."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ledger.path / views.DATABASE}' AS log (READ_ONLY)")
        connection.execute("USE log")
        yield connection


def assert_whole(ledger: Ledger) -> None:
    """Fresh views, the program and both verifiers see every entry once."""
    with opened(ledger) as auditor:
        assert auditor.sql(SEEN).fetchall() == [(rows_in(ledger),) * 3]
        assert auditor.sql("SELECT count(*), max(segment) FROM checkpoints").fetchall() == [(ledger.head(),) * 2]
    assert len(gate_facts(ledger, "n-0", [f"r-0-{number}-1" for number in range(LEAST + 1)]).records) == LEAST + 1
    assert run_counts(ledger, "n-0").held == len(run_state(ledger.path, "n-0")) == 3 * (LEAST + 1)
    assert verify(ledger.path, deep=True).fault is None
    assert independent.verify(ledger.path, None, [])[0] == 0
