"""Counts as horizontal bars, one below the other: shares of one whole, or the steps of a funnel. The template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.audit_report.shown_text import fitted

WIDTH, LEFT, RIGHT = 960, 300, 150
SLOT, THICKNESS, TOP = 34, 20, 8
THINNEST = 1.0
_LABEL_CHARACTERS = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One bar. lane: cloud, local or held, whose colour it has."""

    label: str
    lane: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnStep:
    """A bar in its place. label: as it fits; told: its number, and its share of the whole."""

    step: Step
    label: str
    told: str
    y: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChart:
    """The drawing. name: of its parts in the page; title: what it shows."""

    kind: ClassVar[str] = "steps"
    view_width: ClassVar[int] = WIDTH
    left: ClassVar[int] = LEFT
    thickness: ClassVar[int] = THICKNESS
    name: str
    title: str
    height: int
    steps: tuple[DrawnStep, ...]
    summary: str


def layout(name: str, title: str, steps: Sequence[Step], *, whole: int) -> StepChart:
    """Place the bars; the longest fills the width. whole: what shares are of, at least 1."""
    longest = max((one.records for one in steps), default=0) or 1
    room = WIDTH - LEFT - RIGHT
    drawn = tuple(
        DrawnStep(
            step=one,
            label=fitted(one.label, _LABEL_CHARACTERS),
            told=f"{one.records:,} ({one.records / whole:.1%})",
            y=TOP + position * SLOT,
            width=round(max(THINNEST, room * one.records / longest), 2) if one.records else 0,
        )
        for position, one in enumerate(steps)
    )
    told = "; ".join(f"{one.step.label}: {one.told}" for one in drawn)
    return StepChart(
        name=name, title=title, height=TOP + SLOT * len(steps), steps=drawn, summary=f"{told}." if told else "Nothing to draw."
    )
