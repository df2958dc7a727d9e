"""Several processes give what one gives; whatever ends one becomes UNSCANNABLE, and nothing else does."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import detectors
from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from detectors.scan import COMPLETE, Limits, scan
from flows.deciding import decide_documents
from flows.errors import ScanWorkerError
from flows.scan_messages import Work
from flows.scan_workers import SCAN_TIMEOUT, SCAN_WORKER_DIED, Patience, ScanWorkers
from flows.scanner import FEW_CHARACTERS, Scanner, usable_cores
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import UNSCANNABLE

PLUGIN = """
import os, re, signal, time
from detectors.detector import EachText, marker_kind
from detectors.document import Evidence

def look(text):
    if "PLEASE HANG" in text.text:
        re.match(r"(a+)+$", "a" * 64 + "b")  # holds Python for ever
    if "PLEASE DIE" in text.text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "PLEASE RAISE" in text.text:
        raise ValueError(text.text)
    return Evidence(markers=frozenset({"looked"}))

def detector():
    return EachText(name="hostile", provides=frozenset({marker_kind("looked")}), look=look)
"""
CANARY = "Zebulon Quartermaine 987-12-3456"
SMALL = Limits(batch=3)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectorSet:
    """The detectors with a plug-in that hangs, dies or raises when the text says so, here and in every process started from here."""
    information = tmp_path / "hostile-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[waybill.detectors]\nhostile = hostile_detector:detector\n")
    (tmp_path / "hostile_detector.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "hostile_detector", raising=False)
    return detectors.load()


def documents(*texts: str) -> list[Document]:
    return [Document(record_id=f"r{index}", text=text, source="s") for index, text in enumerate(texts)]


ORDINARY = [f"Letter {index}: the patient Ada Example (MRN 0026169{index}) was seen in clinic with chest pain." for index in range(8)]


def workers(loaded: DetectorSet, *, processes: int = 1, patience: Patience | None = None) -> ScanWorkers:
    return ScanWorkers(ner=None, demand=COMPLETE, detectors_hash=loaded.hash, processes=processes, limits=SMALL, patience=patience)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_evidence_in_the_same_order(loaded: DetectorSet, processes: int) -> None:
    given = [*documents(*ORDINARY), Document(record_id="x", text="", source="s"), *documents("ssn 123-45-6789 of Ada Example")]
    with workers(loaded, processes=processes) as pool:
        found = list(pool.scan(given))
    assert found == list(scan(given, loaded, limits=SMALL))


def test_one_document_that_ends_its_process_fails_alone(loaded: DetectorSet, caplog: pytest.LogCaptureFixture) -> None:
    texts = [*ORDINARY[:4], f"PLEASE DIE {CANARY}", *ORDINARY[4:], f"PLEASE RAISE {CANARY}"]
    with workers(loaded, processes=2) as pool:
        found = list(pool.scan(documents(*texts)))
        again = list(pool.scan(documents(*ORDINARY)))  # the processes that took the dead one's place
    expected = list(scan(documents(*ORDINARY), loaded, limits=SMALL))
    assert [*found[:4], *found[5:9]] == expected == again
    assert found[4] == Evidence(failures=frozenset({SCAN_WORKER_DIED}))
    assert found[9].failures == {"detector_error:hostile"}
    assert "hostile failed on record r9" in caplog.text
    assert "Quartermaine" not in caplog.text
    (*_, dead, _) = decide_documents(documents(*texts)[3:6], found[3:6], load_policy(DEFAULT_POLICY), loaded.hash)
    assert UNSCANNABLE in dead.data_classes


def test_one_document_that_hangs_its_process_fails_alone(loaded: DetectorSet) -> None:
    patience = Patience(batch_s=5.0, megacharacter_s=0.0)
    given = documents(*ORDINARY[:2], f"PLEASE HANG {CANARY}", ORDINARY[2])
    with workers(loaded, patience=patience) as pool:
        next(pool.scan(documents("warm")))  # the first text loads models and name lists
        found = list(pool.scan(given))
    assert found[2] == Evidence(failures=frozenset({SCAN_TIMEOUT}))
    assert [found[0], found[1], found[3]] == list(scan(documents(*ORDINARY[:3]), loaded))


def test_a_long_document_may_hold_a_process_no_longer_than_a_quarter_of_an_hour() -> None:
    short, long = documents("a" * 100_000, "a" * 20_000_000)
    assert (Patience().of([short]), Patience().of([long])) == (180.0, 900.0)


def test_documents_are_taken_as_they_are_needed(loaded: DetectorSet) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Document]:
        while True:
            taken.append(len(taken))
            yield Document(record_id=str(len(taken)), text="hello there", source="s")

    with workers(loaded) as pool:
        stream = pool.scan(endless())
        for _ in range(10):
            next(stream)
        assert len(taken) <= 10 + 4 * SMALL.batch
        del stream  # the caller leaves in the middle
        assert len(list(pool.scan(documents("left in the middle", "and used again")))) == 2


def test_other_detectors_than_the_parents_are_refused(loaded: DetectorSet) -> None:
    with (
        ScanWorkers(ner=None, demand=COMPLETE, detectors_hash="0" * 64, processes=1) as pool,
        pytest.raises(ScanWorkerError, match="start the run again"),
    ):
        list(pool.scan(documents("hello")))


def test_a_model_that_cannot_be_loaded_is_said(loaded: DetectorSet) -> None:
    with (
        ScanWorkers(ner="no_such_pipeline", demand=COMPLETE, detectors_hash=loaded.hash, processes=1) as pool,
        pytest.raises(ScanWorkerError, match="no_such_pipeline"),
    ):
        list(pool.scan(documents("hello")))


def test_processes_end_with_the_pool(loaded: DetectorSet) -> None:
    before = set(psutil.Process().children())
    with workers(loaded, processes=2) as pool:
        list(pool.scan(documents("hello")))
        assert len(set(psutil.Process().children()) - before) == 2
    assert set(psutil.Process().children()) == before


def test_processes_end_when_their_parent_is_killed(loaded: DetectorSet, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import os, signal, psutil, detectors\n"
        "from detectors.document import Document\n"
        "from detectors.scan import COMPLETE\n"
        "from flows.scan_workers import ScanWorkers\n"
        "pool = ScanWorkers(ner=None, demand=COMPLETE, detectors_hash=detectors.load().hash, processes=2)\n"
        "list(pool.scan([Document(record_id='r', text='hello', source='s')]))\n"
        "print(*(child.pid for child in psutil.Process().children()), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = psutil.Popen([sys.executable, str(program)], stdout=-1)
    said, _ = parent.communicate(timeout=120)
    children = [int(number) for number in said.split()]
    assert len(children) == 2
    _, alive = psutil.wait_procs([psutil.Process(child) for child in children if psutil.pid_exists(child)], timeout=60)
    assert not alive


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells what a process has open")
def test_a_process_writes_nowhere_and_takes_one_thread(loaded: DetectorSet) -> None:
    with workers(loaded) as pool:
        list(pool.scan(documents("hello")))
        (child,) = [child for child in psutil.Process().children() if "flows.scan_process" in child.cmdline()]
        assert child.environ()["OMP_NUM_THREADS"] == "1"
        assert {Path(f"/proc/{child.pid}/fd/{number}").readlink() for number in range(3)} == {Path(os.devnull)}


def test_few_documents_need_one_process_and_many_get_more(loaded: DetectorSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.scanner.usable_cores", lambda: 2)
    before = set(psutil.Process().children())

    def started() -> int:
        return len(set(psutil.Process().children()) - before)

    with Scanner(loaded, COMPLETE, ner=None) as scanner:
        assert list(scanner.scan([])) == []
        assert started() == 0
        few = list(scanner.scan(documents(*ORDINARY)))
        assert started() == 1
        scanner._characters = FEW_CHARACTERS
        assert list(scanner.scan(documents(*ORDINARY))) == few == list(scan(documents(*ORDINARY), loaded))
        assert started() == 2
    assert started() == 0


def test_as_many_processes_as_were_asked_for(loaded: DetectorSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.scanner.usable_cores", lambda: 2)
    before = set(psutil.Process().children())
    with Scanner(loaded, COMPLETE, ner=None, processes=1) as scanner:
        scanner._characters = FEW_CHARACTERS
        assert len(list(scanner.scan(documents("one more")))) == 1
        assert len(set(psutil.Process().children()) - before) == 1


def test_a_process_that_was_started_and_not_needed_ends_at_once(loaded: DetectorSet) -> None:
    before = set(psutil.Process().children())
    with Scanner(loaded, COMPLETE, ner=None).start():
        (child,) = set(psutil.Process().children()) - before
    assert not child.is_running()


def test_what_warms_up_is_scanned_before_the_first_text(loaded: DetectorSet) -> None:
    with (
        ScanWorkers(ner=None, demand=COMPLETE, detectors_hash=loaded.hash, processes=1, warm_up=tuple(documents("PLEASE DIE"))) as pool,
        pytest.raises(ScanWorkerError, match="did not start"),
    ):
        list(pool.scan(documents("hello")))


def test_cores_are_counted() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_what_travels_shows_no_text() -> None:
    work = Work(documents=tuple(documents(CANARY)), patience_s=1.0)
    assert "Quartermaine" not in repr(work)
    assert pickle.loads(pickle.dumps(work)) == work  # noqa: S301 - our own bytes
