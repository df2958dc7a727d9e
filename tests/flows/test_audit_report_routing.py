"""The section on routing: every assignment with its reason, and the funnel of what was escalated."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from flows.audit_report.period import month_of
from flows.audit_report.steps import Step, layout
from sinks.ledger.reader import reading
from tests.flows.report_ledgers import crowded, ordinary
from tests.flows.report_page import Page, made, numbers


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ordinary(tmp_path_factory.mktemp("routed") / "ledger", nights=5)


def bars(page: Page, name: str) -> dict[str, int]:
    """The bars of a drawing by label, from its description."""
    told = (part.rstrip(".").rsplit(": ", 1) for part in page.described[f"{name}-summary"].split("; "))
    return {label: numbers(value.split(" ")[0]) for label, value in told}


def test_every_assignment_is_in_the_table_and_in_the_drawing(quarter: Path) -> None:
    page = Page(made(quarter))
    with reading(quarter) as reader:
        query = "SELECT strategy, lane, endpoint, reason, count(DISTINCT record_id) AS records FROM entries"
        rows = reader.table(f"{query} WHERE event = 'assigned' GROUP BY ALL").to_pylist()
    expected = {(row["strategy"], row["lane"], row["endpoint"], row["reason"]): row["records"] for row in rows}
    shown = page.table("Assignments by strategy")
    assert {(row[0], row[1], row[2], row[3]): numbers(row[4]) for row in shown} == expected
    by_endpoint: Counter[str] = Counter()
    for (_, lane, endpoint, _), records in expected.items():
        by_endpoint[f"{lane}: {endpoint}"] += records
    assert bars(page, "shares") == by_endpoint
    assert [row[5] for row in shown if row[3] == "escalated"] == ["0.2"]


def test_the_funnel_loses_nobody(quarter: Path) -> None:
    assert bars(Page(made(quarter)), "funnel") == {
        "assigned": 9,
        "answered inside": 9,
        "with too little confidence": 4,
        "kept, marked for review": 2,
        "escalated to the cloud": 2,
        "completed there": 1,
    }


def test_without_a_waterfall_there_is_no_funnel(quarter: Path, tmp_path: Path) -> None:
    page = Page(made(crowded(tmp_path / "ledger", count=40)))
    assert "funnel-summary" not in page.described
    shares = bars(page, "shares")
    assert sum(shares.values()) == 43
    assert {"14 other cloud endpoints", "14 other local endpoints"} <= set(shares)
    empty = Page(made(quarter, month_of(date(2020, 2, 1))))
    assert empty.texts["No record was assigned to an endpoint in this period."] == 1


@pytest.mark.parametrize(("counts", "whole"), [([0, 0], 1), ([1, 1_000_000], 1_000_001), ([7], 7)], ids=["none", "very uneven", "one"])
def test_bars_stay_inside_and_the_smallest_is_seen(counts: list[int], whole: int) -> None:
    chart = layout("any", "Any", [Step(label="W" * 90, lane="local", records=count) for count in counts], whole=whole)
    for drawn, count in zip(chart.steps, counts, strict=True):
        assert (drawn.width >= 1) == (count > 0)
        assert chart.left + drawn.width < chart.view_width
        assert drawn.y + chart.thickness <= chart.height
        assert len(drawn.label) < 40


FIGURES = Path(__file__).parents[2] / "examples" / "economics" / "crossover.yaml"


def test_the_break_even_chart_is_in_the_page_with_its_numbers(quarter: Path) -> None:
    page = Page(made(quarter, economics=FIGURES))
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data)[:8] == b"\x89PNG\r\n\x1a\n"
    assert "GPT-4o: from 533.3M tokens a month at list price, 1.067B at batch price" in str(image["alt"])
    rows = {row[0]: row[1:] for row in page.table("US dollars a month against GPT-4o")}
    assert rows["5B"] == ["37,500", "18,750", "8,000", "2", "self-host", "self-host"]
    assert "img" not in {tag for tag, _ in Page(made(quarter)).tags}
