"""The report in a real browser: silent, self-contained, usable by mouse and keyboard, on paper, in the dark, on a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from flows.audit_report.period import days_between, month_of
from flows.audit_report.writing import audit_report
from sinks.ledger import audit
from tests.flows.report_ledgers import HOSTILE, crowded, hostile, ordinary

CHROMIUM = shutil.which("chromium")
CHECKS = Path(__file__).with_name("page_checks.js").read_text()
NOW = datetime(2026, 12, 2, 9, 30, tzinfo=UTC)
SKIPPED = "no chromium in PATH: the browser tests of `waybill audit report` did not run (Debian: apt-get install chromium)"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=SKIPPED)

KINDS = ("ordinary", "october", "empty", "hostile", "crowded")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    two_months = ordinary(folder / "ordinary")
    everything = days_between(None, None)
    wanted = {
        "ordinary": (two_months, everything),
        "october": (two_months, month_of(date(2026, 10, 1))),
        "empty": (two_months, month_of(date(2020, 2, 1))),
        "hostile": (hostile(folder / "hostile"), everything),
        "crowded": (crowded(folder / "crowded", 600), everything),
    }
    for name, (ledger, period) in wanted.items():
        (folder / f"{name}.html").write_text(audit_report(ledger, period, now=NOW).html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in wanted}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without its sandbox Chromium also starts for root, as in a container; the pages are our own.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser: Browser, reports: dict[str, Path]) -> Iterator[Callable[..., Page]]:
    """Open a report; whatever the page says or asks for on the way is an error at the end."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def open_page(kind: str = "ordinary", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else said.append(f"request: {request.url}"))
        page.goto(reports[kind].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def column(page: Page, caption: str, number: int) -> list[str]:
    cells: list[str] = page.evaluate(
        """([caption, number]) => {
            const table = [...document.querySelectorAll("table")].find((one) => one.caption.textContent.startsWith(caption));
            return [...table.tBodies[0].rows].map((row) => row.cells[number].textContent);
        }""",
        [caption, number],
    )
    return cells


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", ["light", "dark", "print", "narrow"])
def test_every_page_passes_the_checks_in_every_look(kind: str, look: str, opened: Callable[..., Page]) -> None:
    if look == "print":
        page = opened(kind, color_scheme="dark")
        page.emulate_media(media="print")
    elif look == "narrow":
        page = opened(kind, viewport={"width": 360, "height": 700})
    else:
        page = opened(kind, color_scheme=look)
    assert page.evaluate(CHECKS) == []
    if look != "print":
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


BREAKS = {
    "language": "document.documentElement.removeAttribute('lang')",
    "heading order": "document.querySelector('h1').remove()",
    "level": "document.querySelector('h2').outerHTML = '<h4>x</h4>'",
    "link": "document.querySelector('nav a').href = '#nowhere'",
    "label": "document.querySelector('.scroll').setAttribute('aria-labelledby', 'nowhere')",
    "caption": "document.querySelector('table').caption.remove()",
    "scope": "document.querySelector('thead th').removeAttribute('scope')",
    "row heading": "document.querySelector('tbody th').removeAttribute('scope')",
    "keyboard": "document.querySelector('#held .scroll:last-child').removeAttribute('tabindex')",
    "alternative": "document.querySelector('svg[role=img] > desc').remove()",
    "contrast": "document.styleSheets[0].insertRule('.note { color: #8a8a8a }', document.styleSheets[0].cssRules.length)",
    "overlap": "document.querySelectorAll('svg[role=img] text')[3].setAttribute('y', '20')",
    "cut off": "document.querySelectorAll('svg[role=img] text')[3].setAttribute('x', '-40')",
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_the_checks_see_what_is_wrong(broken: str, opened: Callable[..., Page]) -> None:
    page = opened("october")
    page.evaluate(broken)
    assert page.evaluate(CHECKS) != []


def test_without_script_there_are_no_buttons_and_nothing_is_missing(opened: Callable[..., Page]) -> None:
    page = opened("october", java_script_enabled=False)
    assert page.locator("button").count() == 0
    table = page.locator("table", has_text="Records by day")
    assert table.locator("thead th").all_inner_texts() == ["Day", "Cloud", "Local", "Held", "Together"]
    assert table.locator("tbody tr").count() == 31


def test_the_drawing_says_what_the_ledger_says(opened: Callable[..., Page], reports: dict[str, Path]) -> None:
    page = opened("october")
    drawn = page.eval_on_selector_all(
        "path[data-class]", "all => all.map((one) => [one.dataset.class, one.dataset.destination, +one.dataset.records])"
    )
    wanted = audit.AuditFilter(since=date(2026, 10, 1), until=date(2026, 11, 1))
    sums: dict[tuple[str, str], int] = {}
    for row in audit.summary(reports["october"].with_name("ordinary"), wanted).to_pylist():
        name = ("never judged" if row["data_class"] == "(none)" else row["data_class"]) + (" (partial scan)" if row["partial"] else "")
        key = name, "held" if row["lane"] == "held" else f"{row['lane']}: {row['endpoint']}"
        sums[key] = sums.get(key, 0) + row["records"]
    assert {(one, other): records for one, other, records in drawn} == sums
    assert page.locator("path[data-class]").count() == len(sums)


def test_tables_are_sorted_by_click_and_by_keyboard(opened: Callable[..., Page]) -> None:
    page = opened()
    caption = "Records by day"
    before = column(page, caption, 0)
    head = page.locator("table", has_text=caption).locator("thead th").nth(4)
    head.get_by_role("button").click()
    totals = [int(cell) for cell in column(page, caption, 4)]
    assert totals == sorted(totals, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert "sorted by Together, descending" in page.get_by_role("status").inner_text()
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert [int(cell) for cell in column(page, caption, 4)] == sorted(totals)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    first = page.locator("table", has_text=caption).locator("thead th").first
    first.get_by_role("button").click()
    assert column(page, caption, 0) == sorted(before) == before
    assert page.locator("th[aria-sort]").count() == 1


def test_money_is_sorted_as_numbers_and_the_rest_stays_last(opened: Callable[..., Page]) -> None:
    page = opened("crowded")
    table = page.locator("table", has_text="Costs by endpoint")
    last = table.locator("tfoot tr").inner_text()
    table.locator("thead th").nth(5).get_by_role("button").click()
    spent = [float(cell) for cell in column(page, "Costs by endpoint", 5)]
    assert spent == sorted(spent, reverse=True)
    assert table.locator("tr").last.inner_text() == last
    assert "others" in last


def test_the_keyboard_reaches_the_skip_link_first_and_sees_where_it_is(opened: Callable[..., Page]) -> None:
    page = opened()
    page.keyboard.press("Tab")
    at = page.evaluate("({text: document.activeElement.textContent, left: document.activeElement.getBoundingClientRect().left})")
    assert at["text"] == "Skip to the report"
    assert at["left"] >= 0
    for _ in range(30):
        style = page.evaluate(
            "(({outlineStyle, outlineWidth}) => [outlineStyle, parseFloat(outlineWidth)])(getComputedStyle(document.activeElement))"
        )
        assert style[0] == "solid"
        assert style[1] >= 2
        page.keyboard.press("Tab")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_paper_is_light_has_no_buttons_and_becomes_a_document(opened: Callable[..., Page]) -> None:
    page = opened(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.emulate_media(media="print")
    assert dark != page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    boxes = page.eval_on_selector_all("th button", "all => all.map((one) => getComputedStyle(one).display)")
    assert set(boxes) == {"contents"}
    arrows = page.eval_on_selector_all("th button", "all => all.map((one) => getComputedStyle(one, '::after').content)")
    assert set(arrows) == {"none"}
    assert page.evaluate("getComputedStyle(document.getElementById('flow')).breakBefore") == "page"
    assert page.pdf(format="A4").startswith(b"%PDF-")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion_is_for_those_who_like_it(motion: str, opened: Callable[..., Page]) -> None:
    page = opened("october", reduced_motion=motion)
    moving = page.evaluate("getComputedStyle(document.querySelector('path.ribbon')).transitionDuration") != "0s"
    assert moving == (motion == "no-preference")


def test_hostile_names_are_shown_and_do_nothing(opened: Callable[..., Page]) -> None:
    page = opened("hostile")
    texts = set(column(page, "Handed to cloud endpoints (", 0))
    assert len(texts) == len(HOSTILE)
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[5], HOSTILE[7], HOSTILE[8]} <= texts
    assert page.locator("img, iframe, object, b").count() == 0
    assert page.locator("script").count() == 1


def test_nothing_but_the_reports_own_script_may_run(opened: Callable[..., Page], browser: Browser, reports: dict[str, Path]) -> None:
    attacked = reports["october"].with_name("attacked.html")
    attack = (
        "<script>document.title = 'taken over'</script><img src='https://evil.test/x'><p id=dyed style='color: rgb(1, 2, 3)'>x</p></main>"
    )
    attacked.write_text(reports["october"].read_text(encoding="utf-8").replace("</main>", attack), encoding="utf-8")
    page = browser.new_page()
    requested: list[str] = []
    refused: list[str] = []
    page.on("requestfinished", lambda request: requested.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(attacked.as_uri())
    assert page.title().startswith("Waybill audit report")
    assert page.evaluate("getComputedStyle(document.getElementById('dyed')).color") != "rgb(1, 2, 3)"
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert sum("Content Security Policy" in text for text in refused) == 3
    page.close()
