"""What happens in one night of the campaign, all of it drawn from the night's seed: documents, job, faults, harm, starts.

A night here may be several: up to three logical dates on one ledger, with documents that change and documents that do not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.documents import Documents, Text, first_day, next_day
from tests.chaos.routing import Routing, budgeted, draw_routing

PROVIDERS = ("openai", "anthropic", "bedrock")
KILLS = ("commit", "file", "wire", "instant")
"""Where a start is killed: at a commit of the ledger, at a step that changes files, at a write to a socket, or at any instant."""

EXTRACT = "{kind: extract, max_tokens: 60, schema: {type: object, required: [title], properties: {title: {type: string}}}}"
SUMMARIZE = "{kind: summarize, max_tokens: 60}"
RUN, COLLECT, CANCEL, RESOLVE = "run", "collect", "cancel", "resolve"
DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A start ends by SIGKILL: at the `number`-th step of a kind, before or after it; or after `seconds`."""

    how: str
    number: int
    after: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """The disk is full: for files larger than `most_bytes`, or from the `number`-th step that changes files on."""

    most_bytes: int | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revise:
    """Between freeze and hand-over, at the `number`-th hand-over of the start, the policy becomes another. Nothing is cleared then."""

    number: int


Harm = Kill | Full | Revise


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a night (`run`) or of a collection, or a person at an open hand-over (`cancel`, `resolve`).

    pass_s: virtual seconds that go by before it. second: another runner at once. away: "cloud" or "inside" cannot be reached; or neither.
    """

    act: str
    day: int = 0
    wait: bool = True
    second: bool = False
    harm: Harm | None = None
    pass_s: float = 0.0
    away: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One night. delay_s: how long each batch takes, in virtual seconds. plan: the emulator's faults. dialects: its manners.

    days: the documents as they are on each logical date. job: the lines of the job file. inside: a server of ours takes part; its answers
    fail at this rate, None without one. routing: a strategy of its own, if it has one.
    """

    seed: int
    provider: str
    days: tuple[Documents, ...]
    job: tuple[str, ...]
    settings: Mapping[str, object]
    plan: Mapping[str, object]
    delay_s: float
    dialects: tuple[str, ...]
    starts: tuple[Start, ...]
    inside: float | None
    routing: Routing | None = None

    @property
    def documents(self) -> Documents:
        """The documents as they are in the end."""
        return self.days[-1]

    @property
    def versions(self) -> Iterator[tuple[str, Text]]:
        """Every text that there ever was, with its document's name."""
        for day, documents in enumerate(self.days):
            yield from ((name, text) for name, text in documents.items() if text.since == day)

    @property
    def by_hand(self) -> bool:
        """Whether a person is to decide on hand-overs in doubt."""
        return "on_ambiguous: hold" in self.job


def story(seed: int, provider: str) -> Story:
    """The night of this seed."""
    chance = random.Random(f"{seed}|{provider}")
    looks = chance.random() < 0.2
    inside = chance.choice((0.0, 0.1, 0.3)) if looks or chance.random() < 0.2 else None
    routing = draw_routing(seed, provider)
    inside = routing.failing if routing and inside is None else inside
    days = [first_day(chance, looked_at=looks)]
    for day in range(1, chance.choice((1, 1, 1, 2, 3))):
        days.append(next_day(chance, days[-1], day))
    return Story(
        seed=seed,
        provider=provider,
        days=tuple(days),
        job=budgeted(seed, provider, tuple(_job(chance, looks=looks, inside=inside is not None, routing=routing)), routing),
        settings=_settings(chance, provider),
        plan=_plan(chance, seed, provider),
        delay_s=chance.choice((0.0, 0.0, 600.0, 3 * 3600.0, 30 * 3600.0)),
        dialects=_dialects(chance) if provider == "openai" else (),
        starts=tuple(_starts(chance, len(days), inside=inside is not None)),
        inside=inside,
        routing=routing,
    )


def _job(chance: random.Random, *, looks: bool, inside: bool, routing: Routing | None) -> Iterator[str]:
    yield f"task: {chance.choice((EXTRACT, SUMMARIZE))}"
    local = f", local: inside, strategy: {chance.choice(('cloud_first', 'local_first'))}" if inside and chance.random() < 0.7 else ""
    yield routing.line if routing else f"lanes: {{cloud: chaos-cloud{local}}}"
    if looks:
        yield "second_look: {endpoint: inside, share: 1.0}"
    yield f"batch_size: {chance.choice((7, 15, 40))}"
    yield f"on_ambiguous: {chance.choice(('resubmit', 'resubmit', 'hold'))}"
    yield f"on_cloud_failure: {chance.choice(('local', 'wait', 'hold'))}"
    yield f"on_local_failure: {chance.choice(('cloud', 'wait'))}"
    yield chance.choice(("repair: 0", "repair: 1"))
    if chance.random() < 0.4:
        amounts = {"night": chance.choice((0, 0.4, 1, 2.5)), "month": chance.choice((None, 0.8, 2, 6))}
        yield "budget_usd: {" + ", ".join(f"{name}: {amount}" for name, amount in amounts.items() if amount is not None) + "}"
        yield f"on_budget: {chance.choice(('local', 'hold'))}"


