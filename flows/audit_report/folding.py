"""From thousands of classes and endpoints to a drawing that can be read: the largest stay, the others become one and say how many they are.

- The built-in classes always stay: a few PHI records must not disappear among other classes.
- Cloud and local endpoints are never folded into one; a scan that stopped early never counts as a complete one.
- The sum of all links is the sum of all flows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flows.audit_report.shown_text import shown
from policies.model import BUILT_IN_CLASSES
from sinks.ledger.report_rows import Flow

MOST_NODES = 12
"""So many classes beside the built-in ones, and so many endpoints of each lane, are drawn by name."""

NOT_JUDGED = "(none)"
"""What the ledger's view says for a record that no decision speaks of."""

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Node:
    """A class or a destination. lane: of a destination; empty for a class. folded: it stands for others."""

    label: str
    lane: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """So many records of a class went to a destination."""

    source: Node
    target: Node
    records: int
    payload_bytes: int


def fold(flows: Sequence[Flow]) -> list[Link]:
    """The links to draw: cloud first, then by class."""
    sums = _sums(flows, lambda flow: (flow.data_class, bool(flow.partial)))
    classes = _named(sums, kept=lambda key: key[0] in {*BUILT_IN_CLASSES, NOT_JUDGED})
    others = Node(f"{len(sums) - len(classes):,} other classes", folded=True)
    class_of = {key: Node(class_label(*key)) if key in classes else others for key in sums}
    ends: dict[tuple[str, str | None], Node] = {}
    for lane in ("cloud", "local", "held"):
        inside = _sums([flow for flow in flows if flow.lane == lane], lambda flow: flow.endpoint)
        named = _named(inside, kept=lambda _: False)
        rest = Node(f"{len(inside) - len(named):,} other {lane} endpoints", lane, folded=True)
        ends |= {(lane, key): Node(destination_label(lane, key), lane) if key in named else rest for key in inside}
    links: Counter[tuple[Node, Node]] = Counter()
    sizes: Counter[tuple[Node, Node]] = Counter()
    for flow in flows:
        pair = class_of[flow.data_class, bool(flow.partial)], ends[flow.lane, flow.endpoint]
        links[pair] += flow.records
        sizes[pair] += flow.payload_bytes
    return [Link(source, target, records, sizes[source, target]) for (source, target), records in links.items()]


def class_label(data_class: str, partial: bool | None) -> str:  # noqa: FBT001 - as the ledger's columns stand side by side
    """A class as the report calls it."""
    name = "never judged" if data_class == NOT_JUDGED else shown(data_class)
    return f"{name} (partial scan)" if partial else name


def destination_label(lane: str, endpoint: str | None) -> str:
    """A destination as the report calls it."""
    return "held" if lane == "held" else f"{lane}: {shown(endpoint)}"


def _sums(flows: Iterable[Flow], key: Callable[[Flow], _Key]) -> Counter[_Key]:
    sums: Counter[_Key] = Counter()
    for flow in flows:
        sums[key(flow)] += flow.records
    return sums


def _named(sums: Counter[_Key], *, kept: Callable[[_Key], bool]) -> set[_Key]:
    """Those that are drawn by name."""
    ranked = sorted((key for key in sums if not kept(key)), key=lambda key: (-sums[key], str(key)))
    # One that would be alone among the others keeps its name.
    largest = ranked if len(ranked) <= MOST_NODES + 1 else ranked[:MOST_NODES]
    return {*largest, *(key for key in sums if kept(key))}
