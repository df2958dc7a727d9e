from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli import waybill
from sinks.errors import KeyMissingError, LedgerError, LedgerUnavailableError
from sinks.ledger import files, signing
from sinks.ledger.entry import Entry, Event
from sinks.ledger.keys import Keys, default_path
from sinks.ledger.note import VerifierKey
from sinks.ledger.segments import CHECKPOINT, Ledger, newest_key
from sinks.ledger.verify import verify

AT = datetime(2026, 11, 22, tzinfo=UTC)
HELD = Entry(event=Event.HELD, at=AT, run_id="n-1", record_id="r", reason="budget")


def test_the_key_is_made_beside_the_other_and_is_the_owners_alone(ledger: Ledger) -> None:
    folder = default_path(ledger.path)
    assert {path.name for path in folder.iterdir()} == {"hmac.key", signing.PRIVATE, signing.PUBLIC}
    assert stat.S_IMODE((folder / signing.PRIVATE).stat().st_mode) == 0o600
    assert (folder / signing.PUBLIC).read_text() == f"{newest_key(ledger.path)}\n"
    assert "PRIVATE" not in repr(signing.load(folder, "n"))
    secret = (folder / signing.PRIVATE).read_bytes().splitlines()[1]
    assert not any(secret in path.read_bytes() for path in ledger.path.rglob("*") if path.is_file())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(ledger: Ledger, mode: int) -> None:
    (default_path(ledger.path) / signing.PRIVATE).chmod(mode)
    with pytest.raises(KeyMissingError, match="chmod 600"):
        Ledger.open(ledger.path)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"], ids=["empty", "damaged"])
def test_a_damaged_key_is_refused(ledger: Ledger, content: bytes) -> None:
    (default_path(ledger.path) / signing.PRIVATE).write_bytes(content)
    with pytest.raises(KeyMissingError, match="expected an Ed25519 key"):
        Ledger.open(ledger.path)


def test_a_lost_key_is_not_replaced(ledger: Ledger) -> None:
    (default_path(ledger.path) / signing.PRIVATE).unlink()
    with pytest.raises(KeyMissingError, match="restore it from your backup"):
        Ledger.open(ledger.path)
    assert not (default_path(ledger.path) / signing.PRIVATE).exists()


def test_a_lost_public_half_is_written_again(ledger: Ledger) -> None:
    public = default_path(ledger.path) / signing.PUBLIC
    public.unlink()
    Ledger.open(ledger.path)
    assert public.read_text() == f"{newest_key(ledger.path)}\n"


def test_a_folder_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailableError, match="signing key cannot be read"):
        signing.ensure_key(tmp_path / "file" / "k", ledger_empty=True)


def test_keys_that_only_hash_open_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="can hash but not sign"):
        Ledger.open(tmp_path / "ledger", keys=Keys(b"0" * 32))


def test_every_commit_carries_its_checkpoint_and_publishes_it(ledger: Ledger) -> None:
    for _ in range(3):
        number = ledger.commit([HELD])
        footer = files.footer(files.numbered_path(ledger.path / files.SEGMENTS, number))
        assert (ledger.path / CHECKPOINT).read_bytes() == footer[b"waybill.checkpoint"]
    assert verify(ledger.path, deep=True).fault is None


