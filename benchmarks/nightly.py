"""End to end: documents a second, the share of time outside detection and inference, peak memory at two sizes.

Every night is a process of its own (`waybill run --json`), on generated letters of about 150 words: a third clinical, a third
financial, a third clean. `python benchmarks/nightly.py --large 10000` is a shorter version.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Figure, write

FIRST = ("Alma", "Bruno", "Chidi", "Dagny", "Emeka", "Farah", "Goran", "Hana", "Ines", "Jonas", "Keiko", "Lars", "Mina", "Noor", "Oskar")
LAST = ("Abara", "Birk", "Castellan", "Drummond", "Eriksen", "Fontaine", "Grewal", "Holloway", "Ibarra", "Jansen", "Kowal", "Lindqvist")
CLINICAL = (
    "Patient: {name}, medical record number {number}.",
    "{name} was seen in the clinic with chest pain on exertion and shortness of breath.",
    "Blood pressure was 148 over 92 and the examination of the heart was unremarkable.",
    "We started metoprolol and asked the patient to return in six weeks.",
)
FINANCIAL = (
    "Dear {name}, thank you for your loan application, account number {number}.",
    "Your current balance is $4,{short} and your minimum payment is due on the first of the month.",
    "The annual percentage rate on your account will change at the next billing cycle.",
    "Please call your branch if you have questions about your mortgage.",
)
CLEAN = (
    "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.",
    "Visitors can reach the island by the morning ferry, which leaves from the northern pier.",
    "The museum opened a hall on the history of navigation with instruments from four centuries.",
    "A new species of moss was described from the wet slopes above the reservoir.",
)
FILLER = (
    "The weather stayed mild and the paths were dry for most of the week.",
    "Several people asked for the timetable, which is printed on the back of the leaflet.",
    "The second part of this page repeats what was said before in a shorter form.",
    "Further copies can be had from the office on the ground floor.",
    "The next edition will appear when the new season begins.",
)
RUNS = 5
MOST_OVERHEAD = 15.0
MOST_GROWTH = 1.3
JOB = """name: bench
source: {path: letters.jsonl}
task: {kind: summarize}
output: results
ledger: ledger
batch_size: 2000
"""


def generate(path: Path, documents: int) -> None:
    """A JSONL table of letters; every one differs, so that nothing is answered from a cache of whole texts."""
    chance = random.Random(documents)  # noqa: S311 - test data, not secrets
    with path.open("w", encoding="utf-8") as file:
        for ordinal in range(documents):
            frames = (CLINICAL, FINANCIAL, CLEAN)[ordinal % 3]
            values = {
                "name": f"{chance.choice(FIRST)} {chance.choice(LAST)}",
                "number": str(chance.randrange(10**7, 10**8)),
                "short": f"{chance.randrange(1000):03d}",
            }
            filler = [f"{chance.choice(FILLER)[:-1]} ({chance.randrange(9999)})." for _ in range(8)]
            sentences = [frame.format(**values) for frame in frames] + filler
            file.write(json.dumps({"id": f"letter-{ordinal}", "text": "\n".join(sentences)}) + "\n")


def night(folder: Path, documents: int) -> dict[str, float]:
    """Run one night in a process of its own; returns its report with `peak_mib`, the run's own peak resident memory."""
    folder.mkdir()
    generate(folder / "letters.jsonl", documents)
    job = folder / "job.yaml"
    job.write_text(JOB, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "waybill"), "run", str(job), "--json"]
    report = folder / "report.json"
    with report.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)  # the peak of this process alone; the emulator is the provider's
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: waybill run ended with {process.returncode}")
    return json.loads(report.read_text().splitlines()[-1]) | {"peak_mib": usage.ru_maxrss / 1024}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        small = [night(Path(scratch) / f"small-{run}", arguments.small) for run in range(RUNS)]
        large = night(Path(scratch) / "large", arguments.large)
    overhead = large["stages"]["other"] / large["seconds"] * 100
    ratio = large["peak_mib"] / statistics.median(run["peak_mib"] for run in small)
    write(
        "nightly",
        {
            f"documents/s, {arguments.small:,} documents": Figure(
                value=statistics.median(run["documents"] / run["seconds"] for run in small), unit="documents/s"
            ),
            f"documents/s, {arguments.large:,} documents": Figure(value=large["documents"] / large["seconds"], unit="documents/s"),
            "time outside detection and inference": Figure(value=overhead, unit="%", target="<= 15", met=overhead <= MOST_OVERHEAD),
            f"peak memory, {arguments.small:,} documents": Figure(value=statistics.median(run["peak_mib"] for run in small), unit="MiB"),
            f"peak memory, {arguments.large:,} documents": Figure(value=large["peak_mib"], unit="MiB"),
            "peak memory, large over small": Figure(value=ratio, unit="x", target="<= 1.3", met=ratio <= MOST_GROWTH),
        },
    )


if __name__ == "__main__":
    main()
