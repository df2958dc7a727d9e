"""Living through one night: the emulator and every start in a process of its own, forked from one that has loaded everything.

Forked, a start costs a fraction of a second, and kill -9 is real. Two things differ from `waybill run`: documents are scanned in
the start's own process, by the same detectors; and time is the emulator's, so that a poll that waits an hour takes none.
"""

from __future__ import annotations

import gc
import http.client
import importlib
import itertools
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import flows.collecting
import flows.night
import flows.scanner
import flows.submitting
import policies.registry
from detectors import load
from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from detectors.scan import scan
from flows.collect import collect_job
from flows.night import NightOptions
from flows.nightly import run_night
from flows.scanner import Scanner
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY
from policies.registry import load_rulebook
from sinks.emulator import server
from sinks.emulator.bedrock_api.provider import Limits
from sinks.emulator.clock import Clock
from sinks.emulator.house import Behaviour
from sinks.emulator.openai_api.provider import Dialect
from sinks.errors import AlreadyRunningError, EndpointError
from sinks.ledger.segments import Ledger
from tests.chaos.story import Kill, Start, Story

LOGICAL_DATE = "2026-11-23"
GIVE_UP_S = 300.0
"""A start that takes longer by the wall clock hangs: it is killed, and the night has failed."""

SLOWEST_POLL_S = 3600.0
HASTE = 4
"""Polls are rare and the clock is fast: a provider's day is a dozen looks, each of which costs real time."""

LAZY = (
    "openai",
    "anthropic",
    "boto3",
    "sinks.extraction.engine",
    *(f"sinks.lanes.{name}" for name in ("bedrock_batch", "anthropic_batch", "openai_batch", "extractive")),
    *(f"sinks.clients.{name}" for name in ("bedrock_client", "anthropic_client", "openai_client", "s3_client")),
)
"""What a night imports only when it needs it."""

FILE_STEPS = ("write", "fsync", "link", "unlink", "replace", "rename", "mkdir")
WIRE_STEPS = ("send", "sendall", "recv", "recv_into")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a start ended. killed: by us. error: what it raised, if anything. pending: of its last report; None without one."""

    killed: bool = False
    error: str = ""
    left: bool = False
    pending: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a night lives. state: the emulator's folder."""

    folder: Path
    job: Path
    port: int

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/_emulator/clock", json.dumps({"advance_s": seconds}))
            connection.getresponse().read()
        finally:
            connection.close()


def forked(work: Callable[[], object], log: Path, *, kill_after_s: float | None = None) -> Callable[[], tuple[bool, Any]]:
    """Do work in a child; returns what waits for it and says whether it was killed, and what it returned or `{"error": …}`."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_child(work, writing, reading, log)
    os.close(writing)

    def wait() -> tuple[bool, Any]:
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(child, signal.SIGKILL)
        signal.setitimer(signal.ITIMER_REAL, GIVE_UP_S)
        before = signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGABRT))
        try:
            with os.fdopen(reading, "rb") as pipe:
                answer = pipe.read()
            _, status = os.waitpid(child, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if os.WIFSIGNALED(status):
            killed = os.WTERMSIG(status) == signal.SIGKILL
            return killed, {} if killed else {"error": "it hung, or crashed"}
        return False, json.loads(answer)

    return wait


def _be_child(work: Callable[[], object], writing: int, reading: int, log: Path) -> None:
    """What the child does; it never returns."""
    os.close(reading)
    status = 0
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - told to the parent, then the child is gone
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}", "kind": type(error).__name__}
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(writing, json.dumps(answer).encode())
    except BaseException:  # noqa: BLE001 - as above
        status = 1
    os._exit(status)


class Warm:
    """What the parent has loaded before the first fork, so that no child pays for it."""

    def __init__(self) -> None:
        rules = load_rulebook(DEFAULT_POLICY)
        policy, self.prices = rules.policy, rules.prices
        self.detectors = load(ner=policy.ner, participants=policy.participants)
        self.registry = DEFAULT_REGISTRY.read_text(encoding="utf-8")
        list(scan([Document(record_id="warm", text="The harbour is open. Goran Castellan.", source="warm", family="warm")], self.detectors))
        for name in LAZY:
            importlib.import_module(name)
        gc.freeze()  # no collection in a child has to touch, and so to copy, what is here


class _HereScanner(Scanner):
    """Scans in this process. What a watchdog is for is proven elsewhere (`tests/flows/test_watchdog.py`)."""

    def __init__(self, detectors: DetectorSet, demand: Any, **_options: Any) -> None:
        self._detectors, self._demand = detectors, demand

    def __exit__(self, *_: object) -> None:
        return None

    def start(self) -> Self:
        return self

    def scan(self, documents: Sequence[Document]) -> Iterator[Evidence]:
        return scan(documents, self._detectors, self._demand)


class _InVirtualTime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def _virtual(clock: Clock) -> type:
    """`datetime` whose `now` is the emulator's."""

    class Virtual(datetime, metaclass=_InVirtualTime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock.now(), tz)

    return Virtual


