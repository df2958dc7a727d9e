"""A ledger of each version of the format, made once by `fixtures/make_version.py` and kept: it verifies for ever; its views answer.

A ledger that was begun in an older version is gone on with, compacted, and verified by both verifiers at every step.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs import verify_ledger as independent
from sinks.ledger import files, seal, segments, signing, views
from sinks.ledger.compaction import compact
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import job_runs
from sinks.ledger.reader import reading
from sinks.ledger.schema import ENTRY_SCHEMA, schema_of, with_sequence
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify
from tests.sinks.ledger.conftest import FIRST, SECOND, START, tell_first_night, tell_second_night
from tests.sinks.ledger.ledger_attacker import Segment

AT = START + timedelta(days=3)
FIXTURES = Path(__file__).parent / "fixtures"
VERIFIER = Path(__file__).parents[3] / "docs" / "verify_ledger.py"
ANSWERS = {
    "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM entries": [(47, 47, 1, 47)],
    "SELECT count(*), max(segment) FROM checkpoints": [(11, 11)],
    "SELECT data_class, lane, sum(records)::INT FROM class_destination_daily GROUP BY ALL ORDER BY ALL": [
        ("(none)", "held", 1),
        ("CLEAN", "cloud", 3),
        ("NPI", "local", 1),
        ("PHI", "local", 1),
        ("PII", "cloud", 1),
        ("PRIVILEGED", "held", 1),
    ],
    "SELECT record_id, reason FROM held WHERE still_held ORDER BY 1": [
        ("r-lost", "ambiguous_hand_over"),
        ("r-privileged", "no_endpoint"),
        ("r-scan", "no_text_layer"),
    ],
    'SELECT record_id, before, after FROM overrides ORDER BY "at"': [("r-phi", "PII", "PHI"), ("r-clean", "CLEAN", "PHI")],
    "SELECT record_id, after FROM lookbacks": [("r-clean", "PHI")],
    "SELECT count(*) FROM document_history('r-clean')": [(16,)],
}


@pytest.mark.parametrize("version", ["version-2", "version-3"])
def test_a_ledger_of_every_version_still_verifies_and_answers(version: str, tmp_path: Path) -> None:
    kept = FIXTURES / version
    ledger = Path(shutil.copytree(kept, tmp_path / "ledger"))
    verdict = verify(
        ledger, deep=True, pinned=signing.verifier_keys((kept / "pinned.pub").read_text(encoding="utf-8")), anchors=[kept / "anchor"]
    )
    assert (verdict.fault, verdict.entries, verdict.segments, verdict.archives, len(verdict.keys)) == (None, 47, 11, 1, 2)
    command = [sys.executable, "-P", *map(str, (VERIFIER, ledger, "--key", kept / "pinned.pub", "--anchor", kept / "anchor"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    assert (done.returncode, done.stdout.partition(" in ")[0]) == (0, "intact: 47 entries"), done.stderr
    views.relink(ledger)
    with duckdb.connect(ledger / views.DATABASE, read_only=True) as connection:
        for question, answer in ANSWERS.items():
            assert connection.execute(question).fetchall() == answer
        charged = connection.execute("SELECT DISTINCT cost_centre FROM runs").fetchall()
        assert charged == [(None if version == "version-2" else "claims",)]


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger whose first night was written in version 2, opened by the writer of today."""
    with monkeypatch.context() as before:
        for module in (seal, segments):
            before.setattr(module, "SCHEMA_VERSION", 2)
        before.setattr(segments, "with_sequence", _without_what_was_added)
        tell_first_night(Ledger.open(tmp_path / "ledger"))
    return Ledger.open(tmp_path / "ledger")


def _without_what_was_added(table: pa.Table, first: int) -> pa.Table:
    return with_sequence(table, first).select(schema_of(2).names)


