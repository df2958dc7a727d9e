"""The cloud lane's own work: records a second from cleared text to ledger, without the provider's time; memory and time at two sizes.

Every night is a process of its own, over short clean notes, against the emulator in another process (`--quick`: it answers without
work). Counted is the CPU time of the night's process, so neither the provider nor the detectors, which have processes of their own,
are in it: `hand-over and collection` is freezing, the gate, the upload, the download, judging, Parquet and the ledger's commits.
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
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    from flows import nightly  # noqa: PLC0415 - what the parent does not need
    from flows.night import NightOptions  # noqa: PLC0415

    spent: Counter[str] = Counter()
    for name in ("hand_over", "wait_for_results", "freeze_records"):
        setattr(nightly, name, counted(getattr(nightly, name), spent))
    began, cpu = time.monotonic(), time.process_time()
    report = nightly.run_night(NightOptions(job=str(job)))
    said = {
        "results": report.results,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "lane": spent["cpu"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(said) + "\n")


def counted(function: Callable[..., Any], spent: Counter[str]) -> Callable[..., Any]:
    """The function, its CPU time added to `spent`; of a generator, also that of each step."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        answer = function(*arguments, **options)
        spent["cpu"] += time.process_time() - began  # type: ignore[assignment]
        return steps(answer) if isinstance(answer, Iterator) else answer

    def steps(answer: Iterator[Any]) -> Iterator[Any]:
        while True:
            began = time.process_time()
            try:
                value = next(answer)
            except StopIteration:
                return
            finally:
                spent["cpu"] += time.process_time() - began  # type: ignore[assignment]
            yield value

    return call


def night(folder: Path, records: int) -> dict[str, float]:
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
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if said["results"] != records:
        sys.exit(f"bench-cloud: expected {records} results, found {said['results']}")
    return said


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
        large = night(Path(scratch) / "large", given.large)
    rate = given.large / large["lane"]
    slower = (large["lane"] / given.large) / (small["lane"] / given.small)
    growth = large["peak_mib"] / small["peak_mib"]
    print(f"hand-over and collection, {given.large:,} records  {rate:,.0f} records/s  (target >= {LEAST_RECORDS_S:,})")
    print(f"the whole night's own process, {given.large:,} records  {given.large / large['cpu']:,.0f} records/s")
    print(f"by the clock, provider and detectors included  {given.large / large['seconds']:,.0f} records/s")
    print(f"time a record, {given.large:,} over {given.small:,} records  {slower:.2f}  (target <= {MOST_SLOWER})")
    print(f"peak memory  {small['peak_mib']:.0f} and {large['peak_mib']:.0f} MiB, {growth:.2f}  (target <= {MOST_GROWTH})")
    sys.exit(0 if rate >= LEAST_RECORDS_S and slower <= MOST_SLOWER and growth <= MOST_GROWTH else 1)


if __name__ == "__main__":
    main()
