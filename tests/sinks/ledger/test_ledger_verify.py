"""Everything that may be done to a ledger without its key must be found, and an honest one must pass."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.errors import KeyMissingError, LedgerError, LedgerUnavailableError
from sinks.ledger import files, recompute, segments, signing
from sinks.ledger.canonical import leaf_hashes
from sinks.ledger.entry import Entry, Event
from sinks.ledger.keys import default_path
from sinks.ledger.note import VerifierKey
from sinks.ledger.seal import Seal
from sinks.ledger.segments import Ledger, newest_key
from sinks.ledger.tree import Frontier
from sinks.ledger.verify import verify

AT = datetime(2026, 11, 22, tzinfo=UTC)


def held(record_id: str) -> Entry:
    return Entry(event=Event.HELD, at=AT, run_id="n-1", record_id=record_id, reason="budget", lanes=("local",))


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five segments, eleven entries; the key is handed over in segment 3. A test changes its copy only."""
    ledger = Ledger.open(tmp_path_factory.mktemp("sealed") / "ledger")
    ledger.commit([held(f"r{row}") for row in range(3)])
    ledger.rotate_key(actor="Ada Example")
    ledger.commit([held(f"s{row}") for row in range(5)])
    return ledger.path


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    shutil.copytree(default_path(sealed), default_path(tmp_path / "ledger"))
    return Path(shutil.copytree(sealed, tmp_path / "ledger"))


def segment(ledger: Path, number: int) -> Path:
    return files.numbered_path(ledger / files.SEGMENTS, number)


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], footer: dict[str, str] | None = None) -> None:
    """Write a segment anew with other rows or footer values, as somebody would who has no key."""
    metadata = {key.decode(): value.decode() for key, value in files.footer(path).items() if key.startswith(b"waybill.")}
    table = change(pq.read_table(path).replace_schema_metadata(None))
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**metadata, **(footer or {})})


def changed(column: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        index = table.column_names.index(column)
        return table.set_column(index, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


def same(table: pa.Table) -> pa.Table:
    return table


@pytest.mark.parametrize("deep", [False, True])
def test_an_honest_ledger_is_intact(sealed: Path, *, deep: bool) -> None:
    verdict = verify(sealed, deep=deep)
    assert (verdict.fault, verdict.entries, verdict.segments, verdict.temporaries) == (None, 11, 5, 0)
    assert [key.hash for key in verdict.keys][-1] == newest_key(sealed).hash
    assert len(verdict.keys) == 2


def test_every_key_of_the_chain_may_be_pinned_and_no_other(sealed: Path, tmp_path: Path) -> None:
    for key in verify(sealed).keys:
        assert verify(sealed, pinned=[key]).fault is None
    stranger = VerifierKey(newest_key(sealed).name, bytes(32))
    fault = verify(sealed, pinned=[stranger]).fault
    assert fault is not None
    assert (fault.seq, "never by the pinned key" in fault.reason) == (1, True)
    other = newest_key(Ledger.open(tmp_path / "other").path)
    assert "the pinned key is of" in str(verify(sealed, pinned=[other]).fault)


@pytest.mark.parametrize(
    ("attack", "seq"),
    [
        pytest.param(lambda ledger: rewrite(segment(ledger, 2), changed("record_id", 1, "r9")), 2, id="a field"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), changed("reason", 0, "other")), 7, id="a field of the newest segment"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), changed("seq", 3, 3)), 10, id="a number"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), changed("lanes", 0, ["local", None])), 7, id="a null in a list"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 2), lambda table: table.slice(1)), 2, id="a row less"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), lambda table: table.take([1, 0, 2, 3, 4])), 7, id="rows in another order"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), lambda table: table.drop_columns(["reason"])), 7, id="a column less"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 3), changed("actor", 0, "Eve")), 5, id="who rotated the key"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 2), same, {"waybill.key_id": "0" * 32}), 2, id="footer: key_id"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 2), same, {"waybill.first_seq": "3"}), 2, id="footer: first_seq"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), same, {"waybill.frontier": ""}), 7, id="footer: frontier"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), same, {"waybill.note": "x"}), 7, id="footer: one more"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), same, {"waybill.schema_version": "4"}), 7, id="footer: unknown version"),
        pytest.param(lambda ledger: rewrite(segment(ledger, 5), same, {"waybill.schema_version": "2"}), 7, id="footer: older version"),
        pytest.param(lambda ledger: segment(ledger, 2).unlink(), 2, id="a segment less"),
        pytest.param(lambda ledger: segment(ledger, 2).write_bytes(b"PAR1"), 2, id="not Parquet"),
        pytest.param(lambda ledger: shutil.copy(segment(ledger, 2), segment(ledger, 6)), 12, id="a segment twice"),
        pytest.param(lambda ledger: shutil.copy(segment(ledger, 2), segment(ledger, 9)), 12, id="an orphan segment"),
        pytest.param(lambda ledger: shutil.copy(segment(ledger, 2), ledger / "segments" / "000000002.parquet"), 5, id="a number twice"),
        pytest.param(lambda ledger: shutil.copy(segment(ledger, 2), ledger / "segments" / "more.parquet"), 12, id="a strange file"),
        pytest.param(lambda ledger: segment(ledger, 5).unlink(), 7, id="the tail, seen by `checkpoint`"),
        pytest.param(lambda ledger: (ledger / "checkpoint").write_text("nonsense\n"), 1, id="checkpoint"),
    ],
)
def test_whatever_is_changed_is_found(copy: Path, attack: Callable[[Path], Any], seq: int) -> None:
    attack(copy)
    fast, deep = verify(copy).fault, verify(copy, deep=True).fault
    assert fast is not None
    assert deep is not None
    assert fast.seq == deep.seq == seq


