"""Anchors in a folder and in a bucket under Object Lock: only added to, and never to a log that they contradict."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from sinks.errors import AnchorContradictedError, AnchorError, EndpointError, LedgerError
from sinks.ledger.anchors import Anchor, BucketAnchor, FolderAnchor, anchor_newest, check, note_of, read_all
from sinks.ledger.compaction import compact
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.ledger.verify import verify

NOW = datetime.now(UTC)


def held(*record_ids: str) -> list[Entry]:
    return [Entry(event=Event.HELD, at=NOW, record_id=record_id, reason="no_rule") for record_id in record_ids]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    opened = Ledger.open(path)
    opened.commit(held("r-a", "r-b"))
    return opened


@pytest.fixture(scope="module")
def locked(s3_connection: AwsConnection, new_bucket: Callable[..., str]) -> Iterator[S3Store]:
    store = S3Store(s3_connection, new_bucket(lock=True))
    yield store
    store.close()


@pytest.fixture(params=["folder", "bucket"])
def anchor(request: pytest.FixtureRequest, tmp_path: Path) -> Anchor:
    if request.param == "folder":
        (tmp_path / "anchor").mkdir()
        return FolderAnchor(tmp_path / "anchor")
    store: S3Store = request.getfixturevalue("locked")
    return BucketAnchor(store, f"ledgers/{tmp_path.name}")


def copies(anchor: Anchor) -> list[tuple[str, str]]:
    return [(kept.name, kept.text) for kept in read_all(anchor)]


def test_the_newest_checkpoint_is_kept_once(ledger: Ledger, path: Path, anchor: Anchor) -> None:
    assert check(path, anchor) == 0
    first = anchor_newest(path, anchor, now=NOW)
    assert (first.size, first.added, first.concern) == (3, True, "")
    again = anchor_newest(path, anchor, now=NOW)
    assert (again.size, again.added, again.concern) == (3, False, "")
    ledger.commit(held("r-c"))
    assert anchor_newest(path, anchor, now=NOW).size == 4
    assert sorted(place.size for place in anchor.places()) == [3, 4]
    assert check(path, anchor) == 4
    assert {text for _, text in copies(anchor)} == {note_of(path, 2), note_of(path, 3)}
    assert verify(path, copies=copies(anchor)).fault is None


def test_a_checkpoint_whose_segment_was_compacted_still_agrees(ledger: Ledger, path: Path, anchor: Anchor) -> None:
    for number in range(6):
        ledger.commit(held(f"r-{number}"))
        if number < 2:
            anchor_newest(path, anchor, now=NOW)
    for days in (1, 2, 3):
        compact(ledger, clock=lambda days=days: NOW + timedelta(days=days), least=4)  # type: ignore[misc]  # a lambda with a default
    assert not (path / "segments" / "00000003.parquet").exists()
    assert check(path, anchor) == 5
    assert anchor_newest(path, anchor, now=NOW).added is True
    assert verify(path, deep=True, copies=copies(anchor)).fault is None


def cut(path: Path) -> None:
    max((path / "segments").glob("*.parquet")).unlink()


def grown_again(path: Path) -> None:
    cut(path)
    Ledger.open(path).commit(held("r-x", "r-y", "r-z"))


def same_size(path: Path) -> None:
    cut(path)
    Ledger.open(path).commit(held("r-x", "r-y"))


def replaced(path: Path) -> None:
    shutil.rmtree(path)
    Ledger.open(path).commit(held("r-x", "r-y", "r-z", "r-v"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(cut, r"has seen 3 entries, but the ledger at .* ends at 1", id="tail cut off"),
        pytest.param(grown_again, "another checkpoint at 3 entries", id="rolled back, grown beyond"),
        pytest.param(same_size, "another checkpoint at 3 entries", id="rolled back, grown to the same size"),
        pytest.param(replaced, "but the ledger at", id="another ledger"),
        pytest.param(shutil.rmtree, "there is none at", id="gone"),
    ],
)
def test_an_anchor_that_contradicts_the_log_gets_nothing(
    ledger: Ledger, path: Path, anchor: Anchor, damage: Callable[[Path], None], said: str
) -> None:
    anchor_newest(path, anchor, now=NOW)
    damage(path)
    for ask in (check, lambda *of: anchor_newest(*of, now=NOW)):
        with pytest.raises(AnchorContradictedError, match=said):
            ask(path, anchor)
    assert len(anchor.places()) == 1
    if path.exists():
        fault = verify(path, copies=copies(anchor)).fault
        assert fault is not None


def test_what_is_no_checkpoint_stops_as_well(ledger: Ledger, path: Path, anchor: Anchor) -> None:
    anchor.add(2, "good morning\n", now=NOW)
    with pytest.raises(AnchorContradictedError, match="not a checkpoint"):
        anchor_newest(path, anchor, now=NOW)


def test_a_checkpoint_under_another_size_is_a_contradiction(ledger: Ledger, path: Path, anchor: Anchor) -> None:
    anchor.add(2, note_of(path, 2) or "", now=NOW)
    with pytest.raises(AnchorContradictedError, match="another checkpoint at 2 entries"):
        check(path, anchor)


def test_two_writers_at_once_leave_one_checkpoint(ledger: Ledger, path: Path, anchor: Anchor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other was quicker, between our look and our write; or it was ourselves, and the answer was lost."""
    add = type(anchor).add

    def late(self: Any, size: int, note: str, *, now: datetime) -> None:
        add(self, size, note, now=now)
        add(self, size, note, now=now)

    monkeypatch.setattr(type(anchor), "add", late)
    assert anchor_newest(path, anchor, now=NOW).added is False
    assert len(anchor.places()) == 1

    def other(self: Any, size: int, note: str, *, now: datetime) -> None:
        add(self, size, note.replace("previous ", "previous 0"), now=now)
        add(self, size, note, now=now)

    ledger.commit(held("r-c"))
    monkeypatch.setattr(type(anchor), "add", other)
    with pytest.raises(AnchorContradictedError):
        anchor_newest(path, anchor, now=NOW)