def _settings(chance: random.Random, provider: str) -> dict[str, object]:
    common: dict[str, object] = {"reconcile_after_s": chance.choice((0, 120)), "timeout_s": 10}
    if chance.random() < 0.5:
        common["shard_max_rows"] = chance.choice((4, 9))
    if provider == "bedrock":
        common |= {"role_arn": "arn:aws:iam::210987654321:role/batch", "shard_min_rows": chance.choice((1, 2, 3))}
        common["structured_output"] = chance.choice(("json_schema", "json_schema", "none"))
    return common


def _plan(chance: random.Random, seed: int, provider: str) -> dict[str, object]:
    """Faults by chance; and, so that repairs happen, in some nights answers that break the schema."""
    broken = [{"at": f"{provider}.results", "fault": "invalid_json", "rows": 2, "call": call} for call in (1, 2)]
    return {
        "random": {
            "seed": seed,
            "rate": chance.choice((0.0, 0.1, 0.2, 0.3, 0.5)),
            "most": chance.choice((3, 10, 40)),
            "most_each": chance.choice((1, 2)),
            "stuck_s": chance.choice((600.0, 40 * 3600.0)),
            "slow_s": 0.02,
        },
        "faults": broken if chance.random() < 0.15 else [],
    }


def _dialects(chance: random.Random) -> tuple[str, ...]:
    return tuple(
        sorted(chance.sample(("no_expiry", "error_file", "empty_id", "scheduling", "body_string", "no_rest"), chance.randint(0, 2)))
    )


def _starts(chance: random.Random, days: int, *, inside: bool) -> Iterator[Start]:
    """On each day a night first, then whatever comes."""
    revises = chance.random() < 0.12
    for day in range(days):
        for number in range(1 + chance.randint(0, 4 if days == 1 else 2)):
            yield _start(chance, day, first=number == 0, inside=inside, revises=revises)


def _start(chance: random.Random, day: int, *, first: bool, inside: bool, revises: bool) -> Start:
    act = RUN if first else chance.choices((RUN, COLLECT, CANCEL, RESOLVE), (30, 50, 10, 10))[0]
    away = chance.choices(("", "cloud", "inside" if inside else ""), (85, 7, 8))[0]
    pauses = (0.0,) if first and not day else (12 * 3600.0, DAY_S) if first else (0.0, 300.0, 4 * 3600.0, 12 * 3600.0)
    return Start(
        act=act,
        day=day,
        wait=chance.random() < 0.5,
        second=act in {RUN, COLLECT} and chance.random() < 0.15,
        harm=_harm(chance, revises=revises and act == RUN),
        pass_s=chance.choice(pauses),
        away=away,
    )


def _harm(chance: random.Random, *, revises: bool) -> Harm | None:
    if revises and chance.random() < 0.5:
        return Revise(number=chance.randint(1, 3))
    how = chance.choice(KILLS)
    most = {"commit": 14, "file": 250, "wire": 12, "instant": 1}[how]
    kill = Kill(how=how, number=chance.randint(1, most), after=chance.random() < 0.5, seconds=chance.uniform(0.05, 0.8))
    full = Full(most_bytes=chance.choice((None, 0, 3000, 9000, 30_000)), number=chance.randint(1, 200))
    return chance.choices((kill, full, None), (55, 8, 37))[0]


def said(told: Story) -> str:
    """The night in one line."""
    starts = ", ".join(map(_said, told.starts))
    rate = told.plan["random"]
    assert isinstance(rate, dict)
    days = "" if len(told.days) == 1 else f" in {len(told.days)} days"
    routed = f", {told.routing.strategy}" if told.routing else ""
    stops = ", stops at its budget" if "on_budget: stop" in told.job else ""
    return f"{told.provider}{routed}{stops}, {len(told.documents)} documents{days}, rate {rate['rate']}, delay {told.delay_s:g} s: {starts}"


def _said(start: Start) -> str:
    match start.harm:
        case Kill(how="instant", seconds=seconds):
            harm = f" killed at {seconds:.2f} s"
        case Kill(how=how, number=number):
            harm = f" killed at {how} {number}"
        case Full(most_bytes=None, number=number):
            harm = f" disk full at step {number}"
        case Full(most_bytes=most_bytes):
            harm = f" disk full at {most_bytes} bytes"
        case Revise(number=number):
            harm = f" policy revised at hand-over {number}"
        case None:
            harm = ""
    away = f" without {start.away}" if start.away else ""
    return start.act + (" of two" if start.second else "") + away + harm
