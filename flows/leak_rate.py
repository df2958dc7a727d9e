"""How many of the texts that were sent should not have been, given what reviewers said of a random sample of them.

The bound is the one-sided Clopper-Pearson bound of the binomial. A sample is drawn without replacement from finitely many texts, which
tells more than the binomial knows, so it errs on the high side. Who has read every text does not estimate: then it is what was counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from flows.confidence_bounds import upper_bound
from flows.sampling import Sample

CONFIRMED, MISSED_CLASS, LEAK, IN_DOUBT = "confirmed", "missed_class", "leak", "unsure"
SEVERITY = (CONFIRMED, MISSED_CLASS, IN_DOUBT, LEAK)
"""Reason codes of `reviewed`, the least severe first. missed_class: it is more than was decided, and was permitted all the same."""
CONFIDENCE = 0.95
EVERY_CLASS = "(all)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakRate:
    """What a sample says of all texts of a class. unsure: counted as leaks. bound: the highest rate that still fits; most: as a number."""

    data_class: str
    population: int
    reviewed: int
    leaks: int
    unsure: int
    bound: float
    most: int


def leak_rates(sample: Sample, found: Mapping[tuple[str, str], str]) -> tuple[LeakRate, ...]:
    """The bound for all texts, then for those of each class that was decided. found: the reason by record and text, for every item."""
    counted: dict[str, Counter[str]] = {EVERY_CLASS: Counter()}
    for one in sample.items:
        for name in (EVERY_CLASS, *one.data_classes):
            counted.setdefault(name, Counter())[found[one.record_id, one.document_hmac]] += 1
    sizes = {EVERY_CLASS: sample.population, **sample.by_class}
    return tuple(_rate(name, sizes[name], counted[name]) for name in [EVERY_CLASS, *sorted(counted.keys() - {EVERY_CLASS})])


def _rate(name: str, population: int, counted: Counter[str]) -> LeakRate:
    reviewed, bad = counted.total(), counted[LEAK] + counted[IN_DOUBT]
    bound = bad / population if reviewed == population and population else upper_bound(bad, reviewed, CONFIDENCE)
    most = bad if reviewed == population else max(bad, math.floor(bound * population))
    return LeakRate(
        data_class=name,
        population=population,
        reviewed=reviewed,
        leaks=counted[LEAK],
        unsure=counted[IN_DOUBT],
        bound=bound,
        most=most,
    )


def rates_table(rates: tuple[LeakRate, ...]) -> pa.Table:
    """The bounds as columns."""
    return pa.Table.from_pylist(
        [
            {
                "data_class": one.data_class,
                "sent": one.population,
                "reviewed": one.reviewed,
                "leaks": one.leaks,
                "unsure": one.unsure,
                "rate_at_most": one.bound,
                "texts_at_most": one.most,
            }
            for one in rates
        ]
    )