def _answers(ledger: Ledger) -> list[tuple[object, ...]]:
    """What both verifiers, the views for people and the program's own reader say."""
    verdict = verify(ledger.path, deep=True)
    assert verdict.fault is None
    assert independent.verify(ledger.path)[0] == 0, independent.verify(ledger.path)[1]
    with duckdb.connect(ledger.path / views.DATABASE, read_only=True) as connection:
        seen = connection.execute("SELECT run_id, cost_centre FROM runs ORDER BY seq").fetchall()
        columns = [name for name, *_ in connection.execute("DESCRIBE entries").fetchall()]
    assert columns == [*ENTRY_SCHEMA.names, "day"]
    assert [(run.run_id, run.cost_centre) for run in job_runs(ledger)] == seen
    assert [row for row in seen if row[0] == FIRST] == [(FIRST, None)]
    with reading(ledger, record_ids=["r-clean"]) as reader:
        assert reader.table("SELECT DISTINCT cost_centre FROM entries")["cost_centre"].to_pylist() == [None]
    return seen


def test_a_ledger_begun_in_an_older_version_goes_on(begun: Ledger) -> None:
    loose = files.numbered(begun.path / files.SEGMENTS)
    assert {len(pq.read_schema(path)) for _, path in loose} == {len(schema_of(2))}
    assert _answers(begun) == [(FIRST, None)]  # no file of the ledger has the column yet
    only_old = len(loose)
    assert compact(begun, clock=_past_every_grace(0), least=2) is not None
    begun.rotate_key(actor="Ada Example")
    tell_second_night(begun)
    assert _answers(begun) == [(FIRST, None), (SECOND, "claims")]
    for days in (1, 2, 3):  # the rest; what is superseded goes, in two steps
        compact(begun, clock=_past_every_grace(days), least=4 if days == 1 else 1 << 30)
        assert _answers(begun) == [(FIRST, None), (SECOND, "claims")]
    first, second = files.in_force(files.archived(begun.path))
    assert (first.last, len(pq.read_schema(first.path))) == (only_old - 1, len(schema_of(2)))
    assert len(pq.read_schema(second.path)) == len(ENTRY_SCHEMA)
    oldest = pq.read_table(second.path, columns=["seq", "cost_centre"]).slice(0, 1).to_pylist()
    assert oldest[0]["cost_centre"] is None  # a row of the older version, in a file of the newer


def _past_every_grace(days: int) -> Callable[[], datetime]:
    now = datetime.now(UTC) + timedelta(days=days)
    return lambda: now


@pytest.mark.parametrize("columns", ["fewer", "more"])
def test_a_file_has_the_columns_of_the_version_that_was_signed(begun: Ledger, columns: str) -> None:
    """A column of nulls adds nothing to a leaf: so no root would tell."""
    if columns == "fewer":
        begun.commit([Entry(event=Event.RUN_ENDED, at=AT, run_id=FIRST, job="night", detail_code="done")])
    newest = files.numbered(begun.path / files.SEGMENTS)[-1][1]
    segment = Segment.read(newest)
    empty = pa.nulls(segment.rows.num_rows, pa.string())
    rows = segment.rows.select(schema_of(2).names) if columns == "fewer" else segment.rows.append_column("cost_centre", empty)
    Segment(rows, segment.footer).write(newest)
    fault = verify(begun.path, deep=True).fault
    assert fault is not None
    assert "columns" in fault.reason
    assert "columns of the format" in independent.verify(begun.path)[1]


def test_the_version_never_falls(begun: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    begun.commit([Entry(event=Event.RUN_ENDED, at=AT, run_id=FIRST, job="night", detail_code="done")])
    monkeypatch.setattr(seal, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(segments, "with_sequence", _without_what_was_added)
    begun.commit([Entry(event=Event.RUN_ENDED, at=AT, run_id=FIRST, job="night", detail_code="done")])
    assert "another ledger or format" in str(verify(begun.path).fault)
    assert "older version" in independent.verify(begun.path)[1]


def test_the_fixtures_hold_no_private_key_and_stay_small() -> None:
    kept = [path for path in FIXTURES.glob("version-*/**/*") if path.is_file()]
    assert not any(b"PRIVATE" in path.read_bytes() or path.suffix == ".key" for path in kept)
    assert sum(path.stat().st_size for path in kept) < 60_000 * len({path.relative_to(FIXTURES).parts[0] for path in kept})