def test_only_the_rows_tell_when_later_digests_cannot(copy: Path) -> None:
    """A file that was exchanged together with all that follows, by the holder of the newest key: the older rows no longer fit."""
    table = changed("record_id", 0, "r9")(pq.read_table(segment(copy, 2)))
    stretch = recompute.Stretch(
        path=segment(copy, 2),
        before=Frontier().extended(leaf_hashes(pq.read_table(segment(copy, 1)))),
        signed=((4, Frontier().extended(leaf_hashes(table)).root),),
    )
    fault = recompute.recompute(stretch)
    assert fault is not None
    assert "entries 2 to 4 are not what was signed" in fault.reason


def test_a_segment_of_another_ledger_does_not_fit(copy: Path, tmp_path: Path) -> None:
    other = Ledger.open(tmp_path / "other", keys=default_path(copy))
    for _ in range(5):
        other.commit([held("r")])
    shutil.copy(segment(other.path, 6), segment(copy, 6))
    assert verify(copy).fault is not None


def test_a_ledger_signed_anew_is_found_by_the_pinned_key_alone(copy: Path, tmp_path: Path) -> None:
    forged = Ledger.open(tmp_path / "forged" / "ledger")
    forged.commit([held("r")])
    assert verify(forged.path, deep=True).fault is None
    assert verify(forged.path, pinned=verify(copy).keys[:1]).fault is not None


def test_a_forged_hand_over_is_not_believed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's owner writes a hand-over to a key of his own, and signs on with it: the old key never signed that entry."""
    own = signing.Signer(VerifierKey(newest_key(copy).name, b""), signing.Ed25519PrivateKey.generate())
    own = signing.Signer(VerifierKey(own.verifier.name, own.key.public_key().public_bytes_raw()), own.key)
    for number in (4, 5):
        segment(copy, number).unlink()
    rewrite(segment(copy, 3), changed("after", 0, str(own.verifier)))
    (copy / "checkpoint").unlink()
    monkeypatch.setattr(signing, "load_for", lambda folder, verifier: own)
    monkeypatch.setattr(segments, "check_tail", lambda ledger: None)  # the owner of the host runs what he likes
    Ledger.open(copy).commit([held("forged")])
    fault = verify(copy).fault
    assert fault is not None
    assert fault.seq == 5


def anchored(ledger: Path, folder: Path) -> Path:
    folder.mkdir()
    for number in (2, 5):
        footer = files.footer(segment(ledger, number))
        (folder / f"{footer[b'waybill.tree_size'].decode()}.note").write_bytes(footer[b"waybill.checkpoint"])
    return folder


def test_an_anchor_shows_a_tail_that_was_cut_off(copy: Path, tmp_path: Path) -> None:
    anchor = anchored(copy, tmp_path / "anchor")
    verdict = verify(copy, anchors=[anchor])
    assert (verdict.fault, verdict.compared) == (None, len(list(anchor.glob("*.note"))))
    assert verdict.covered == max(int(note.stem) for note in anchor.glob("*.note"))
    segment(copy, 5).unlink()
    (copy / "checkpoint").unlink()
    assert verify(copy).fault is None
    fault = verify(copy, anchors=[anchor]).fault
    assert fault is not None
    assert (fault.seq, "its tail is gone" in fault.reason) == (7, True)


def test_an_anchor_of_another_history_is_found(copy: Path, sealed: Path, tmp_path: Path) -> None:
    anchor = anchored(sealed, tmp_path / "anchor")
    segment(copy, 5).unlink()
    ledger = Ledger.open(copy)
    ledger.commit([held(f"other{row}") for row in range(5)])
    fault = verify(copy, anchors=[anchor]).fault
    assert fault is not None
    assert (fault.seq, "not one of this log" in fault.reason) == (5, True)


