"""What the campaign has loaded before its first fork, and what makes a child of it a start: its time and its scanner.

A start then costs a fraction of a second. Two things differ from `waybill run`: documents are scanned in the start's own process, by the
same detectors; and time is the emulator's, so that a poll that waits an hour takes none.
"""

from __future__ import annotations

import functools
import gc
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import botocore.loaders

import flows.collecting
import flows.look_run
import flows.ready
import flows.scanner
import flows.submitting
import sinks.lanes.chat_job
import sinks.ledger.views
from detectors import load
from detectors.detector import DetectorSet
from detectors.document import Document, Evidence
from detectors.scan import scan
from flows.scanner import Scanner
from policies.load import DEFAULT_POLICY
from policies.registry import Rulebook, load_rulebook, rulebook_hash
from sinks.emulator.clock import Clock
from tests.chaos.harm import spared

SLOWEST_POLL_S = 3600.0
HASTE = 6
"""Polls are rare and the clock is fast: a provider's day is a few looks, each of which costs real time."""

LAZY = (
    "openai",
    "anthropic",
    "boto3",
    "flows.jobs_by_hand",
    "sinks.extraction.engine",
    *(f"sinks.lanes.{name}" for name in ("bedrock_batch", "anthropic_batch", "openai_batch", "openai_compatible", "extractive")),
    *(f"sinks.clients.{name}" for name in ("bedrock_client", "anthropic_client", "openai_client", "s3_client", "chat_client")),
)
"""What a night imports only when it needs it."""


class Warm:
    """What the parent has loaded. Nothing in it depends on the night, but the rulebook, which `know` reads ahead."""

    def __init__(self) -> None:
        policy = load_rulebook(DEFAULT_POLICY).policy
        self.detectors = load(ner=policy.ner, participants=policy.participants)
        list(scan([Document(record_id="warm", text="The harbour is open. Goran Castellan.", source="warm", family="warm")], self.detectors))
        for name in LAZY:
            importlib.import_module(name)
        _load_once()
        self._rules: Rulebook | None = None
        gc.freeze()  # no collection in a child has to touch, and so to copy, what is here

    def know(self, policy: Path, registry: Path, prices: Path) -> None:
        """Read a night's rulebook before its starts do."""
        self._rules = load_rulebook(policy, registry, prices)

    def rulebook(self, policy: Path, registry: Path | None = None, prices: Path | None = None) -> Rulebook:
        """As `load_rulebook`, without parsing again what has not changed by a byte."""
        if self._rules is not None and rulebook_hash(policy, registry, prices) == self._rules.policy.hash:
            return self._rules
        return load_rulebook(policy, registry, prices)


def _load_once() -> None:
    """Certificates for a wire that has none, and the description of AWS: each start would read them again."""
    transport = vars(importlib.import_module("httpx2._transports.default"))
    context = transport["create_ssl_context"]()
    transport["create_ssl_context"] = lambda *_, **_options: context
    read = functools.cache(botocore.loaders.JSONFileLoader().load_file)
    loader: Any = botocore.loaders.JSONFileLoader
    loader.load_file = lambda _self, path: read(path)
    session = importlib.import_module("botocore.session").get_session()
    for service in ("bedrock", "s3"):
        session.create_client(service, region_name="us-east-1", aws_access_key_id="warm", aws_secret_access_key="warm")


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


def _virtual(of: Clock) -> type:
    """`datetime` whose `now` is the emulator's."""

    class Virtual(datetime, metaclass=_InVirtualTime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(of.now(), tz)

    return Virtual


class _Passing:
    """`time` for modules that wait: what they wait goes by at once, for everybody."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        self._pass_time = pass_time

    def sleep(self, seconds: float) -> None:
        with spared():
            self._pass_time(seconds * HASTE)
        time.sleep(0.02)  # the emulator needs real time for its work


def settle_in(state: Path, warm: Warm, pass_time: Callable[[float], None]) -> None:
    """Make this child's time virtual and its scanner its own. state: the emulator's folder. pass_time: lets virtual seconds go by."""
    virtual = _virtual(Clock(state))
    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] in {"flows", "sinks", "policies"} and not name.startswith("sinks.emulator")
        if ours and getattr(module, "datetime", None) is datetime:
            module.datetime = virtual  # type: ignore[attr-defined]
    passing = _Passing(pass_time)
    flows.collecting.FASTEST_POLL_S = SLOWEST_POLL_S
    for module in (flows.collecting, flows.submitting, flows.look_run):
        module.time = passing  # type: ignore[attr-defined]
    sinks.lanes.chat_job.PAUSES_S = (0.0, 0.0, 0.0)
    sinks.ledger.views.CONFIG["threads"] = 1  # questions to a small ledger
    flows.scanner.Scanner = _HereScanner  # type: ignore[misc]
    flows.ready.load_rulebook = warm.rulebook  # type: ignore[attr-defined]
    flows.ready.load = lambda **_options: warm.detectors  # type: ignore[attr-defined]
