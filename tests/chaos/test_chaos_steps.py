"""The checks of escalations and stops find what they are for, in ledgers of a few invented entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.money import limits, overspent
from tests.chaos.routing import ROUTED_FROM, draw_routing
from tests.chaos.seen import Seen
from tests.chaos.steps import asked_too_often, escalated_wrongly, sent_after_a_stop
from tests.chaos.story import PROVIDERS, story

Said = tuple[str, dict[str, Any]]

DECIDED: Said = ("decided", {"lanes": ["local", "cloud"]})
FAILED: Said = ("failed", {"lane": "local", "intent_id": "i"})
GIVEN_BACK: Said = ("released", {"reason": "escalated", "intent_id": "i"})
CLEARED: Said = ("cleared", {"clearance_id": "c", "lane": "cloud"})
SENT: Said = ("submitting", {"clearance_id": "c", "lane": "cloud"})
COMPLETED: Said = ("completed", {"lane": "cloud", "intent_id": "j"})
STOPPED: Said = ("stopped", {"record_id": None, "reason": "budget_night"})
UNFIT: Said = ("held", {"record_id": "other", "reason": "budget_night"})
STOP = ("on_budget: stop",)


def seen(*said: Said) -> Seen:
    """A ledger that says this of one record, in one run."""
    nothing = dict.fromkeys(("lane", "reason", "intent_id", "clearance_id", "lanes", "cost_usd"))
    begun = {**nothing, "event": "run_started", "run_id": "n", "record_id": None, "seq": 1, "logical_date": "2026-11-23"}
    entries = [
        {**nothing, "run_id": "n", "record_id": "r", "seq": seq, "event": event, **more} for seq, (event, more) in enumerate(said, start=2)
    ]
    return Seen(entries=(begun, *entries), results=(), received=(), raw=(), created=(), spool=(), leaks=(), injected=0)


GOOD = (DECIDED, FAILED, GIVEN_BACK, DECIDED, CLEARED, SENT, COMPLETED)


def test_what_was_decided_is_no_mistake() -> None:
    for entries in (GOOD, (*GOOD[:3], STOPPED, *GOOD[3:]), (STOPPED, *GOOD), (*GOOD[:5], STOPPED, UNFIT, *GOOD[5:])):
        found = seen(*entries)
        assert [*asked_too_often(found), *escalated_wrongly(found), *sent_after_a_stop(found, STOP)] == []


@pytest.mark.parametrize(
    "entries",
    [(*GOOD, COMPLETED), (DECIDED, FAILED, DECIDED, COMPLETED), (*GOOD[:3], FAILED, GIVEN_BACK, *GOOD[3:])],
    ids=["paid twice", "not given back", "given back twice"],
)
def test_asked_more_often_than_decided(entries: Sequence[Said]) -> None:
    assert list(asked_too_often(seen(*entries)))


@pytest.mark.parametrize(
    "entries",
    [
        (DECIDED, GIVEN_BACK),
        (DECIDED, ("failed", {"lane": "local", "intent_id": "h"}), GIVEN_BACK),
        (DECIDED, ("failed", {"lane": "cloud", "intent_id": "i"}), GIVEN_BACK),
        (("decided", {"lanes": ["local"]}), FAILED, GIVEN_BACK),
    ],
    ids=["nothing failed", "another hand-over", "from the cloud", "restricted"],
)
def test_escalated_without_reason(entries: Sequence[Said]) -> None:
    assert list(escalated_wrongly(seen(*entries)))


@pytest.mark.parametrize(
    "entries",
    [
        (STOPPED, DECIDED, CLEARED, SENT),
        (*GOOD[:3], STOPPED, *GOOD[3:6], CLEARED, SENT),
        (UNFIT,),
        (DECIDED, CLEARED, UNFIT, SENT, STOPPED),
    ],
    ids=["cleared after it", "given back and sent twice", "never said", "said too late"],
)
def test_sent_after_a_stop(entries: Sequence[Said]) -> None:
    assert list(sent_after_a_stop(seen(*entries), STOP))
    assert not list(sent_after_a_stop(seen(*entries), ("on_budget: hold",)))


def test_a_limit_of_one_endpoint_is_of_that_endpoint() -> None:
    allowed = limits(["budget_usd: {endpoints: {chaos-other: {night: 0.4}}}"])
    about = {"lane": "cloud", "cost_usd": Decimal(1), "at": datetime(2026, 11, 23, tzinfo=UTC)}
    for endpoint, over in (("chaos-other", 1), ("chaos-cloud", 0)):
        found = seen(("submitting", {**about, "intent_id": "i", "endpoint": endpoint}))
        assert len(list(overspent(found.entries, allowed))) == over


def test_nights_before_there_were_strategies_are_as_they_were() -> None:
    assert all(draw_routing(seed, provider) is None for seed in range(ROUTED_FROM - 300, ROUTED_FROM) for provider in PROVIDERS)
    assert not any("on_budget: stop" in story(seed, PROVIDERS[seed % 3]).job for seed in range(ROUTED_FROM - 60, ROUTED_FROM))
    drawn = [draw_routing(seed, PROVIDERS[seed % 3]) for seed in range(ROUTED_FROM, ROUTED_FROM + 300)]
    assert {one.strategy for one in drawn if one} == {"tiered", "waterfall", "cheapest", "local_first"}
    assert 60 < sum(one is not None for one in drawn) < 140
