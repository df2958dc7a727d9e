"""`waybill audit report`: its numbers are the ledger's, and no name in a ledger can make the page say or do anything else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.audit_report.period import Period, days_between, month_of
from flows.audit_report.shown_text import shown
from flows.audit_report.writing import audit_report
from policies.errors import PolicyFileError
from sinks.ledger import audit
from sinks.ledger.entry import Event
from sinks.ledger.segments import Ledger
from tests.flows.report_ledgers import HOSTILE, crowded, hostile, moved, ordinary
from tests.flows.report_page import ALL, Page, made, numbers, of_the_ledger

REGISTRY = """version: 2026-11-01
endpoints:
  openai-batch:
    lane: cloud
    engine: openai_batch
    provider: openai
    model: small
    region: eu
    facts: {baa: true, dpa: true, retention_days: 12}
    evidence_link: contracts/2026-7.pdf
    review_by: 2026-11-15
"""


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ordinary(tmp_path_factory.mktemp("quarter") / "ledger")


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("attacks") / "ledger")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crowded(tmp_path_factory.mktemp("crowd") / "ledger")


PERIODS = [ALL, month_of(date(2026, 10, 1)), month_of(date(2026, 11, 1)), days_between(date(2026, 10, 5), date(2026, 10, 6))]


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_the_drawing_and_its_table_are_the_ledgers_numbers(quarter: Path, period: Period) -> None:
    page = Page(made(quarter, period))
    expected = of_the_ledger(quarter, period)
    assert sum(expected.values()) > 50
    assert page.ribbons() == expected
    rows = page.table("Records by class and destination, as drawn")
    assert Counter({(row[0], row[1]): numbers(row[2]) for row in rows}) == expected


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_bars_are_the_days_of_the_ledger(quarter: Path, period: Period) -> None:
    page = Page(made(quarter, period))
    drawn: Counter[tuple[str, str]] = Counter()
    for _, attributes in page.tags:
        if "data-lane" in attributes:
            drawn[str(attributes["data-label"]), str(attributes["data-lane"])] += int(str(attributes["data-records"]))
    expected: dict[tuple[str, str], set[str]] = {}
    wanted = audit.AuditFilter(since=period.since, until=period.until)
    for row in audit.egress(quarter, wanted).to_pylist():
        expected.setdefault((str(row["day"]), "cloud"), set()).add(row["record_id"])
    assert {key: count for key, count in drawn.items() if key[1] == "cloud"} == {key: len(ids) for key, ids in expected.items()}
    together = sum(numbers(row[4]) for row in page.table("Records by day"))
    assert together == sum(drawn.values())


def test_costs_and_egress_are_the_ledgers(quarter: Path) -> None:
    page = Page(made(quarter, month_of(date(2026, 10, 1))))
    wanted = audit.AuditFilter(since=date(2026, 10, 1), until=date(2026, 11, 1))
    spent: Counter[str] = Counter()
    for row in audit.costs(quarter, wanted).to_pylist():
        spent[row["endpoint"]] += row["cost_usd"]
    assert {row[0]: float(row[5]) for row in page.table("Costs by endpoint")} == {name: float(cost) for name, cost in spent.items()}
    sent = Counter(row["endpoint"] for row in audit.egress(quarter, wanted).to_pylist())
    assert {row[0]: numbers(row[2]) for row in page.table("Handed to cloud endpoints (")} == sent


def test_what_went_wrong_is_all_there(quarter: Path) -> None:
    page = Page(made(quarter))
    assert page.table("Overridden records")[0][1:6] == ["r-raised", "Ada Example", "patient named in the margin", "CLEAN", "PHI"]
    assert page.table("Ambiguous hand-overs")[0][0:2] == ["i-lost", "openai-batch"]
    assert page.table("Ambiguous hand-overs")[0][3:] == ["1", "timeout", "ambiguous"]
    reasons = {row[0]: row[1:] for row in page.table("Held records by reason")}
    assert reasons["ambiguous_hand_over"] == ["1", "1", "0", "2026-12-01 02:00:00", "0"]
    assert reasons["empty_text"] == ["61", "61", "0", "2026-10-01 23:00:00", "60"]
    engines = {row[0]: row[5] for row in page.table("Models that answered")}
    assert engines == {"vllm": "network namespace without interfaces (isolation_netns)", "extractive": "not stated"}
    looks = {row[3]: row[4] for row in page.table("What a model inside said")}
    assert looks == {"PRIVILEGED": "1", "named none": "1"}
    assert page.texts["Reviews"] >= 1
    assert page.texts["Look-backs"] >= 1
    assert page.table("Policies that decided")[0][:2] == ["ab" * 32, "2026-10-01"]


def test_what_is_held_from_before_the_period_is_counted_apart(quarter: Path) -> None:
    page = Page(made(quarter, month_of(date(2026, 11, 1))))
    reasons = {row[0]: row[1:4] for row in page.table("Held records by reason")}
    assert reasons["empty_text"] == ["30", "30", "31"]
    october = {row[0]: row[1:4] for row in Page(made(quarter, month_of(date(2026, 10, 1)))).table("Held records by reason")}
    assert october["empty_text"] == ["31", "31", "0"]


def test_sections_for_what_did_not_happen_are_left_out(quarter: Path) -> None:
    page = Page(made(quarter, month_of(date(2026, 10, 1))))
    assert not {"Second looks", "Reviews", "Look-backs"} & set(page.texts)


def test_a_month_without_entries_says_so(quarter: Path) -> None:
    page = Page(made(quarter, month_of(date(2020, 2, 1))))
    assert page.texts["no entry in this period"] == 1
    assert page.texts["Nothing was handed over or held in this period."] == 2
    assert page.tables == {}
    assert not page.ribbons()


def test_a_ledger_with_nothing_but_its_schema(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "new")
    page = Page(made(tmp_path / "new"))
    assert page.table("Entries by kind")[0][:2] == ["schema", "1"]


def test_what_the_registry_vouches_for(quarter: Path, tmp_path: Path) -> None:
    registry = tmp_path / "endpoints.yaml"
    registry.write_text(REGISTRY)
    facts = {row[0]: row[1:] for row in Page(made(quarter, registry=registry)).table("What the registry says")}
    assert facts["openai-batch"] == [
        *("openai", "small", "eu", "yes", "yes", "not stated", "12", "not stated", "not stated"),
        *("2026-11-15 (before the last hand-over)", "contracts/2026-7.pdf"),
    ]
    assert facts["emulator"][0] == "not in this registry"
    october = Page(made(quarter, month_of(date(2026, 10, 1)), registry=registry)).table("What the registry says")
    assert next(row for row in october if row[0] == "openai-batch")[10] == "2026-11-15"
    with pytest.raises(PolicyFileError):
        made(quarter, registry=tmp_path / "none.yaml")


def test_the_same_ledger_gives_the_same_page(quarter: Path) -> None:
    first, second = made(quarter), audit_report(quarter, ALL, now=datetime(2027, 1, 1, tzinfo=UTC)).html
    assert first != second
    assert first.replace("2026-12-02 09:30:00 UTC", "T") == second.replace("2027-01-01 00:00:00 UTC", "T")
    assert first.count("2026-12-02 09:30:00") == 1


def test_the_policy_allows_one_style_and_one_script_and_no_request(attacks: Path) -> None:
    page = Page(made(attacks))
    (policy,) = [str(tag[1]["content"]) for tag in page.tags if tag[1].get("http-equiv") == "Content-Security-Policy"]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        assert sum(one == tag for one, _ in page.tags) == 1
        digest = base64.b64encode(hashlib.sha256(page.inside[tag].encode()).digest()).decode()
        assert allowed[directive] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


ELEMENTS = frozenset(
    {
        *(
            "html",
            "head",
            "meta",
            "link",
            "title",
            "style",
            "body",
            "a",
            "header",
            "h1",
            "h2",
            "p",
            "code",
            "time",
            "strong",
            "nav",
            "ul",
            "li",
        ),
        *("main", "section", "div", "dl", "dt", "dd", "bdi", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "figure"),
        *("figcaption", "svg", "desc", "text", "path", "rect", "span", "pre", "footer", "script"),
    }
)


def test_hostile_names_stay_text(attacks: Path) -> None:
    html = made(attacks)
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= ELEMENTS
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in {"src", "style", "srcset"}]
    assert {str(attributes["href"])[:1] for _, attributes in page.tags if attributes.get("href") not in {None, "data:,"}} == {"#"}
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]", html) == []
    texts = {cell for rows in page.tables.values() for row in rows for cell in row}
    assert [name for name in HOSTILE if shown(name) not in texts] == []
    assert "49" not in {cell for cell in texts if "7 * 7" in cell}
    assert len(html) < 400_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain name", "plain name"),
        (None, "not stated"),
        ("", ""),
        ("a\x00b", "a⟨U+0000⟩b"),
        ("\u202egnp", "⟨U+202E⟩gnp"),
        ("\u05e9\u05dc", "\u05e9\u05dc"),
        ("\u0645\u200c\u0647", "\u0645\u200c\u0647"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 300 + "… (+1 characters)"),
    ],
    ids=["plain", "absent", "empty", "control", "override", "Hebrew", "Persian joiner", "longest", "too long"],
)
def test_shown(value: str | None, expected: str) -> None:
    assert shown(value) == expected


def test_thousands_of_classes_and_endpoints_are_folded_and_counted(crowd: Path) -> None:
    page = Page(made(crowd))
    drawn = page.ribbons()
    assert sum(drawn.values()) == 3003
    assert len(drawn) < 60
    assert drawn["PHI", "cloud: endpoint-1"] == 3
    assert not [end for _, end in drawn if "other" in end and not re.fullmatch(r"[\d,]+ other (cloud|local) endpoints", end)]
    assert page.table("Handed to cloud endpoints as anything but CLEAN")[0] == ["PHI", "3"]
    for caption, column in (("Records by class and destination, none folded", 2), ("Handed to cloud endpoints as anything", 1)):
        rows = page.table(caption)
        assert len(rows) == 201
        assert re.fullmatch(r"[\d,]+ others", rows[-1][0])
        assert sum(numbers(row[column]) for row in rows) == (3003 if column == 2 else 2003)
    costs = page.table("Costs by endpoint")
    assert sum(numbers(row[2]) for row in costs) == 3003
    assert len(costs) == 201


def test_every_listed_lane_is_one_that_the_page_can_draw(attacks: Path) -> None:
    drawn = {str(attributes["class"]) for tag, attributes in Page(made(attacks)).tags if tag == "path" and "data-class" in attributes}
    assert drawn == {"ribbon cloud", "ribbon local", "ribbon held"}


def test_a_real_night(finished_night: Any) -> None:
    html = made(finished_night.ledger)
    page = Page(html)
    assert page.ribbons() == of_the_ledger(finished_night.ledger, ALL)
    assert "quetzalcoatl-7719" not in html
    assert "public/museum.md" not in html


def test_a_sum_that_leaves_something_out_says_so_where_it_stands(tmp_path: Path) -> None:
    answered = moved(
        Event.COMPLETED, datetime(2026, 11, 2, tzinfo=UTC), "n-2026-11-02", "r1", lane="cloud", endpoint="cloud", intent_id="i1"
    )
    ledger = Ledger.open(tmp_path / "ledger")
    ledger.commit([answered])
    assert "Cost, US dollars; outcomes without a price, left out: 1" in made(ledger.path)
