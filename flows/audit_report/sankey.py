"""Where classes went, as a Sankey diagram: the places of its parts. The template draws them.

- A link is as thick as its share of all records, but never thinner than THINNEST: three restricted records among a million are to be seen.
- The links of a node, one under the other, are its height, on both sides.
- Labels never overlap: a node takes at least the height of its two lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.audit_report.folding import Link, Node
from flows.audit_report.shown_text import fitted

WIDTH = 960
LEFT, RIGHT = 230, 690
BAR = 14
THINNEST = 1.5
SCALED_HEIGHT = 320.0
"""What all links together would take where none is too thin."""
PITCH = 44.0
TOP = 36.0
LEFT_COLUMNS, RIGHT_COLUMNS = 27, 31
_LANES = ("cloud", "local", "held")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node: its bar, and where its label stands."""

    node: Node
    x: float
    y: float
    height: float
    middle: float
    label: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ribbon:
    """A link: the outline of its band."""

    link: Link
    outline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sankey:
    """The drawing, WIDTH wide."""

    kind: ClassVar[str] = "sankey"
    width: ClassVar[int] = WIDTH
    bar: ClassVar[int] = BAR
    height: int
    sources: tuple[Box, ...]
    targets: tuple[Box, ...]
    ribbons: tuple[Ribbon, ...]
    summary: str


def layout(links: Sequence[Link]) -> Sankey:
    """Place the links and their nodes."""
    total = sum(link.records for link in links) or 1
    thickness = {id(link): max(THINNEST, link.records / total * SCALED_HEIGHT) for link in links}
    sources = _boxes(links, lambda link: link.source, thickness, x=LEFT, columns=LEFT_COLUMNS)
    targets = _boxes(links, lambda link: link.target, thickness, x=RIGHT, columns=RIGHT_COLUMNS)
    place = {box.node: position for boxes in (sources, targets) for position, box in enumerate(boxes)}
    starts = _starts(sources, sorted(links, key=lambda link: place[link.target]), lambda link: link.source, thickness)
    ends = _starts(targets, sorted(links, key=lambda link: place[link.source]), lambda link: link.target, thickness)
    ribbons = tuple(
        Ribbon(link=link, outline=_outline(starts[id(link)], ends[id(link)], thickness[id(link)]))
        for link in sorted(links, key=lambda link: (-link.records, place[link.source], place[link.target]))  # thin ones on top
    )
    bottom = max((box.y + max(box.height, PITCH) for box in (*sources, *targets)), default=0.0)
    return Sankey(height=round(bottom + 8), sources=sources, targets=targets, ribbons=ribbons, summary=_summary(sources, targets))


def _boxes(links: Sequence[Link], end: Callable[[Link], Node], thickness: dict[int, float], *, x: float, columns: int) -> tuple[Box, ...]:
    records: dict[Node, int] = {}
    heights: dict[Node, float] = {}
    for link in links:
        node = end(link)
        records[node] = records.get(node, 0) + link.records
        heights[node] = heights.get(node, 0.0) + thickness[id(link)]
    ordered = sorted(records, key=lambda node: (_LANES.index(node.lane) if node.lane else 0, node.folded, -records[node], node.label))
    boxes, y = [], TOP
    for node in ordered:
        room = max(heights[node] + 12, PITCH)
        top = y + (room - heights[node]) / 2
        boxes.append(
            Box(
                node=node,
                x=x,
                y=round(top, 2),
                height=round(heights[node], 2),
                middle=round(top + heights[node] / 2, 2),
                label=fitted(node.label, columns),
                records=records[node],
            )
        )
        y += room
    return tuple(boxes)


def _starts(boxes: Sequence[Box], links: Sequence[Link], end: Callable[[Link], Node], thickness: dict[int, float]) -> dict[int, float]:
    """Where each link touches its node, from the top down in the order of what is on the other side."""
    free = {box.node: box.y for box in boxes}
    starts = {}
    for link in links:
        starts[id(link)] = free[end(link)]
        free[end(link)] += thickness[id(link)]
    return starts


def _outline(start: float, end: float, thickness: float) -> str:
    left, right = LEFT + BAR, RIGHT
    middle = (left + right) / 2
    top = f"M{left} {start:.2f}C{middle:.0f} {start:.2f} {middle:.0f} {end:.2f} {right} {end:.2f}"
    back = f"V{end + thickness:.2f}C{middle:.0f} {end + thickness:.2f} {middle:.0f} {start + thickness:.2f} {left} {start + thickness:.2f}Z"
    return top + back


def _summary(sources: Sequence[Box], targets: Sequence[Box]) -> str:
    """The drawing in a sentence, for those who do not see it."""
    return (
        f"{len(sources)} classes on the left, {len(targets)} destinations on the right. "
        f"Records by destination: {', '.join(f'{box.node.label} {box.records:,}' for box in targets)}. "
        "The table below has every number."
    )