class _Passing:
    """`time` for modules that wait: what they wait goes by at once, for everybody."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, place: Place) -> None:
        self._place = place

    def sleep(self, seconds: float) -> None:
        self._place.pass_time(seconds * HASTE)
        time.sleep(0.02)  # the emulator needs real time for its work


def _settle_in(place: Place, warm: Warm) -> None:
    """Make this child's time virtual and its scanner its own."""
    virtual = _virtual(Clock(place.state))
    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] in {"flows", "sinks", "policies"} and not name.startswith("sinks.emulator")
        if ours and getattr(module, "datetime", None) is datetime:
            module.datetime = virtual  # type: ignore[attr-defined]
    passing = _Passing(place)
    flows.collecting.FASTEST_POLL_S = SLOWEST_POLL_S
    flows.collecting.time = passing  # type: ignore[attr-defined, assignment]
    flows.submitting.time = passing  # type: ignore[attr-defined, assignment]
    flows.scanner.Scanner = _HereScanner  # type: ignore[misc]
    vars(policies.registry)["parse_prices"] = lambda _source: warm.prices  # the bundled file, every time
    flows.night.load = lambda **_options: warm.detectors  # type: ignore[attr-defined]


def arm(kill: Kill) -> None:
    """Have this process killed at the step that `kill` names."""
    owner: Any
    owner, names = {"commit": (Ledger, ("commit",)), "file": (os, FILE_STEPS), "wire": (socket.socket, WIRE_STEPS)}[kill.how]
    counter = itertools.count(1)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            due = next(counter) == kill.number
            if due and not kill.after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = function(*arguments, **options)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for name in names:
        setattr(owner, name, wrap(getattr(owner, name)))


def begin(place: Place, start: Start, warm: Warm) -> Callable[[], Ended]:
    """Begin a start; returns what waits for its end."""
    options = NightOptions(job=str(place.job), out=str(place.out), date=None if start.collect else LOGICAL_DATE, wait=start.wait)

    def work() -> object:
        _settle_in(place, warm)
        if start.kill is not None and start.kill.how != "instant":
            arm(start.kill)
        reports = collect_job(options) if start.collect else [run_night(options)]
        return {"pending": sum(report.pending for report in reports)}

    instant = start.kill.seconds if start.kill is not None and start.kill.how == "instant" else None
    wait = forked(work, place.folder / "starts.log", kill_after_s=instant)

    def end() -> Ended:
        killed, said = wait()
        if said.get("kind") == AlreadyRunningError.__name__:
            return Ended(left=True)
        return Ended(killed=killed, error=said.get("error", ""), pending=said.get("pending"))

    return end


def live(place: Place, start: Start, warm: Warm) -> list[Ended]:
    """One start, and the second runner beside it, if there is one."""
    if start.pass_s:
        place.pass_time(start.pass_s)
    runners = [begin(place, start, warm)]
    if start.second:
        runners.append(begin(place, Start(collect=start.collect, wait=start.wait, second=False, kill=None, pass_s=0), warm))
    return [end() for end in runners]


@contextmanager
def provider(told: Story, folder: Path, port: int, *, faults: Path | None, s3_url: str) -> Iterator[int]:
    """The emulator over the night's state, in a child; gives its port."""
    behaviour = Behaviour(
        faults=faults,
        delay_s=told.delay_s,
        dialect=Dialect(**dict.fromkeys(told.dialects, True)),
        s3_url=s3_url,
        limits=Limits(min_records=int(str(told.settings.get("shard_min_rows", 100)))),
    )
    settings = server.Settings(state=folder / "emulator", port=port, behaviour=behaviour)
    (folder / "emulator").mkdir(mode=0o700, parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    listening, saying = os.pipe()
    child = os.fork()
    if not child:
        _serve(settings, ours, saying, folder / "emulator" / "emulator.log", close=(theirs, listening))
    os.close(ours)
    os.close(saying)
    try:
        with os.fdopen(listening) as told_by_it:
            line = told_by_it.readline()
            if not line:
                raise EndpointError(f"the emulator did not start; see {folder / 'emulator' / 'emulator.log'}")
            yield int(json.loads(line)["root"].rpartition(":")[2])
    finally:
        os.close(theirs)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # it never has to do anything at its end
        os.waitpid(child, 0)


def _serve(settings: server.Settings, standard_input: int, standard_output: int, log: Path, *, close: Sequence[int]) -> None:
    """What the emulator's process does; it never returns."""
    try:
        for descriptor in close:
            os.close(descriptor)
        os.dup2(standard_input, 0)
        os.dup2(standard_output, 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        sys.stdout = os.fdopen(1, "w")
        server.serve(settings)
    except BaseException:  # noqa: BLE001 - the log says it, and the parent sees that nothing answers
        traceback.print_exc()
    os._exit(0)
