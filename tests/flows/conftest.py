"""A small night: a folder of invented documents of every destination, and a job over it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_REGISTRY
from tests.flows.judge_server import Judge, judging

CANARY = "quetzalcoatl-7719"
"""Planted in every document; may be found in inputs and results, nowhere else."""

MAIL = f"""From: Noor Abara <noor@harbour.test>
To: Hana Birk <hana@harbour.test>
Subject: Timetable {CANARY}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

Dear Hana, the new ferry timetable is attached for the notice board. {CANARY}
--cut
Content-Type: text/plain; name=letter.txt
Content-Disposition: attachment; filename=letter.txt

PRIVILEGED AND CONFIDENTIAL
ATTORNEY-CLIENT COMMUNICATION
You asked for our legal advice on the mooring dispute. We advise that the harbour should concede nothing by letter. {CANARY}
--cut--
"""

DOCUMENTS: dict[str, str] = {
    "clinic/discharge.txt": f"""Discharge summary
Patient: Goran Castellan
Date of birth: 14 March 1961
Medical record number: MRN 40718823
The patient was admitted with chest pain and shortness of breath. Examination showed a blood pressure of 150 over 95.
Diagnosis: unstable angina. Treated with aspirin and metoprolol, discharged in stable condition. {CANARY}
""",
    "bank/letter.txt": f"""Dear Ms Ines Lindqvist,
Thank you for your loan application. Your account number is 40718290017.
Your current balance is $4,210.55 and the annual percentage rate on your loan is 6.4 percent. SSN 536-22-8145. {CANARY}
""",
    "public/harbour.txt": f"""The harbour council will repave the promenade between the fish market and the old lighthouse this spring.
Visitors can reach the island by the morning ferry, which leaves from the northern pier. {CANARY}
""",
    "public/museum.md": f"""# The museum
The museum opened a hall on the history of navigation, with instruments from four centuries.
Admission is free on the first Sunday of the month. {CANARY}
""",
    "public/moss.html": f"""<html><body><h1>A new moss</h1><p>A new species of moss was described from the wet slopes above the reservoir.
It grows on basalt and stays green in winter.</p><p>{CANARY}</p></body></html>""",
    "mail/timetable.eml": MAIL,
    "empty.txt": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNight:
    """A job over DOCUMENTS, and how to run it."""

    job: Path
    out: Path

    def command(self, *options: str) -> list[str]:
        return [str(Path(sys.executable).with_name("waybill")), "run", str(self.job), "--out", str(self.out), "--json", *options]

    def run(self, *options: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report

    @property
    def ledger(self) -> Path:
        return self.out / "ledger"

    @property
    def results(self) -> Path:
        return self.out / "results"


def write_night(
    folder: Path, documents: dict[str, str] | None = None, extra: str = "", task: str = "{kind: summarize, max_tokens: 60}"
) -> SmallNight:
    """Write documents and a job into a folder."""
    for name, text in (documents or DOCUMENTS).items():
        path = folder / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode().replace(b"\n", os.linesep.encode()))
    job = folder / "small.yaml"
    job.write_text(f"name: small\nsource: {{path: inbox}}\ntask: {task}\noutput: unused\nledger: unused-ledger\nbatch_size: 3\n{extra}")
    return SmallNight(job=job, out=folder / "out")


@pytest.fixture
def make_night(tmp_path: Path) -> Callable[..., SmallNight]:
    """Write documents and a job; keyword arguments replace the documents or add keys to the job."""
    return functools.partial(write_night, tmp_path)


@pytest.fixture(scope="session")
def write() -> Callable[..., SmallNight]:
    """`write_night`, for fixtures that outlive a test."""
    return write_night


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallNight, dict[str, Any]]:
    """A night that has run, and its report. Look at it, do not change it."""
    night = write_night(tmp_path_factory.mktemp("finished"))
    return night, night.run()


@pytest.fixture(scope="session")
def finished_night(finished: tuple[SmallNight, dict[str, Any]]) -> SmallNight:
    """A night that has run. Look at it, do not change it."""
    return finished[0]


@pytest.fixture
def night(make_night: Callable[..., SmallNight]) -> SmallNight:
    return make_night()


@pytest.fixture
def judge() -> Iterator[Judge]:
    with judging() as judge:
        yield judge


@pytest.fixture
def looking(make_night: Callable[..., SmallNight], tmp_path: Path, judge: Judge) -> Callable[..., SmallNight]:
    """A night with a second look by the judge; `look` replaces the key, `url` the address of the judge."""

    def make(documents: dict[str, str], *, look: str = "{endpoint: judge, share: 1.0}", url: str = "") -> SmallNight:
        registry = tmp_path / "endpoints.yaml"
        entry = f"""
  judge:
    lane: local
    engine: openai_compatible
    provider: tests
    model: judge
    base_url: {url or judge.url}
    settings: {{max_model_len: 4096, timeout_s: 20}}
"""
        registry.write_text(DEFAULT_REGISTRY.read_text() + entry)
        return make_night(documents, extra=f"registry: endpoints.yaml\nsecond_look: {look}\n")

    return make


@pytest.fixture
def waybill() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed command; `code` is the expected exit code."""

    def call(*arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("waybill")), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the command in this process, which is quicker; `code` is the expected exit code."""
    from flows.cli import main  # noqa: PLC0415 - so that a broken import fails tests, not the collection

    def call(*arguments: object, code: int = 0) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        said = Said(code=int(ended.value.code or 0), out=out, err=err)
        assert said.code == code, said
        return said

    return call