def test_other_jobs_may_lengthen_and_anchor_the_log_meanwhile(
    ledger: Ledger, path: Path, anchor: Anchor, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = type(anchor).places

    def busy(self: Any) -> Any:
        found = places(self)
        monkeypatch.setattr(type(anchor), "places", places)
        ledger.commit(held("r-c"))
        anchor_newest(path, anchor, now=NOW)
        ledger.commit(held("r-d"))
        return found

    monkeypatch.setattr(type(anchor), "places", busy)
    assert anchor_newest(path, anchor, now=NOW).size == 5
    assert sorted(place.size for place in anchor.places()) == [4, 5]


def test_a_ledger_without_segments_has_nothing_to_anchor(path: Path, anchor: Anchor) -> None:
    with pytest.raises(LedgerError, match="no ledger here"):
        anchor_newest(path, anchor, now=NOW)
    with pytest.raises(AnchorError, match="no checkpoints here"):
        read_all(anchor)


def test_a_folder_that_is_not_mounted_is_no_empty_anchor(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    with pytest.raises(AnchorError, match="is it mounted"):
        anchor_newest(path, FolderAnchor(tmp_path / "mnt"), now=NOW)
    assert not (tmp_path / "mnt").exists()


def test_a_note_in_a_folder_is_read_only_and_whole(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    (tmp_path / "anchor").mkdir()
    anchor_newest(path, FolderAnchor(tmp_path / "anchor"), now=NOW)
    (tmp_path / "anchor" / "README.note").write_text("not one of ours")
    (note,) = [file for file in (tmp_path / "anchor").iterdir() if file.name != "README.note"]
    assert (note.name, note.stat().st_mode & 0o777) == ("3.note", 0o444)
    assert check(path, FolderAnchor(tmp_path / "anchor")) == 3


def test_a_bucket_keeps_what_somebody_hides_or_writes_over(ledger: Ledger, path: Path, locked: S3Store, tmp_path: Path) -> None:
    """Object Lock keeps every version; a delete marker or a newer version only hides it. Both are seen."""
    anchor = BucketAnchor(locked, tmp_path.name)
    anchor_newest(path, anchor, now=NOW)
    locked.delete(f"{tmp_path.name}/3.note")
    assert list(locked.keys(tmp_path.name)) == []
    assert [kept.concern for kept in read_all(anchor)] == ["something newer hides it"]
    cut(path)
    with pytest.raises(AnchorContradictedError, match="has seen 3 entries"):
        check(path, anchor)
    locked.put(f"{tmp_path.name}/3.note", b"good morning\n")
    with pytest.raises(AnchorContradictedError):
        check(path, anchor)


def test_retention_is_looked_at(ledger: Ledger, path: Path, locked: S3Store, tmp_path: Path) -> None:
    short = BucketAnchor(locked, tmp_path.name, retain_years=1)
    assert anchor_newest(path, short, now=NOW).concern == ""
    (kept,) = read_all(BucketAnchor(locked, tmp_path.name, retain_years=6))
    assert kept.concern == f"retained until {NOW + timedelta(days=365):%Y-%m-%d} only, less than the job asks for"
    assert kept.name == f"s3://{locked.bucket}/{tmp_path.name}/3.note"
    ledger.commit(held("r-c"))
    locked.put(f"{tmp_path.name}/4.note", (note_of(path, 3) or "").encode())
    done = anchor_newest(path, short, now=NOW)
    assert (done.size, done.added) == (4, False)
    assert done.concern.startswith("no COMPLIANCE retention to be seen")


def test_a_bucket_without_object_lock_takes_nothing(
    ledger: Ledger, path: Path, s3_connection: AwsConnection, new_bucket: Callable[..., str]
) -> None:
    store = S3Store(s3_connection, new_bucket())
    with pytest.raises(AnchorError, match=r"the checkpoint was refused .* check bucket, Object Lock and policy"):
        anchor_newest(path, BucketAnchor(store, ""), now=NOW)
    assert list(store.keys("")) == []
    store.close()


def test_a_bucket_that_is_out_of_reach_is_no_contradiction(
    ledger: Ledger, path: Path, locked: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise EndpointError("no usable answer")

    anchor = BucketAnchor(locked, "nowhere")
    monkeypatch.setattr(S3Store, "put", fail)
    with pytest.raises(AnchorError, match="nobody can tell"):
        anchor_newest(path, anchor, now=NOW)
    monkeypatch.setattr(S3Store, "versions", fail)
    with pytest.raises(AnchorError, match="no usable answer"):
        check(path, anchor)