def test_a_checkpoint_that_cannot_be_published_fails_no_commit(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (ledger.path / CHECKPOINT).read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_text", full)
        assert ledger.commit([HELD]) == 2
    assert (ledger.path / CHECKPOINT).read_bytes() == before
    assert verify(ledger.path).fault is None


def test_the_key_is_handed_over_and_others_follow(ledger: Ledger) -> None:
    other = Ledger.open(ledger.path)
    old, new = newest_key(ledger.path), ledger.rotate_key(actor="Ada Example")
    assert other.commit([HELD]) == ledger.commit([HELD]) - 1
    assert Ledger.open(ledger.path).commit([HELD]) == 6
    assert newest_key(ledger.path) == new != old
    assert (default_path(ledger.path) / signing.PUBLIC).read_text() == f"{new}\n"
    assert verify(ledger.path, deep=True, pinned=[old]).keys == (old, new)
    assert verify(ledger.path, pinned=[new]).fault is None


def test_a_hand_over_that_was_cut_short_is_finished_by_the_next_writer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(signing, "adopt", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.rotate_key()
    assert (default_path(ledger.path) / signing.NEXT).exists()
    assert Ledger.open(ledger.path).commit([HELD]) == 3
    assert not (default_path(ledger.path) / signing.NEXT).exists()
    assert verify(ledger.path, deep=True).fault is None


def test_a_hand_over_goes_only_through_its_own_door(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="by `rotate_key` alone"):
        ledger.commit([HELD, Entry(event=Event.KEY_ROTATED, at=AT, after="x")])
    assert ledger.head() == 1


def test_a_key_that_signs_two_ledgers_is_not_rotated(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger.open(tmp_path / "other", keys=default_path(ledger.path))
    with pytest.raises(LedgerError, match="also signs waybill/"):
        other.rotate_key()
    assert len(signing.published(default_path(ledger.path))) == 2
    keys = signing.verifier_keys((default_path(ledger.path) / signing.PUBLIC).read_text())
    assert verify(ledger.path, pinned=keys).fault is None


def test_a_null_inside_a_list_is_not_committed(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="column lanes: a null inside a list; nothing was written"):
        ledger.commit([Entry(event=Event.DECIDED, at=AT, lanes=("local", None))])  # type: ignore[arg-type]
    assert ledger.head() == 1


def test_threads_share_one_ledger(ledger: Ledger) -> None:
    threads = [threading.Thread(target=lambda: [ledger.commit([HELD]) for _ in range(8)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = verify(ledger.path, deep=True)
    assert (verdict.fault, verdict.entries) == (None, 33)


def _create_and_commit(path: Path, start: Any, rotate: bool) -> None:  # noqa: FBT001 - a process's argument
    start.wait()
    ledger = Ledger.open(path)
    for batch in range(6):
        ledger.commit([HELD] * 7)
        if rotate and batch == 2:
            ledger.rotate_key()


def test_four_processes_that_start_together_make_one_verified_log(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [context.Process(target=_create_and_commit, args=(tmp_path / "ledger", start, not number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    verdict = verify(tmp_path / "ledger", deep=True)
    assert (verdict.fault, verdict.entries, verdict.segments) == (None, 4 * 6 * 7 + 3, 4 * 6 + 3)


@pytest.mark.parametrize("text", ["nonsense", "a+00000000+AAAA"], ids=["no key", "not its hash"])
def test_a_key_file_that_holds_no_key_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match="waybill ledger key"):
        signing.verifier_keys(text)


def test_an_auditor_pins_and_verifies_on_the_command_line(ledger: Ledger, tmp_path: Path) -> None:
    run = CliRunner()
    pin = tmp_path / "pinned"
    pin.write_text(run.invoke(waybill, ["ledger", "key", str(ledger.path)]).stdout)
    assert VerifierKey.parse(pin.read_text()) == newest_key(ledger.path)
    rotated = run.invoke(waybill, ["ledger", "rotate-key", str(ledger.path), "--actor", "Ada Example"], standalone_mode=False)
    assert rotated.stdout.startswith("waybill/")
    intact = run.invoke(waybill, ["audit", "verify", "--ledger", str(ledger.path), "--key", str(pin), "--deep"], standalone_mode=False)
    assert (intact.return_value, "intact: 3 entries" in intact.stdout, "not pinned" in intact.stdout) == (0, True, False)
    unpinned = run.invoke(waybill, ["audit", "verify", "--ledger", str(ledger.path)], standalone_mode=False)
    assert (unpinned.return_value, "self-consistent, key not pinned" in unpinned.stdout) == (0, True)
    files.numbered_path(ledger.path / files.SEGMENTS, 2).unlink()
    broken = run.invoke(waybill, ["audit", "verify", "--ledger", str(ledger.path)], standalone_mode=False)
    assert (broken.return_value, broken.stdout.startswith("NOT INTACT, entry 2: ")) == (1, True)
    assert run.invoke(waybill, ["audit", "verify", "--ledger", str(tmp_path / "nowhere")]).exit_code == 2
