"""Small real ledgers, made by the writer, and what both verifiers say of a copy that somebody has been at."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from docs import verify_ledger as independent
from sinks.ledger import segments, signing
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A ledger with its keys, and a checkpoint of its end that is kept elsewhere."""

    path: Path
    first_key: str
    newest_key: str
    anchor: Path


def entries(batch: int, count: int) -> list[Entry]:
    """Of different shapes: lists empty and absent, numbers of each type, and text outside ASCII."""
    return [
        Entry(
            event=Event.DECIDED if row % 2 else Event.COMPLETED,
            at=START + timedelta(seconds=60 * batch + row),
            run_id="night-2026-11-21",
            record_id=f"r-{batch}-{row}",
            data_classes=(None, (), ("PHI", "PII"))[row % 3],
            partial=(None, True, False)[row % 3],
            evidence=(None, (), (EvidenceCount(entity="US_SSN", count=2, max_score=0.75, detector="ssn"),))[(row + batch) % 3],
            rule="règle 1",
            payload_bytes=-row,
            attempt=row,
            score=(None, float("nan"), -0.0, 0.1)[row % 4],
            cost_usd=(None, Decimal("-0.000000001"), Decimal(7))[row % 3],
            expiry=START if row % 2 else None,
        )
        for row in range(count)
    ]


def build(folder: Path, *, archived: bool) -> Case:
    ledger = Ledger.open(folder / "ledger")
    first = segments.newest_key(folder / "ledger")
    for batch, count in enumerate((5, 1, 4)):
        ledger.commit(entries(batch, count))
    newest = ledger.rotate_key(actor="Ada Example")
    ledger.commit(entries(4, 7))
    if archived:
        path = folder / "ledger"
        name = "2026-10.00000001-00000005.parquet"
        digest = attacker.archive(path, 1, 5, name)
        stated: dict[str, Any] = {"result_file": name, "result_digest": digest, "before": "1", "after": "5"}
        ledger.commit([Entry(event=Event.COMPACTED, at=START, **stated)])
        for number in (1, 2, 4, 5):  # deletion is under way: the third is still there
            (path / "segments" / f"{number:08}.parquet").unlink()
    ledger.commit(entries(6, 3))
    anchor = folder / "anchor"
    anchor.mkdir()
    newest_file = attacker.segment_files(folder / "ledger")[-1]
    size = Segment.read(newest_file).footer["waybill.tree_size"]
    (anchor / f"{size}.note").write_text(attacker.note_of(newest_file), encoding="utf-8")
    return Case(folder / "ledger", str(first), str(newest), anchor)


@contextmanager
def copied(case: Case) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(case.path, Path(folder, "ledger")))


def faults(path: Path, *, key: str | None = None, anchor: Path | None = None) -> tuple[tuple[int, str] | None, str | None]:
    """What each verifier finds wrong; None where it is content."""
    anchors = [anchor] if anchor else []
    ours = verify(path, deep=True, pinned=signing.verifier_keys(key) if key else (), anchors=anchors).fault
    status, line = independent.verify(path, [independent.parse_key(key)] if key else None, anchors)
    return (ours.seq, ours.reason) if ours else None, line if status else None


def assert_found(path: Path, *, key: str | None = None, anchor: Path | None = None, first: int = 0, last: int = 0) -> None:
    """Both find it; with `first` and `last`, both say that it is among these entries."""
    ours, theirs = faults(path, key=key, anchor=anchor)
    assert ours is not None, theirs
    assert theirs is not None, ours
    if last:
        said = re.match(r"NOT INTACT: seq (\d+): ", theirs)
        assert said, theirs
        assert first <= int(said[1]) <= last, theirs
        assert first <= ours[0] <= last, ours
