"""Daily volumes as stacked bars: the places of bars, gridlines and labels. The template draws them.

Up to LONGEST_DAILY days are drawn one by one; longer periods by week, month or year, as sums of their days, so that bars stay wide enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from sinks.ledger.report_rows import Volume

WIDTH, HEIGHT = 960, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 10, 12, 34
LONGEST_DAILY = 92
MOST_BARS = 62
LANES = ("held", "local", "cloud")
"""From the bottom up: what left stands on top, where it is seen."""
THINNEST = 1.0
_LABEL_WIDTH = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bar: the days that begin with `first`."""

    first: date
    label: str
    cloud: int = 0
    local: int = 0
    held: int = 0

    @property
    def total(self) -> int:
        """All destinations together."""
        return self.cloud + self.local + self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One part of a bar."""

    lane: str
    label: str
    records: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A gridline, or a label under a bar."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """The drawing. unit: day, week, month or year."""

    kind: ClassVar[str] = "bars"
    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT
    left: ClassVar[int] = LEFT
    right: ClassVar[int] = WIDTH - RIGHT
    floor: ClassVar[int] = HEIGHT - BOTTOM
    unit: str
    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    summary: str


def buckets(volumes: Sequence[Volume], first: date, last: date) -> tuple[str, list[Bucket]]:
    """The unit, and a bucket for each day, week or month from `first` to `last`, empty ones too; of years the newest that have records."""
    unit, begin, following, told = _unit(first, last)
    sums: dict[date, Counter[str]] = {}
    for volume in volumes:
        sums.setdefault(begin(volume.day), Counter()).update({lane: getattr(volume, lane) for lane in LANES})
    starts, start = [], begin(first)
    if unit == "year":
        starts = sorted(sums)[-MOST_BARS:]
    else:
        while start <= last:
            starts.append(start)
            start = following(start)
    return unit, [Bucket(first=one, label=told(one), **sums.get(one, Counter())) for one in starts]


def layout(unit: str, filled: Sequence[Bucket]) -> BarChart:
    """Place the bars."""
    highest = max((bucket.total for bucket in filled), default=0)
    step = _step(highest)
    top = max(step, -(-highest // step) * step)
    scale = (HEIGHT - TOP - BOTTOM) / top
    slot = (WIDTH - LEFT - RIGHT) / max(len(filled), 1)
    width = min(slot * 0.8, 60)
    bars: list[Bar] = []
    for position, bucket in enumerate(filled):
        bars += _stack(bucket, LEFT + slot * position + (slot - width) / 2, width, scale)
    every = max(1, -(-_LABEL_WIDTH // max(int(slot), 1)))
    return BarChart(
        unit=unit,
        bars=tuple(bars),
        lines=tuple(Tick(at=round(HEIGHT - BOTTOM - value * scale, 2), label=f"{value:,}") for value in range(0, top + 1, step)),
        labels=tuple(
            Tick(at=round(LEFT + slot * (position + 0.5), 2), label=bucket.label)
            for position, bucket in enumerate(filled)
            if position % every == 0 and slot * (position + 0.5) + _LABEL_WIDTH / 2 <= WIDTH - LEFT
        ),
        summary=_summary(unit, filled),
    )


def _stack(bucket: Bucket, x: float, width: float, scale: float) -> list[Bar]:
    y = float(HEIGHT - BOTTOM)
    bars = []
    for lane in LANES:
        records = getattr(bucket, lane)
        if not records:
            continue
        height = max(THINNEST, records * scale)
        y -= height
        place = {"x": round(x, 2), "y": round(y, 2), "width": round(width, 2), "height": round(height, 2)}
        bars.append(Bar(lane=lane, label=bucket.label, records=records, **place))
    return bars


def _unit(first: date, last: date) -> tuple[str, Callable[[date], date], Callable[[date], date], Callable[[date], str]]:
    days = (last - first).days + 1
    if days <= LONGEST_DAILY:
        return "day", lambda day: day, _days(1), str
    if days <= 7 * MOST_BARS - 7:
        return "week", lambda day: date.fromordinal(max(1, day.toordinal() - day.weekday())), _days(7), str
    if days <= 28 * MOST_BARS:
        return "month", lambda day: day.replace(day=1), _next_month, lambda day: f"{day:%Y-%m}"
    return "year", lambda day: day.replace(month=1, day=1), lambda day: day, lambda day: f"{day:%Y}"


def _days(count: int) -> Callable[[date], date]:
    return lambda day: day + timedelta(days=count)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _step(highest: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, … that makes at most five gridlines."""
    step = 1
    while step * 5 < highest:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return step


def _summary(unit: str, filled: Sequence[Bucket]) -> str:
    if not any(bucket.total for bucket in filled):
        return "No record was handed over or held."
    highest = max(filled, key=lambda bucket: bucket.total)
    sums = ", ".join(f"{lane} {sum(getattr(bucket, lane) for bucket in filled):,}" for lane in reversed(LANES))
    most = f"{highest.total:,} ({highest.label})"
    return f"{len(filled)} bars, one per {unit}. Records in all: {sums}. Most: {most}. The table below has every number."
