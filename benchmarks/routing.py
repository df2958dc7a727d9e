"""Assignments a second, by strategy: the whole of `assign_all`, from decisions to `Assignment` objects, and the strategy's arrays alone.

Counted in CPU seconds of this process, which is single-threaded here, so that neighbours on the machine do not count; the best of a few
rounds. `make bench-routing`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import get_args

import numpy as np
from report import Figure, write

from policies.assign import Capacity, RecordFacts, StrategyName, assign_all, permits
from policies.candidates import place_of, records_of, situation_of
from policies.model import Decision, Endpoint, Lane
from policies.strategies import STRATEGIES

RECORDS = 200_000
ROUNDS = 3
TARGET = 200_000
TODAY = date(2026, 11, 22)
RESTRICTED = 0.3
"""The share of records that may only stay inside."""


def endpoints() -> list[Endpoint]:
    """Two places inside and two in the cloud, of four tiers."""
    shapes = (
        ("small", Lane.LOCAL, "small", 3_000.0),
        ("large", Lane.LOCAL, "large", 800.0),
        ("batch", Lane.CLOUD, "medium", None),
        ("frontier", Lane.CLOUD, "frontier", None),
    )
    return [
        Endpoint(
            name=name,
            lane=lane,
            engine="openai_batch",
            provider="example",
            model=name,
            facts={"dpa": True},
            review_by=date(2027, 5, 31),
            tier=tier,
            tokens_per_s=speed,
        )
        for name, lane, tier, speed in shapes
    ]


def batch(count: int, seed: int) -> tuple[list[Decision], list[RecordFacts]]:
    """Records as a night has them: some restricted, some with requirements, all with an expected price everywhere."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable mix
    routes: list[tuple[tuple[Lane, ...], dict[str, bool | int | str]]] = [
        ((Lane.LOCAL,), {}),
        ((Lane.LOCAL, Lane.CLOUD), {"dpa": True}),
        ((Lane.CLOUD, Lane.LOCAL), {}),
    ]
    decisions, facts = [], []
    for index in range(count):
        lanes, requires = routes[0] if chance.random() < RESTRICTED else chance.choice(routes[1:])
        decisions.append(
            Decision(
                record_id=f"r{index}",
                data_classes=("PII",),
                lanes=lanes,
                rule="routes[1]",
                policy_hash="p",
                detectors_hash="d",
                cloud_requires=requires,
            )
        )
        size = chance.randrange(100, 5_000)
        usd = {name: Decimal(size * rate) / 10**9 for name, rate in (("small", 80), ("large", 400), ("batch", 150), ("frontier", 2_500))}
        facts.append(RecordFacts(tokens_in=size, tokens_out=300, complexity=chance.random(), usd=usd))
    return decisions, facts


def best(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the fastest round."""
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)


def measure(count: int, rounds: int) -> dict[str, Figure]:
    """Both figures of every strategy."""
    places = endpoints()
    decisions, facts = batch(count, seed=7)
    # A night of eight hours that about half of the work fits into: every queue is in play.
    capacity = Capacity(seconds_left=count * 2_850 / 2 / 3_800)
    allowed = np.array([[permits(one, place, today=TODAY) is None for place in places] for one in decisions], dtype=np.bool_)
    records = records_of(allowed, facts, places)
    seen, situation = [place_of(one, capacity) for one in places], situation_of(capacity)
    figures: dict[str, Figure] = {}
    for name in get_args(StrategyName):
        alone = count / best(partial(STRATEGIES[name], records, seen, situation), rounds)
        all_of_it = partial(assign_all, decisions, places, strategy=name, today=TODAY, facts=facts, capacity=capacity)
        whole = count / best(all_of_it, rounds)
        figures[f"{name}, arrays alone"] = Figure(value=alone, unit="records/s", target=f">= {TARGET:,}", met=alone >= TARGET)
        figures[f"{name}, whole"] = Figure(value=whole, unit="assignments/s", target=f">= {TARGET:,}", met=whole >= TARGET)
    return figures


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=RECORDS)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    given = arguments.parse_args()
    measured = measure(given.records, given.rounds)
    write("routing", measured)
    sys.exit(0 if all(figure.met for figure in measured.values()) else 1)
