"""A plan, and a plan beside its night, as plain trees for `json.dumps`: dollars are text, moments are ISO 8601 in UTC."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flows.plan_against import Comparison
from flows.plan_counting import Plan


def plan_tree(plan: Plan) -> dict[str, Any]:
    """Everything that the tables and sentences of a plan say."""
    found = plan.forecast
    return {
        "documents": plan.documents,
        "unchanged": plan.unchanged,
        "out": plan.history.waiting,
        "places": {name: _plain(asdict(place)) for name, place in plan.places.items()},
        "held": dict(plan.by_reason),
        "classes": [{"data_class": name, "place": place, "documents": count} for (name, place), count in sorted(plan.by_class.items())],
        "seconds": round(plan.seconds, 3),
        "forecast": None if found is None else _plain(asdict(found)),
    }


def comparison_tree(made: Comparison) -> dict[str, Any]:
    """Plan and actual, line by line."""
    lines = [_plain({**asdict(line), "difference": line.difference, "percent": line.percent}) for line in made.lines]
    return {"run_id": made.run.run_id, "finished": made.run.finished, "gone": made.gone, "new": made.new, "lines": lines}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return value
