"""`make chaos`: nights with faults, kills and second runners, drawn from seeds; each until it has settled, and then it is checked.

`python -m tests.chaos.campaign --nights 300 --seed 8000`; `--provider` for one of the three. A night that fails keeps its folder, and the
command that lives through it again is printed. The last line counts, and the exit code is 0 only if nothing is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from docs import verify_ledger as independent
from sinks.ledger.verify import verify
from tests.chaos.forking import forked
from tests.chaos.judging import Findings, judge
from tests.chaos.night import live_through
from tests.chaos.providing import Bucket
from tests.chaos.routing import ROUTED_FROM
from tests.chaos.seen import look
from tests.chaos.story import PROVIDERS, Story, said, story
from tests.chaos.warmth import Warm

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Nothing here is about power cuts, and thousands of fsyncs take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A night that is over."""

    told: Story
    folder: Path
    findings: Findings
    killed: int
    seconds: float


def lived_through(told: Story, folder: Path, warm: Warm, bucket: Bucket) -> Lived:
    """The whole night, and what is to be said of it."""
    began = time.monotonic()
    name = bucket.new(f"chaos-{told.seed}-{time.time_ns() % 10**9}") if told.provider == "bedrock" else ""
    ends, settled = live_through(told, folder, warm, bucket, name)
    findings = judged(told, folder, settled=settled)
    errors = tuple(f"a start ended with {end.error}" for end in ends if end.error)
    return Lived(
        told=told,
        folder=folder,
        findings=replace(findings, other=(*errors, *findings.other)),
        killed=sum(end.killed for end in ends),
        seconds=time.monotonic() - began,
    )


def judged(told: Story, folder: Path, *, settled: bool = True) -> Findings:
    """Check a night's folder, in a child, so that this process opens nothing and can be forked again."""

    def work() -> object:
        found = judge(look(folder), told)
        ledger = folder / "out" / "ledger"
        verdict = verify(ledger, deep=True)
        status, words = independent.verify(ledger)
        other = [f"waybill audit verify: {verdict.fault}"] if verdict.fault else []
        other += [f"docs/verify_ledger.py: {words}"] if status else []
        return asdict(replace(found, other=(*found.other, *other, *([] if settled else ["it does not settle"]))))

    _, answer = forked(work, folder / "checks.log")()
    if "error" in answer:
        return Findings(records=len(told.documents), faults=0, other=(f"the check ended with {answer['error']}",))
    told_of = {name: tuple(answer[name]) for name in ("lost", "duplicated", "uncleared", "other")}
    return Findings(records=answer["records"], faults=answer["faults"], **told_of)


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Warm, Bucket]]:
    """What all nights share."""
    bucket = Bucket()
    try:
        yield Warm(), bucket
    finally:
        bucket.close()
        gc.unfreeze()  # else what is loaded looks like a leak at the exit


def campaign(nights: int, seed: int, providers: tuple[str, ...], keep: Path, *, keep_all: bool, say: Callable[[str], None]) -> int:
    """So many nights; returns the exit code. keep_all: also the folders of nights that did not fail."""
    totals = {"faults": 0, "records": 0, "lost": 0, "duplicated": 0, "uncleared": 0}
    failed = killed = 0
    began = time.monotonic()
    with prepared() as (warm, bucket):
        for number in range(nights):
            told = story(seed + number, providers[number % len(providers)])
            lived = lived_through(told, keep / f"{told.provider}-{told.seed}", warm, bucket)
            findings = lived.findings
            for name in totals:
                value = getattr(findings, name)
                totals[name] += value if isinstance(value, int) else len(value)
            killed += lived.killed
            say(f"{number + 1}/{nights} {'FAILED' if findings.failed else 'ok'} {lived.seconds:.1f} s seed {told.seed} {said(told)}")
            if findings.failed:
                failed += 1
                _tell(lived, say)
            elif not keep_all:
                shutil.rmtree(lived.folder)
    say(f"failed nights {failed}, starts killed {killed}, {_spent(nights, began)}")
    say(
        f"nights {nights} faults injected {totals['faults']} records {totals['records']} "
        f"lost {totals['lost']} duplicated {totals['duplicated']} uncleared {totals['uncleared']}"
    )
    return 1 if failed else 0


def _spent(nights: int, began: float) -> str:
    used = os.times()
    processor_s = used.user + used.system + used.children_user + used.children_system
    return f"seconds a night {(time.monotonic() - began) / max(nights, 1):.1f}, of the processors {processor_s / max(nights, 1):.1f}"


def _tell(lived: Lived, say: Callable[[str], None]) -> None:
    for kind in ("lost", "duplicated", "uncleared", "other"):
        for line in getattr(lived.findings, kind):
            say(f"    {kind}: {line}")
    say(f"    again: python -m tests.chaos.campaign --nights 1 --seed {lived.told.seed} --provider {lived.told.provider}")
    say(f"    kept: {lived.folder}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.campaign", description="Nights with faults, kills and second runners")
    parser.add_argument("--nights", type=int, default=300)
    parser.add_argument("--seed", type=int, default=ROUTED_FROM, help="of the first night; the next has the next")
    parser.add_argument("--provider", choices=PROVIDERS, help="this one only; otherwise the three in turn")
    parser.add_argument("--keep", type=Path, help="folder for the nights that fail; a temporary one otherwise")
    parser.add_argument("--keep-all", action="store_true", help="keep the folder of every night")
    given = parser.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp(prefix="chaos-", dir=MEMORY if MEMORY.is_dir() else None))
    keep.mkdir(parents=True, exist_ok=True)
    providers = (given.provider,) if given.provider else PROVIDERS
    return campaign(given.nights, given.seed, providers, keep, keep_all=given.keep_all, say=_say)


if __name__ == "__main__":
    sys.exit(main())
