"""The cloud lane's own work: records a second from a decided record to its result and the ledger; memory and time at two sizes.

Every night is a process of its own, over short clean notes, against the emulator in another process (`--quick`: it answers without
work). The measure is CPU time of the night's process, so waiting for the provider and for the scan processes is not in it. What counts as
the lane's own work, and what does not, is `cloud_parts.py`; both are printed part by part.
`python -m benchmarks.cloud --large 20000` is a shorter version.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cloud_parts import BESIDE, LANE, Parts

LEAST_RECORDS_S = 5_000
MOST_GROWTH, MOST_SLOWER = 1.3, 1.2
JOB = """name: bench
source: {path: notes.jsonl}
task: {kind: summarize, max_tokens: 60}
lanes: {cloud: emulator}
registry: endpoints.yaml
output: results
ledger: ledger
batch_size: 5000
poll_s: 1
"""


def generate(path: Path, records: int) -> None:
    """A JSONL table of clean notes, each different."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(records):
            text = (
                f"Ferry number {number} leaves from the northern pier every morning. Its timetable is printed on the back of the leaflet."
            )
            file.write(json.dumps({"id": f"note-{number}", "text": text}) + "\n")


def live(job: Path) -> None:
    """One night in this process; prints what it took."""
    parts, began = Parts(rest="start and end"), time.monotonic()
    from flows import nightly  # noqa: PLC0415 - what the parent does not need
    from flows.night import NightOptions  # noqa: PLC0415

    parts.install()
    report = nightly.run_night(NightOptions(job=str(job)))
    said = {
        "results": report.results,
        "seconds": time.monotonic() - began,
        "parts": parts.told(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(said) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One night: CPU seconds by part, seconds by the clock, peak resident memory."""

    records: int
    results: int
    seconds: float
    parts: Mapping[str, float]
    peak_mib: float

    @property
    def lane(self) -> float:
        """CPU seconds of the lane's own work."""
        return sum(self.parts[part] for part in LANE)


def night(folder: Path, records: int) -> Measured:
    """A night over so many records, in a process of its own."""
    from policies.load import DEFAULT_REGISTRY  # noqa: PLC0415 - as above
    from sinks.emulator.process import start_emulator  # noqa: PLC0415

    folder.mkdir()
    generate(folder / "notes.jsonl", records)
    (folder / "job.yaml").write_text(JOB)
    with start_emulator(folder / "emulator", options=["--quick"]) as running:
        registry, bundled = DEFAULT_REGISTRY.read_text(), "    model: extractive-emulator\n"
        if registry.count(bundled) != 1:
            sys.exit("bench-cloud: expected one emulator in the bundled registry")
        (folder / "endpoints.yaml").write_text(registry.replace(bundled, f"{bundled}    base_url: {running.base_url}\n"))
        command = [sys.executable, "-m", "benchmarks.cloud", "--night", str(folder / "job.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench-cloud: a night failed\n{done.stderr}")
    said = Measured(records=records, **json.loads(done.stdout.splitlines()[-1]))
    if said.results != records:
        sys.exit(f"bench-cloud: expected {records} results, found {said.results}")
    return said


def show(measured: Measured) -> None:
    """CPU seconds and records a second of every part, the lane's own first."""
    print(f"{measured.records:,} records: CPU seconds of the night's own process, records/s of each part alone")
    for title, names in (("the cloud lane", LANE), ("beside it", BESIDE)):
        whole = sum(measured.parts.get(name, 0.0) for name in names)
        for name in names:
            row(f"  {name}", measured.parts.get(name, 0.0), measured.records)
        row(title, whole, measured.records)
    row("the whole night", sum(measured.parts.values()), measured.records)


def row(name: str, seconds: float, records: int) -> None:
    """One line of the table."""
    print(f"{name:<24}{seconds:>9.2f} s{records / seconds if seconds else 0:>12,.0f} records/s")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cloud", description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--night", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.night:
        live(given.night)
        return
    with tempfile.TemporaryDirectory() as scratch:
        small = night(Path(scratch) / "small", given.small)
        show(small)
        large = night(Path(scratch) / "large", given.large)
        show(large)
    rate = large.records / large.lane
    slower = (large.lane / large.records) / (small.lane / small.records)
    growth = large.peak_mib / small.peak_mib
    print(f"the cloud lane, {given.large:,} records  {rate:,.0f} records/s of CPU time  (target >= {LEAST_RECORDS_S:,})")
    print(f"by the clock, provider and detectors included  {given.large / large.seconds:,.0f} records/s")
    print(f"CPU time a record, {given.large:,} over {given.small:,} records  {slower:.2f}  (target <= {MOST_SLOWER})")
    print(f"peak memory  {small.peak_mib:.0f} and {large.peak_mib:.0f} MiB, {growth:.2f}  (target <= {MOST_GROWTH})")
    sys.exit(0 if rate >= LEAST_RECORDS_S and slower <= MOST_SLOWER and growth <= MOST_GROWTH else 1)


if __name__ == "__main__":
    main()
