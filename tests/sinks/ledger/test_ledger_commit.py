from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sinks import durable
from sinks.errors import HeadMovedError, KeyMissingError, LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.entry import Entry, Event
from sinks.ledger.keys import Keys, default_path
from sinks.ledger.segments import Ledger

AT = datetime(2026, 11, 22, tzinfo=UTC)

# Commits batches of ten until it is killed, and says which are acknowledged.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
ledger, name, batches = Ledger.open(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for batch in range(batches):
    ledger.commit([Entry(event=Event.DECIDED, at=datetime.now(UTC), run_id=name, record_id=f"{name}-{batch}-{row}") for row in range(10)])
    print(batch, flush=True)
"""


def held(record_id: str) -> Entry:
    return Entry(event=Event.HELD, at=AT, run_id="n-1", record_id=record_id, reason="budget")


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, file in files.numbered(path / files.SEGMENTS) for row in pq.read_table(file).to_pylist()]


def assert_gapless(path: Path) -> None:
    segments = files.numbered(path / files.SEGMENTS)
    assert [number for number, _ in segments] == list(range(1, len(segments) + 1))
    assert [row["seq"] for row in rows(path)] == list(range(1, len(rows(path)) + 1))
    for number, file in segments:
        footer, table = files.footer(file), pq.read_table(file)
        assert (int(footer[files.SEGMENT_KEY]), int(footer[files.FIRST_SEQ_KEY])) == (number, table["seq"][0].as_py())
        assert int(footer[files.LAST_SEQ_KEY]) == int(footer[files.TREE_SIZE_KEY]) == table["seq"][-1].as_py()


def start_writer(ledger: Path, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(ledger), name, str(batches)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdout is not None
    assert writer.stdin is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_a_new_ledger_states_its_schema(ledger: Ledger) -> None:
    (row,) = rows(ledger.path)
    assert (row["event"], row["detail_code"], ledger.head()) == ("schema", "version_3", 1)


def test_commits_number_segments_and_entries_without_a_gap(ledger: Ledger) -> None:
    assert [ledger.commit([held("r1"), held("r2")]), ledger.commit([held("r3")])] == [2, 3]
    assert Ledger.open(ledger.path).commit([held("r4")]) == 4
    assert [row["record_id"] for row in rows(ledger.path)] == [None, "r1", "r2", "r3", "r4"]
    assert_gapless(ledger.path)


def test_no_entries_make_no_segment(ledger: Ledger) -> None:
    assert ledger.commit([]) == 1
    assert ledger.head() == 1


def test_a_commit_on_the_expected_head_goes_through(ledger: Ledger) -> None:
    assert ledger.commit([held("r1")], expected_head=ledger.head()) == 2


@pytest.mark.parametrize("expected", [0, 1, 3], ids=["before all", "one behind", "ahead"])
def test_a_commit_on_another_head_writes_nothing(ledger: Ledger, expected: int) -> None:
    ledger.commit([held("r1")])
    with pytest.raises(HeadMovedError, match="read the facts again"):
        ledger.commit([held("r2")], expected_head=expected)
    assert ledger.head() == 2


def test_a_writer_that_comes_between_read_and_link_moves_the_head(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Ledger.open(ledger.path)
    link = durable.link_new

    def late(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(durable, "link_new", link)
        other.commit([held("r-other")])
        link(*arguments, **options)

    monkeypatch.setattr(durable, "link_new", late)
    with pytest.raises(HeadMovedError):
        ledger.commit([held("r-mine")], expected_head=1)
    monkeypatch.setattr(durable, "link_new", late)
    assert ledger.commit([held("r-mine")]) == 4
    assert [row["record_id"] for row in rows(ledger.path)] == [None, "r-other", "r-other", "r-mine"]
    assert_gapless(ledger.path)


def test_concurrent_writers_lose_and_double_nothing(ledger: Ledger) -> None:
    writers = [start_writer(ledger.path, f"w{number}", 15) for number in range(3)]
    for writer in writers:
        go(writer)
    for writer in writers:
        _, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0
    written = [row["record_id"] for row in rows(ledger.path)[1:]]
    assert sorted(written) == sorted(f"w{writer}-{batch}-{row}" for writer in range(3) for batch in range(15) for row in range(10))
    assert_gapless(ledger.path)


def test_killed_at_any_instant_no_acknowledged_batch_is_lost_and_none_is_torn(ledger: Ledger) -> None:
    chance = random.Random(20261122)  # which instant is not a secret
    acknowledged: set[str] = set()
    for attempt in range(4):
        name = f"k{attempt}"
        writer = start_writer(ledger.path, name, 100_000)
        go(writer)
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(chance.randint(1, 25))]
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=60)
        acknowledged |= {f"{name}-{int(batch)}" for batch in [*seen, *rest.split()]}
    Ledger.open(ledger.path).commit([held("after")])
    batches: dict[str, int] = {}
    for row in rows(ledger.path)[1:-1]:
        batch = row["record_id"].rsplit("-", 1)[0]
        batches[batch] = batches.get(batch, 0) + 1
    assert acknowledged <= set(batches)
    assert set(batches.values()) == {10}
    assert len(set(batches) - acknowledged) <= 4
    assert_gapless(ledger.path)
    assert not list((ledger.path / files.SEGMENTS).glob(".tmp-*"))


def _fail(code: int) -> Callable[..., Any]:
    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return failing


@pytest.mark.parametrize(
    ("function", "code"),
    [("open", errno.EROFS), ("open", errno.EACCES), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("link", errno.EDQUOT)],
    ids=["read-only", "permission lost", "disk full", "disk error", "quota"],
)
def test_a_commit_that_fails_leaves_nothing_and_goes_on_when_mended(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(os, function, _fail(code))
        with pytest.raises(LedgerUnavailableError, match=os.strerror(code)) as caught:
            ledger.commit([held("r1")])
    assert "\n" not in str(caught.value)
    assert len(rows(ledger.path)) == 1
    assert not list((ledger.path / files.SEGMENTS).glob(".tmp-*"))
    assert ledger.commit([held("r1")]) == 2


def test_a_disk_that_really_fills_up_leaves_nothing(ledger: Ledger) -> None:
    program = """
        import resource, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from sinks.errors import LedgerUnavailableError
        from sinks.ledger.entry import Entry, Event
        from sinks.ledger.segments import Ledger
        ledger = Ledger.open(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
        try:
            ledger.commit([Entry(event=Event.HELD, at=datetime.now(UTC), record_id=f"r{row * 7919 % 100003}") for row in range(5000)])
        except LedgerUnavailableError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(ledger.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parents[3])
    assert "the ledger cannot be written (File too large); nothing is sent until it can" in done.stdout
    assert [path.name for path in (ledger.path / files.SEGMENTS).iterdir()] == ["00000001.parquet"]


def test_a_link_that_may_not_last_is_no_acknowledgement(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(durable, "sync_folder", _fail(errno.EIO))
        with pytest.raises(LedgerUnavailableError):
            ledger.commit([held("r1")])
    assert ledger.commit([held("r2")]) == ledger.head()
    assert_gapless(ledger.path)


def test_a_path_that_cannot_be_a_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailableError, match="cannot be opened"):
        Ledger.open(tmp_path / "file")


def test_another_ledgers_key_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="restore the right one"):
        Ledger.open(ledger.path, keys=Keys.open(tmp_path / "other", ledger_empty=True))
    with pytest.raises(KeyMissingError, match="missing"):
        Ledger.open(ledger.path, keys=tmp_path / "nowhere")


def test_a_damaged_newest_segment_stops_the_run(ledger: Ledger) -> None:
    ledger.commit([held("r1")])
    files.numbered_path(ledger.path / files.SEGMENTS, 2).write_bytes(b"PAR1 torn")
    with pytest.raises(LedgerUnavailableError, match="not a readable Parquet file"):
        Ledger.open(ledger.path)


def test_the_key_never_lies_in_the_ledger_folder(ledger: Ledger) -> None:
    secret = (default_path(ledger.path) / "hmac.key").read_bytes().strip()
    for path in ledger.path.rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes()


def test_modes_let_a_group_of_auditors_read_and_nobody_else(ledger: Ledger) -> None:
    assert stat.S_IMODE((ledger.path / files.SEGMENTS).stat().st_mode) & 0o027 == 0
    for path in [ledger.path / "ledger.duckdb", *(ledger.path / files.SEGMENTS).iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o037 == 0
    assert stat.S_IMODE((ledger.path / files.SOURCES).stat().st_mode) == 0o700


def _dead_pid() -> int:
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    return finished.pid


def test_what_a_dead_writer_left_is_set_aside_and_live_writers_are_not(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    folder = ledger.path / files.SEGMENTS
    own = files.temporary_path(folder)
    host, process = own.name.removeprefix(".tmp-").split(f"-{os.getpid()}-")[0], own.name.split("-")[-2]
    dead = folder / f".tmp-{host}-{_dead_pid()}-0a0a0a0a-01"
    earlier_same_pid = folder / f".tmp-{host}-{os.getpid()}-0a0a0a0a-01"
    elsewhere = folder / f".tmp-other.host-1-{process}-01"
    linked = folder / f".tmp-{host}-{dead.name.split('-')[-3]}-0a0a0a0a-02"
    for path in (own, dead, earlier_same_pid, elsewhere):
        path.write_bytes(b"half a segment")
    os.link(folder / "00000001.parquet", linked)
    Ledger.open(ledger.path)
    assert {path.name for path in folder.iterdir()} == {own.name, elsewhere.name, "00000001.parquet"}
    assert {path.name for path in (ledger.path / files.ORPHANS).iterdir()} == {dead.name[1:], earlier_same_pid.name[1:]}
    assert caplog.text.count("ledger_orphan_set_aside") == 3


def test_a_temporary_from_another_host_goes_after_a_day(ledger: Ledger) -> None:
    path = ledger.path / files.SEGMENTS / ".tmp-other.host-1-0a0a0a0a-01"
    path.write_bytes(b"half a segment")
    os.utime(path, (0, 0))
    Ledger.open(ledger.path)
    assert not path.exists()
