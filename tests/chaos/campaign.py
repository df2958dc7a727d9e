"""`make chaos`: nights with faults, kills and second runners, drawn from seeds; each until it has settled, and then it is checked.

`python -m tests.chaos.campaign --nights 300 --seed 1`; `--provider` for one of the three. A night that fails keeps its folder, and the
command that lives through it again is printed. The last line counts, and the exit code is 0 only if nothing is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from docs import verify_ledger as independent
from sinks.ledger.verify import verify
from tests.chaos.judging import Findings, judge
from tests.chaos.night import Ended, Place, Warm, forked, live, provider
from tests.chaos.seen import look
from tests.chaos.story import PROVIDERS, Start, Story, said, story, write

CALM = 6
"""So many starts without faults a night gets at the most, until nothing of it is pending."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Nothing here is about power cuts, and thousands of fsyncs take minutes."""

_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Bucket:
    """An S3 server for all nights, started for the first that needs one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def new(self, name: str) -> str:
        """Make a bucket; returns its name."""
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                [sys.executable, "-c", _S3], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={}
            )
            assert self._process.stdout
            self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        connection.request("PUT", f"/{name}")
        connection.getresponse().read()
        connection.close()
        return name

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A night that is over."""

    told: Story
    folder: Path
    findings: Findings
    killed: int
    seconds: float


def live_through(told: Story, folder: Path, warm: Warm, bucket: Bucket) -> Lived:
    """The whole night, and what is to be said of it."""
    began = time.monotonic()
    folder.mkdir(parents=True)
    ends: list[Ended] = []
    name = bucket.new(f"chaos-{told.seed}-{time.time_ns() % 10**9}") if told.provider == "bedrock" else ""
    with provider(told, folder, 0, faults=_plan(told, folder), s3_url=bucket.url) as port:
        place = Place(folder=folder, job=_lay_out(told, folder, port, name, warm), port=port)
        for start in told.starts:
            ends += live(place, start, warm)
    calm = Start(collect=False, wait=True, second=False, kill=None, pass_s=3600.0)
    with provider(replace(told, delay_s=0.0), folder, place.port, faults=None, s3_url=bucket.url):
        for round_ in range(CALM):
            ends += live(place, replace(calm, collect=round_ % 3 == 2), warm)
            if round_ and ends[-1].pending == 0 and not ends[-1].error:
                break
    findings = judged(told, folder, settled=ends[-1].pending == 0)
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
        found = judge(look(folder), told.documents, by_hand=told.by_hand)
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


def _plan(told: Story, folder: Path) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps({"random": told.random}))
    return path


def _lay_out(told: Story, folder: Path, port: int, bucket: str, warm: Warm) -> Path:
    root = f"http://127.0.0.1:{port}"
    paths = {"openai": "/v1", "anthropic": "/anthropic", "bedrock": "/bedrock"}
    s3 = {"bucket": bucket, "s3_endpoint_url": f"{root}/s3"} if bucket else {}
    return write(told, folder, base_url=root + paths[told.provider], s3=s3, registry=warm.registry)


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Warm, Bucket]]:
    """What all nights share."""
    bucket = Bucket()
    try:
        yield Warm(), bucket
    finally:
        bucket.close()


def campaign(nights: int, seed: int, providers: tuple[str, ...], keep: Path, *, keep_all: bool, say: Callable[[str], None]) -> int:
    """So many nights; returns the exit code. keep_all: also the folders of nights that did not fail."""
    totals = {"faults": 0, "records": 0, "lost": 0, "duplicated": 0, "uncleared": 0}
    failed = killed = 0
    with prepared() as (warm, bucket):
        for number in range(nights):
            told = story(seed + number, providers[number % len(providers)])
            lived = live_through(told, keep / f"{told.provider}-{told.seed}", warm, bucket)
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
    say(f"failed nights {failed}, starts killed {killed}")
    say(
        f"nights {nights} faults injected {totals['faults']} records {totals['records']} "
        f"lost {totals['lost']} duplicated {totals['duplicated']} uncleared {totals['uncleared']}"
    )
    return 1 if failed else 0


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
    parser.add_argument("--seed", type=int, default=1, help="of the first night; the next has the next")
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
