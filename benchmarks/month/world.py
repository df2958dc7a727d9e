"""What happens in the simulated month, by seed and date alone: the same whatever strategy goes through it.

- 5, 16, 22 December: four times the documents of another night.
- 11: cloud-mini costs twice as much from now on (prices.yaml).
- 14: inside-large stops after three hours, and what it had not answered is lost.
- 17: no cloud endpoint takes anything all night.
- 18: cloud-best has retired (endpoints.yaml).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policies.model import Decision, Endpoint, Lane
from policies.policy import verdict
from policies.registry import Rulebook, load_rulebook

HERE = Path(__file__).parent
HOUR = 3_600.0
DEADLINE_S = 10 * HOUR
TURNAROUND_S = 4 * HOUR
"""The longest that the provider takes for a batch; it promises more than that, and keeps less."""
MAX_TOKENS = 1_000
EXPECTED_TOKENS_OUT = 600

FIRST = date(2026, 12, 1)
NIGHTS = 31
RECORDS = 3_000
"""Documents on an ordinary night, of about 30,000 tokens."""
SPIKES = frozenset({date(2026, 12, 5), date(2026, 12, 16), date(2026, 12, 22)})
SPIKE, WEEKEND = 4.0, 0.4
LOCAL_OUTAGE, LOCAL_DOWN, LOCAL_DOWN_FROM_S = date(2026, 12, 14), "inside-large", 3 * HOUR
CLOUD_OUTAGE = date(2026, 12, 17)

KINDS = ("PHI", "PII", "CLEAN")
SHARES = (0.3, 0.2, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night's documents, and how fast things are. All arrays are by record.

    kind: index of KINDS. tokens_out: as it will turn out. confidence: that an answer of the small model inside will have. speed: what
    the places inside do tonight, over what is declared. turnaround_s: of tonight's cloud batches.
    """

    day: date
    decisions: tuple[Decision, ...] = field(repr=False)
    kind: NDArray[np.intp] = field(repr=False)
    tokens_in: NDArray[np.int64] = field(repr=False)
    tokens_out: NDArray[np.int64] = field(repr=False)
    complexity: NDArray[np.float64] = field(repr=False)
    confidence: NDArray[np.float64] = field(repr=False)
    speed: float
    turnaround_s: float

    @property
    def cloud_down(self) -> bool:
        """Whether the cloud takes nothing tonight."""
        return self.day == CLOUD_OUTAGE

    def down_from_s(self, endpoint: str) -> float:
        """When a place inside stops tonight; never, mostly."""
        return LOCAL_DOWN_FROM_S if (self.day, endpoint) == (LOCAL_OUTAGE, LOCAL_DOWN) else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The rulebook of the month, its endpoints in the job's order, and its nights. scale: of volume and throughput alike."""

    rules: Rulebook
    nights: tuple[Night, ...]
    scale: float

    @property
    def endpoints(self) -> list[Endpoint]:
        """In the registry's order."""
        return list(self.rules.registry.values())

    def tokens_per_s(self, endpoint: Endpoint) -> float:
        """In a world of this size."""
        return self.declared(endpoint) * self.scale

    @staticmethod
    def declared(endpoint: Endpoint) -> float:
        """As the registry has it, for the full month; endless where nothing is declared. Machines cost by this."""
        return math.inf if endpoint.tokens_per_s is None else endpoint.tokens_per_s

    @property
    def local(self) -> list[Endpoint]:
        """The places inside."""
        return [endpoint for endpoint in self.endpoints if endpoint.lane is Lane.LOCAL]


def make_world(*, seed: int, first: date = FIRST, nights: int = NIGHTS, records: int = RECORDS) -> World:
    """The month, or a part of it, or a smaller one."""
    rules = load_rulebook(HERE / "policy.yaml", HERE / "endpoints.yaml", HERE / "prices.yaml")
    days = [first + timedelta(days=index) for index in range(nights)]
    return World(rules=rules, nights=tuple(_night(rules, seed, day, records) for day in days), scale=records / RECORDS)


def _night(rules: Rulebook, seed: int, day: date, records: int) -> Night:
    chance = np.random.default_rng([seed, day.toordinal()])
    busy = SPIKE if day in SPIKES else WEEKEND if day.weekday() >= 5 else chance.uniform(0.8, 1.2)  # noqa: PLR2004 - Saturday
    count = round(records * busy)
    kind = chance.choice(len(KINDS), size=count, p=SHARES)
    routes = [verdict(rules.policy, [name]) for name in KINDS]
    complexity = chance.beta(1.2, 3.0, size=count)
    return Night(
        day=day,
        decisions=tuple(
            Decision(
                record_id=f"{day}-{index}",
                data_classes=(KINDS[number],),
                lanes=routes[number].lanes,
                rule=routes[number].rule,
                policy_hash=rules.policy.hash,
                detectors_hash="simulated",
                cloud_requires=routes[number].cloud_requires,
            )
            for index, number in enumerate(kind.tolist())
        ),
        kind=kind,
        tokens_in=np.clip(chance.lognormal(np.log(22_000), 0.8, size=count), 500, 180_000).astype(np.int64),
        tokens_out=chance.integers(150, 950, size=count),
        complexity=complexity,
        confidence=np.clip(1.05 - complexity + chance.normal(0, 0.1, size=count), 0, 1),
        speed=float(chance.uniform(1.0, 1.15)),
        turnaround_s=float(chance.uniform(0.5, 1.0)) * TURNAROUND_S,
    )