def test_an_anchor_that_holds_nothing_is_no_anchor(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no checkpoints here"):
        verify(copy, anchors=[tmp_path])
    with pytest.raises(LedgerError, match="no ledger here"):
        verify(tmp_path)


def test_unfinished_commits_are_counted_and_ignored(copy: Path) -> None:
    (copy / "segments" / ".tmp-somewhere-1-0a0a0a0a-01").write_bytes(b"half")
    (copy / "checkpoint").write_text("")
    verdict = verify(copy)
    assert (verdict.fault, verdict.temporaries) == (None, 1)


def archive(ledger: Path, first: int, last: int) -> Path:
    """What compaction makes of these segments, made by hand, and its entry."""
    opened = Ledger.open(ledger)
    seals = [Seal.parse(files.footer(segment(ledger, number))) for number in range(first, last + 1)]
    table = pa.concat_tables(pq.read_table(segment(ledger, number)).replace_schema_metadata(None) for number in range(first, last + 1))
    path = ledger / files.ARCHIVE / f"2026-11.{first:08d}-{last:08d}.parquet"
    path.parent.mkdir()
    footer = {
        **{key.decode(): value.decode() for key, value in files.footer(segment(ledger, last)).items() if key.startswith(b"waybill.")},
        **Seal(
            ledger_id=seals[-1].ledger_id,
            segment=last,
            first_seq=seals[0].first_seq,
            key_id=seals[-1].key_id,
            frontier=seals[-1].frontier,
            checkpoint=seals[-1].checkpoint,
            verifier_key=seals[-1].verifier_key,
            first_segment=first,
            checkpoints=tuple(seal.checkpoint for seal in seals),
        ).metadata(),
    }
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(footer)
    entry = Entry(
        event=Event.COMPACTED,
        at=AT,
        result_file=path.name,
        result_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        before=str(first),
        after=str(last),
    )
    opened.commit([entry])
    return path


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kept", [True, False], ids=["segments still there", "segments gone"])
def test_an_archive_is_verified_with_and_without_its_segments(copy: Path, *, kept: bool, deep: bool) -> None:
    archive(copy, 1, 5)
    for number in () if kept else range(1, 6):
        segment(copy, number).unlink()
    verdict = verify(copy, deep=deep)
    assert (verdict.fault, verdict.entries, verdict.archives, len(verdict.keys)) == (None, 12, 1, 2)


@pytest.mark.parametrize(
    ("attack", "seq"),
    [
        pytest.param(lambda ledger, path: rewrite(path, changed("record_id", 1, "r9")), 2, id="a row of the archive"),
        pytest.param(lambda ledger, path: rewrite(path, changed("record_id", 9, "r9")), 7, id="a late row of the archive"),
        pytest.param(lambda ledger, path: path.rename(path.with_name(path.name.replace("2026-11", "2026-12"))), 1, id="its name"),
        pytest.param(lambda ledger, path: rewrite(segment(ledger, 2), changed("record_id", 1, "r9")), 2, id="a segment that is in it"),
        pytest.param(lambda ledger, path: (path.parent / "notes.txt").write_text(""), 13, id="a strange file beside it"),
    ],
)
def test_whatever_is_changed_in_an_archive_is_found(copy: Path, attack: Callable[[Path, Path], Any], seq: int) -> None:
    attack(copy, archive(copy, 1, 5))
    fault = verify(copy, deep=True).fault
    assert fault is not None
    assert fault.seq == seq
    assert verify(copy).fault is not None


def test_several_processes_verify_as_one_does(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "_WORTH_A_PROCESS", 1)
    assert verify(copy, deep=True).fault is None


def test_files_that_cannot_be_read_are_no_verdict(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> list[str]:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr("sinks.ledger.files.os.listdir", refuse)
    with pytest.raises(LedgerUnavailableError, match="check the permissions"):
        verify(copy)


def test_a_writer_does_not_go_on_after_a_broken_seal(copy: Path) -> None:
    rewrite(segment(copy, 5), same, {"waybill.key_id": "0" * 32})
    with pytest.raises(LedgerUnavailableError, match="does not say what was signed"):
        Ledger.open(copy)


def test_a_writer_does_not_go_on_after_a_segment_that_another_key_signed(copy: Path, tmp_path: Path) -> None:
    (default_path(copy) / signing.PRIVATE).unlink()
    signing.ensure_key(default_path(copy), ledger_empty=True)
    with pytest.raises(KeyMissingError, match="restore the right one"):
        Ledger.open(copy).commit([held("r")])


def test_a_writer_does_not_go_on_from_an_older_end(copy: Path) -> None:
    ledger = Ledger.open(copy)
    segment(copy, 5).unlink()
    with pytest.raises(LedgerUnavailableError, match="was there and is gone"):
        ledger.commit([held("r")])


def test_a_ledger_of_the_first_format_is_refused_in_one_line(copy: Path) -> None:
    rewrite(segment(copy, 5), same, {"waybill.schema_version": "1"})
    with pytest.raises(LedgerUnavailableError, match="written in ledger format 1, expected format 2 or 3; keep the old ledger") as caught:
        Ledger.open(copy)
    assert "\n" not in str(caught.value)
