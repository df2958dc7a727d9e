"""Forgetting: no byte of the ledger folder knows the name afterwards, the log is untouched, and a kill anywhere changes nothing of that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sinks import durable
from sinks.errors import LedgerUnavailableError
from sinks.ledger import erasure, files
from sinks.ledger.entry import Entry, Event
from sinks.ledger.erasure import Forgetting, finish_forgetting, forget, last_seen_before, named_after
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import FORGOTTEN, SOURCES_SCHEMA, SourceName, lookup, remember

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LETTER = SourceName(record_id="r-1", source="inbox/letter for Ada Example.eml", family="f-1", title="Letter to Ada Example")
ATTACHED = SourceName(record_id="r-2", source="inbox/letter for Ada Example.eml#photo of Ada Example.txt")
OTHER = SourceName(record_id="r-3", source="inbox/table.csv", source_id="42")
WISH = Forgetting(record_ids=("r-1", "r-2"), actor="mara", reason="erasure_request", at=NOW)


class KilledError(BaseException):
    """The process is gone: nothing of ours catches it."""


def told(ledger: Ledger) -> list[dict[str, Any]]:
    with reading(ledger) as reader:
        found: list[dict[str, Any]] = reader.table("FROM entries SELECT * WHERE event = 'forgotten' ORDER BY seq").to_pylist()
    return found


def knows_ada(ledger: Path) -> list[str]:
    return [path.name for path in ledger.rglob("*") if path.is_file() and b"Ada Example" in path.read_bytes()]


@pytest.fixture
def named(ledger: Ledger) -> Ledger:
    for one in (LETTER, ATTACHED, OTHER):
        remember(ledger.path, [one])
    remember(ledger.path, [SourceName(record_id="r-1", source=LETTER.source, title="Again, Ada Example")])
    return ledger


def test_the_names_go_and_the_log_says_so_without_them(named: Ledger) -> None:
    before = {path: path.read_bytes() for path in (named.path / files.SEGMENTS).glob("*.parquet")}
    assert forget(named, WISH) == 3
    assert knows_ada(named.path) == []
    assert {path: path.read_bytes() for path in before} == before
    assert [(one["record_id"], one["actor"], one["reason"], one["detail_code"], one["at"]) for one in told(named)] == [
        ("r-1", "mara", "erasure_request", "names", NOW),
        ("r-2", "mara", "erasure_request", "names", NOW),
    ]
    names = lookup(named.path, ["r-1", "r-2", "r-3"])
    assert {record: name.source for record, name in names.items()} == {"r-1": FORGOTTEN, "r-2": FORGOTTEN, "r-3": OTHER.source}
    assert list((named.path / files.SOURCES).glob(".forgetting-*")) == []


def test_a_forgotten_record_is_not_named_again(named: Ledger) -> None:
    forget(named, WISH)
    assert remember(named.path, [LETTER, ATTACHED, OTHER]) == 0
    assert knows_ada(named.path) == []


def test_twice_is_as_once(named: Ledger) -> None:
    forget(named, WISH)
    state = {path.name: path.read_bytes() for path in (named.path / files.SOURCES).glob("*.parquet")}
    assert forget(named, WISH) == 0
    assert {path.name: path.read_bytes() for path in (named.path / files.SOURCES).glob("*.parquet")} == state


def test_what_dead_writers_left_goes_too(named: Ledger) -> None:
    left = pa.Table.from_pylist([{"record_id": "r-1", "source": LETTER.source}], schema=SOURCES_SCHEMA)
    folder, aside = named.path / files.SOURCES, named.path / files.ORPHANS
    aside.mkdir()
    for path in (folder / ".tmp-4711-abcdef01", files.temporary_path(folder), aside / "tmp-host-1-00000000-aa"):
        pa.parquet.write_table(left, path)
    (aside / "tmp-host-1-00000000-bb").write_bytes(b"torn: Ada Example")
    segment = files.numbered(named.path / files.SEGMENTS)[0][1].read_bytes()
    (aside / "tmp-host-1-00000000-cc").write_bytes(segment)
    forget(named, WISH)
    assert knows_ada(named.path) == []
    assert [path.name for path in aside.iterdir()] == ["tmp-host-1-00000000-cc"]


STEPS = ("_write_note", "append", "rewrite", "_drop_remains", "commit", "unlink")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_killed_anywhere_it_is_gone_on_with(named: Ledger, monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool) -> None:
    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if after:
                real(*args, **kwargs)
            raise KilledError

        return call

    with monkeypatch.context() as patched:
        owner = named if step == "commit" else Path if step == "unlink" else erasure
        patched.setattr(owner, step, dying(getattr(owner, step)))
        with pytest.raises(KilledError):
            forget(named, WISH)
    reopened = Ledger.open(named.path)
    if step == "_write_note" and not after:
        finish_forgetting(reopened)
        assert lookup(named.path, ["r-1"])["r-1"].title == "Again, Ada Example"
        return
    finish_forgetting(reopened)
    assert knows_ada(named.path) == []
    assert {one["record_id"] for one in told(reopened)} == {"r-1", "r-2"}
    assert len({one["entry_id"] for one in told(reopened)}) == 2
    assert finish_forgetting(reopened) == 0


def test_a_full_disk_stops_it_with_one_line(named: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(LedgerUnavailableError, match="No space left") as caught:
        forget(named, WISH)
    assert "Ada" not in str(caught.value)


def test_a_source_means_its_members_too(named: Ledger) -> None:
    assert named_after(named.path, LETTER.source) == ["r-1", "r-2"]
    assert named_after(named.path, "inbox/letter for Ada") == []
    assert named_after(named.path, OTHER.source) == ["r-3"]


def test_old_records_are_those_of_which_nothing_new_was_said(named: Ledger) -> None:
    old, new = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 6, 5, tzinfo=UTC)
    named.commit(
        [
            Entry(event=Event.HELD, at=at, run_id="a-2026-01-05", record_id=record, reason="empty_text")
            for record, at in (("r-1", old), ("r-2", old), ("r-2", new), ("r-9", old))
        ]
    )
    assert last_seen_before(named.path, date(2026, 3, 1)) == ["r-1"]
    assert last_seen_before(named.path, date(2026, 7, 1)) == ["r-1", "r-2"]
    assert last_seen_before(named.path, date(2026, 1, 5)) == []
