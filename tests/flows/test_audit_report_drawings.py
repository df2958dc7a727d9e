"""The drawings and colours of the report: nothing is lost, nothing overlaps, and everything can be read."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flows.audit_report
from flows.audit_report import charts, sankey
from flows.audit_report.folding import MOST_NODES, fold
from flows.audit_report.shown_text import fitted
from policies.model import BUILT_IN_CLASSES
from sinks.ledger.report_rows import Flow, Volume

STYLE = (Path(flows.audit_report.__file__).with_name("page") / "report.css").read_text()

FLOWS = st.lists(
    st.builds(
        Flow,
        data_class=st.sampled_from([*BUILT_IN_CLASSES, *(f"OWN_{number}" for number in range(40)), "(none)"]),
        partial=st.sampled_from([True, False, None]),
        lane=st.sampled_from(["cloud", "local", "held"]),
        endpoint=st.sampled_from([None, *(f"endpoint-{number}" for number in range(40))]),
        records=st.integers(1, 1_000_000),
        payload_bytes=st.integers(0, 10**12),
    ),
    min_size=1,
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(FLOWS)
def test_folding_loses_nothing_and_mixes_no_lanes(some: list[Flow]) -> None:
    links = fold(some)
    assert sum(link.records for link in links) == sum(flow.records for flow in some)
    assert sum(link.payload_bytes for link in links) == sum(flow.payload_bytes for flow in some)
    for lane in ("cloud", "local", "held"):
        drawn = sum(link.records for link in links if link.target.lane == lane)
        assert drawn == sum(flow.records for flow in some if flow.lane == lane)
        assert len({link.target for link in links if link.target.lane == lane}) <= MOST_NODES + 1
    for name in BUILT_IN_CLASSES:
        drawn = sum(link.records for link in links if link.source.label == name)
        assert drawn == sum(flow.records for flow in some if flow.data_class == name and not flow.partial)


@settings(max_examples=60, deadline=None)
@given(FLOWS)
def test_links_meet_their_nodes_and_labels_do_not_meet(some: list[Flow]) -> None:
    drawn = sankey.layout(fold(some))
    for boxes in (drawn.sources, drawn.targets):
        assert sum(box.records for box in boxes) == sum(flow.records for flow in some)
        assert all(lower.middle - upper.middle >= sankey.PITCH - 0.1 for upper, lower in pairwise(boxes))
        assert all(lower.y >= upper.y + upper.height for upper, lower in pairwise(boxes))
        assert all(box.y >= sankey.TOP and box.y + box.height <= drawn.height for box in boxes)
    by_node = {box.node: box for box in (*drawn.sources, *drawn.targets)}
    for ribbon in drawn.ribbons:
        numbers = [float(number) for number in re.findall(r"[\d.]+", ribbon.outline)]
        start, end, back = numbers[1], numbers[7], numbers[8]
        source, target = by_node[ribbon.link.source], by_node[ribbon.link.target]
        assert source.y - 0.02 <= start <= source.y + source.height
        assert target.y - 0.02 <= end <= target.y + target.height
        assert back - end >= sankey.THINNEST - 0.02


@settings(max_examples=60, deadline=None)
@given(
    first=st.dates(date(1, 1, 1), date(9990, 1, 1)),
    counts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 9)), min_size=1, max_size=30),
)
def test_bars_add_up_and_stay_inside(first: date, counts: list[tuple[int, int, int, int]]) -> None:
    volumes = [Volume(day=first + timedelta(days=days), cloud=cloud, local=local, held=held) for days, cloud, local, held in counts]
    unit, filled = charts.buckets(volumes, first, max(volume.day for volume in volumes))
    assert unit in {"day", "week", "month", "year"}
    assert len(filled) <= charts.LONGEST_DAILY
    assert sum(bucket.total for bucket in filled) == sum(volume.cloud + volume.local + volume.held for volume in volumes)
    chart = charts.layout(unit, filled)
    assert all(bar.x >= charts.LEFT and bar.x + bar.width <= charts.WIDTH for bar in chart.bars)
    assert all(bar.y >= 0 and bar.y + bar.height <= chart.floor + 0.1 for bar in chart.bars)
    assert 2 <= len(chart.lines) <= 6
    assert all(later.at - earlier.at >= 60 for earlier, later in pairwise(chart.labels))


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 10, "short"),
        ("endpoint-with-a-very-long-name-7", 15, "endpoint-…ame-7"),
        ("\u6587" * 20, 11, "\u6587" * 4 + "…" + "\u6587"),
    ],
    ids=["fits", "cut in the middle", "wide characters"],
)
def test_fitted(text: str, width: int, expected: str) -> None:
    assert fitted(text, width) == expected


def variables(scheme: str) -> dict[str, str]:
    """The colours of a scheme: those of the second block replace those of the first."""
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2])
    return light if scheme == "light" else {**light, **dark}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


TEXTS = ("ink", "faint", "link", "good", "bad")
GRAPHICS = ("cloud", "local", "held", "source", "edge", "focus", "good", "bad")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "least"), [*((name, 4.5) for name in TEXTS), *((name, 3.0) for name in GRAPHICS)])
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_colours_can_be_told_from_their_ground(scheme: str, name: str, least: float, ground: str) -> None:
    colours = variables(scheme)
    assert contrast(colours[name], colours[ground]) >= least


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_colour_of_the_style_is_a_named_one() -> None:
    rules = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b(?![-\w])", rules) == []
    assert set(re.findall(r"var\(--(\w+)\)", rules)) == set(variables("light")) == set(variables("dark"))
