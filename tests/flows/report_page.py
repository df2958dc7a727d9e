"""An audit report as a parser reads it: its elements, texts, tables and drawings."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from flows.audit_report.period import Period, days_between
from flows.audit_report.writing import audit_report
from sinks.ledger import audit

NOW = datetime(2026, 12, 2, 9, 30, tzinfo=UTC)
ALL = days_between(None, None)


class Page(HTMLParser):
    """What a parser makes of a page: its elements, their texts, and its tables by caption."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: Counter[str] = Counter()
        self.inside: dict[str, str] = {}
        self.described: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self._open.append(tag)
        if tag == "table":
            self._caption, self._rows = "", []
        if tag == "tr":
            self._rows.append([])
        if tag in {"td", "th"}:
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "table":
            self.tables[self._caption] = self._rows[1:]

    def handle_data(self, data: str) -> None:
        self.texts[data.strip()] += 1
        if self._open and self._open[-1] == "desc":
            name = next(str(attributes["id"]) for tag, attributes in reversed(self.tags) if tag == "desc")
            self.described[name] = self.described.get(name, "") + data
        if self._open and self._open[-1] in {"script", "style"}:
            self.inside[self._open[-1]] = self.inside.get(self._open[-1], "") + data
        if "caption" in self._open:
            self._caption += data
        elif "td" in self._open or "th" in self._open:
            self._rows[-1][-1] += data

    def table(self, begin: str) -> list[list[str]]:
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(begin)]
        return found

    def ribbons(self) -> Counter[tuple[str, str]]:
        drawn: Counter[tuple[str, str]] = Counter()
        for _, attributes in self.tags:
            if "data-class" in attributes:
                drawn[str(attributes["data-class"]), str(attributes["data-destination"])] += int(str(attributes["data-records"]))
        return drawn


@cache
def made(ledger: Path, period: Period = ALL, **options: Any) -> str:
    return audit_report(ledger, period, now=NOW, **options).html


def numbers(text: str) -> int:
    return int(text.replace(",", ""))


def of_the_ledger(ledger: Path, period: Period) -> Counter[tuple[str, str]]:
    """What `waybill audit summary` says, added up over the days and labelled as the page does."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in audit.summary(ledger, audit.AuditFilter(since=period.since, until=period.until)).to_pylist():
        name = "never judged" if row["data_class"] == "(none)" else row["data_class"]
        destination = "held" if row["lane"] == "held" else f"{row['lane']}: {row['endpoint']}"
        sums[name + (" (partial scan)" if row["partial"] else ""), destination] += row["records"]
    return sums
