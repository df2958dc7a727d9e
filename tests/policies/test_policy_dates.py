"""Days on which something ends are spoken of a month before, and for as long as they are past."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from policies.check import Severity, check
from policies.load import DEFAULT_POLICY
from policies.prices import Prices
from policies.registry import load_rulebook

TODAY = date(2026, 11, 22)
RULES = load_rulebook(DEFAULT_POLICY)
FAR = date(2099, 1, 1)
OUTSIDE = replace(RULES.registry["openai-batch"], review_by=FAR)


def day(days: int) -> date:
    return TODAY + timedelta(days=days)


def said(*, prices: Prices | None = None, **changes: Any) -> list[tuple[str, str]]:
    registry = {name: replace(endpoint, review_by=FAR) for name, endpoint in RULES.registry.items()}
    problems = check(RULES.policy, {**registry, "there": replace(OUTSIDE, name="there", **changes)}, today=TODAY, prices=prices)
    return [(problem.severity.value, problem.message) for problem in problems if problem.where.startswith("endpoint there") or prices]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"review_by": day(31)}, []),
        (
            {"review_by": day(30)},
            [("warning", "its facts are to be reviewed by 2026-12-22, in 30 days; after that day nothing is sent to it")],
        ),
        (
            {"review_by": day(1)},
            [("warning", "its facts are to be reviewed by 2026-11-23, tomorrow; after that day nothing is sent to it")],
        ),
        ({"review_by": day(0)}, [("warning", "its facts are to be reviewed by 2026-11-22, today; after that day nothing is sent to it")]),
        (
            {"review_by": day(-1)},
            [("error", "its facts were to be reviewed by 2026-11-21: review them, or remove it; nothing is sent to it")],
        ),
        ({"retires_on": day(31)}, []),
        ({"retires_on": day(30)}, [("warning", "gpt-4o-mini retires on 2026-12-22, in 30 days: name its successor before that day")]),
        ({"retires_on": day(0)}, [("warning", "gpt-4o-mini retired on 2026-11-22: nothing is sent to it any more; name its successor")]),
        ({"deprecated_on": day(31)}, []),
        (
            {"deprecated_on": day(9)},
            [("warning", "gpt-4o-mini will be deprecated on 2026-12-01; set retires_on as soon as its maker names the day")],
        ),
        (
            {"deprecated_on": day(-90), "retires_on": day(200)},
            [("warning", "gpt-4o-mini was deprecated on 2026-08-24; it retires on 2027-06-10")],
        ),
        (
            {"deprecated_on": day(-90), "retires_on": day(3)},
            [("warning", "gpt-4o-mini retires on 2026-11-25, in 3 days: name its successor before that day")],
        ),
    ],
    ids=lambda value: "-".join(f"{name}{(when - TODAY).days:+}" for name, when in value.items()) if isinstance(value, dict) else "",
)
def test_the_days_of_an_endpoint(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert said(**changes) == expected


@pytest.mark.parametrize(("days", "word"), [(31, ""), (30, "is"), (0, "is"), (-1, "was")])
def test_the_day_of_a_price(days: int, word: str) -> None:
    prices = replace(RULES.prices, prices=tuple(replace(price, review_by=day(days)) for price in RULES.prices.prices))
    about = [message for severity, message in said(prices=prices) if "the price of there" in message and severity == Severity.WARNING]
    assert len(about) == bool(word)
    assert all(f"the price of there {word} to be reviewed by {day(days)}: look at https://" in message for message in about)
