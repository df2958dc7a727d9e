"""Settlement: what a record cost, from the usage that its provider reported. The one place where that is worked out.

A row that failed used its tokens all the same. Usage that is absent, or that cannot be (more tokens from a cache than were read), makes a
cost that nobody knows: None, which is counted and shown as unpriced, and keeps its reservation in the budget. It is never guessed.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from policies.prices import Price, Usage
from sinks.answers import Answers
from sinks.shard import LaneResult


def priced(answers: Answers, price: Price | None) -> Answers:
    """The answers with what each cost; without a price, as they are."""
    if price is None:
        return answers
    given = {**answers.answered, **answers.failed}
    if price.free:
        return replace(answers, costs=dict.fromkeys(given, Decimal(0)))
    return replace(answers, costs={row_id: cost(result, price) for row_id, result in given.items()})


def cost(result: LaneResult, price: Price) -> Decimal | None:
    """What one row cost, or None when its usage does not say."""
    if price.free:
        return Decimal(0)
    usage = usage_of(result)
    return None if usage is None else price.cost(usage)


def usage_of(result: LaneResult) -> Usage | None:
    """The reported usage, if it is whole and can be."""
    if result.tokens_in is None or result.tokens_out is None:
        return None
    cached, written, hour = result.tokens_cached or 0, result.tokens_cache_written or 0, result.tokens_cache_written_1h or 0
    if cached + written > result.tokens_in or hour > written:
        return None
    return Usage(tokens_in=result.tokens_in, tokens_out=result.tokens_out, cached=cached, written=written, written_1h=hour)
