"""Living through one night: every start in a process of its own, forked from one that has loaded everything. kill -9 is real."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flows.collect import collect_job
from flows.night import NightOptions
from flows.nightly import run_night
from sinks.errors import AlreadyRunningError, LedgerError, ResultsError
from sinks.ledger.files import head
from sinks.ledger.queries import open_intents
from tests.chaos import layout
from tests.chaos.forking import forked
from tests.chaos.harm import arm
from tests.chaos.inside import inside
from tests.chaos.person import decide
from tests.chaos.providing import Bucket, pass_time, provider
from tests.chaos.story import CANCEL, COLLECT, RESOLVE, RUN, Full, Kill, Start, Story
from tests.chaos.warmth import Warm, settle_in

FIRST_DAY = date(2026, 11, 23)
CALM = 10
CALM_S = 6 * 3600.0
"""So many starts without faults a night gets at the most, so long one after the other, until nothing of it is pending."""

PATIENCE = 5
"""After so many calm starts a person resolves a batch of Anthropic's whose results, which alone say whose it is, are unreadable."""

WHEN_FULL = {LedgerError.__name__, ResultsError.__name__, OSError.__name__}
"""What a start may end with whose disk is full."""

PATHS = {"openai": "/v1", "anthropic": "/anthropic", "bedrock": "/bedrock"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a start ended. killed: by us. error: what it raised, if anything.

    pending: records that its reports say are under way; None without a report. doubtful: hand-overs that are open after it.
    """

    killed: bool = False
    error: str = ""
    pending: int | None = None
    doubtful: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a night lives, and at which ports its provider and the server inside are; the latter is 0 where there is none."""

    folder: Path
    port: int
    inside: int

    @property
    def job(self) -> Path:
        """The job file."""
        return self.folder / "job.yaml"

    @property
    def out(self) -> Path:
        """Everything that the night writes."""
        return self.folder / "out"

    @property
    def state(self) -> Path:
        """What the provider keeps."""
        return self.folder / "emulator"

    def pass_time(self, seconds: float) -> None:
        """Let virtual time go by for the provider and for us."""
        pass_time(self.state, self.port, seconds)


def live_through(told: Story, folder: Path, warm: Warm, bucket: Bucket, name: str) -> tuple[list[Ended], bool]:
    """Every start of the night, and calm ones until nothing is pending: how they ended, and whether it has settled. name: of a bucket."""
    folder.mkdir(parents=True)
    place = _lay_out(told, folder, bucket.url, name)
    warm.know(*(folder / file for file in layout.RULEBOOK))
    ends: list[Ended] = []
    day = 0
    for away, starts in itertools.groupby(enumerate(told.starts), key=lambda pair: pair[1].away):
        with _reachable(told, place, bucket.url, away=away, calm=False):
            for number, start in starts:
                place.pass_time(start.pass_s)
                if start.day > day:
                    day = start.day
                    layout.write_documents(told.days[day], folder)
                ends += live(told, place, start, warm, number)
    with _reachable(told, place, bucket.url, away="", calm=True):
        for number in range(CALM):
            place.pass_time(CALM_S)
            ends += live(told, place, Start(act=(RUN, COLLECT)[number % 2], day=len(told.days) - 1), warm, 1000 + number)
            if number and _settled(told, ends[-2:]):
                return ends, True
            if number >= PATIENCE and ends[-1].doubtful and _nobody_can_tell(place):
                ends += live(told, place, Start(act=RESOLVE), warm, 2000 + number)
    return ends, False


def _settled(told: Story, last: Sequence[Ended]) -> bool:
    """Whether neither a night nor a collection had anything left to do. What is in doubt may wait for a person, if the job says so."""
    done = all(end.pending == 0 and not end.error for end in last)
    return done and (told.by_hand or not any(end.doubtful for end in last))


def live(told: Story, place: Place, start: Start, warm: Warm, number: int) -> list[Ended]:
    """One start, and the second runner beside it, if there is one."""
    runners = [begin(told, place, start, warm, number)]
    if start.second:
        runners.append(begin(told, place, replace(start, second=False, harm=None), warm, number))
    return [end() for end in runners]


def begin(told: Story, place: Place, start: Start, warm: Warm, number: int) -> Callable[[], Ended]:
    """Begin a start; returns what waits for its end."""
    day = (FIRST_DAY + timedelta(days=start.day)).isoformat()
    options = NightOptions(job=str(place.job), out=str(place.out), date=day if start.act == RUN else None, wait=start.wait)

    def work() -> object:
        settle_in(place.state, warm, place.pass_time)
        arm(start.harm, place.folder)
        if start.act in {CANCEL, RESOLVE}:
            return {"said": decide(start.act, place.job, place.out, place.state, seed=f"{told.seed}|{number}")}
        reports = collect_job(options) if start.act == COLLECT else [run_night(options)]
        ledger = place.out / "ledger"
        return {"pending": sum(report.pending for report in reports), "doubtful": len(open_intents(ledger)) if head(ledger) else 0}

    instant = start.harm.seconds if isinstance(start.harm, Kill) and start.harm.how == "instant" else None
    wait = forked(work, place.folder / "starts.log", kill_after_s=instant)

    def end() -> Ended:
        killed, said = wait()
        kinds = set(said.get("kinds", ()))
        borne = {AlreadyRunningError.__name__} | (WHEN_FULL if isinstance(start.harm, Full) else set())
        return Ended(killed=killed, error="" if kinds & borne else said.get("error", ""), **_counts(said))

    return end


def _nobody_can_tell(place: Place) -> bool:
    log = place.state / "injected.jsonl"
    injected = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
    return any(one["at"] == "anthropic.results" and one["fault"] in {"zero_bytes", "torn_line"} for one in injected)


def _counts(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("pending", "doubtful") if name in said}


@contextlib.contextmanager
def _reachable(told: Story, place: Place, s3_url: str, *, away: str, calm: bool) -> Iterator[None]:
    """Whom a start can reach."""
    with contextlib.ExitStack() as stack:
        if away != "cloud":
            stack.enter_context(provider(told, place.folder, place.port, calm=calm, s3_url=s3_url))
        if told.inside is not None and away != "inside":
            doubt = told.routing.doubt if told.routing else None
            stack.enter_context(inside(told.seed, 0.0 if calm else told.inside, place.inside, doubt))
        yield


def _lay_out(told: Story, folder: Path, s3_url: str, bucket: str) -> Place:
    """The night's files. Both servers are started once, so that they have their ports from the beginning."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(provider(told, folder, 0, calm=True, s3_url=s3_url))
        within = stack.enter_context(inside(told.seed, 0.0)) if told.inside is not None else 0
    root = f"http://127.0.0.1:{port}"
    s3 = {"bucket": bucket, "s3_endpoint_url": f"{root}/s3"} if bucket else {}
    layout.write(told, folder, base_url=root + PATHS[told.provider], s3=s3, inside=f"http://127.0.0.1:{within}/v1" if within else "")
    return Place(folder=folder, port=port, inside=within)
