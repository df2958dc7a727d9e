"""Every SQL block of the documentation answers on the ledger of a real night, and the questions with a known answer get it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^## (?P<heading>[^\n]*)$|^```sql\n(?P<sql>.*?)^```", re.MULTILINE | re.DOTALL)

INBOX = {
    "clinic/discharge-summary.pdf.txt": "Discharge summary\nPatient: Goran Castellan\nMedical record number: MRN 40718823\n"
    "The patient was admitted with chest pain. Diagnosis: unstable angina. Treated with aspirin and metoprolol.\n",
    "public/harbour.txt": "The harbour council will repave the promenade between the fish market and the lighthouse this spring.\n",
    "public/museum.txt": "The museum opened a hall on the history of navigation. Admission is free on the first Sunday of the month.\n",
    "empty.txt": "",
}


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """(heading, query) of each block, in order."""
    heading = ""
    for match in BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        if match["heading"] is not None:
            heading = match["heading"]
        else:
            yield heading, match["sql"]


PAGES = ("auditors.md", "ledger-format.md", "second-look.md")
QUERIES = [
    pytest.param(query, id=f"{page} {number} {heading}") for page in PAGES for number, (heading, query) in enumerate(blocks(page), start=1)
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The ledger of a small night, and what the night said of itself."""
    folder = tmp_path_factory.mktemp("docs")
    for name, text in INBOX.items():
        path = folder / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    job = folder / "small.yaml"
    job.write_text("name: small\nsource: {path: inbox}\ntask: {kind: summarize}\noutput: out/results\nledger: out/ledger\n")
    command = [str(Path(sys.executable).with_name("waybill")), "run", str(job), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return folder / "out" / "ledger", json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def auditor(night: tuple[Path, dict[str, Any]]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(night[0] / "ledger.duckdb", read_only=True) as connection:
        yield connection


def answer(auditor: duckdb.DuckDBPyConnection, number: int, *, block: int = 0) -> list[dict[str, Any]]:
    """The rows of a numbered question."""
    found = [query for heading, query in blocks("auditors.md") if heading.startswith(f"{number}. ")]
    rows: list[dict[str, Any]] = auditor.sql(found[block]).to_arrow_table().to_pylist()
    return rows


def test_there_are_ten_questions() -> None:
    numbers = {heading.partition(". ")[0] for heading, _ in blocks("auditors.md") if heading[0].isdigit()}
    assert numbers == {str(number) for number in range(1, 11)}


@pytest.mark.parametrize("query", QUERIES)
def test_it_runs(auditor: duckdb.DuckDBPyConnection, query: str) -> None:
    assert auditor.sql(query).columns


def test_the_classes_went_where_they_may(auditor: duckdb.DuckDBPyConnection) -> None:
    assert {(row["data_class"], row["lane"]): row["records"] for row in answer(auditor, 1)} == {
        ("(none)", "held"): 1,
        ("CLEAN", "cloud"): 2,
        ("PHI", "local"): 1,
    }


@pytest.mark.parametrize("number", [2, 3, 8])
def test_what_is_expected_to_be_empty_is(auditor: duckdb.DuckDBPyConnection, number: int) -> None:
    assert answer(auditor, number) == []


def test_the_policy_is_there_in_full(auditor: duckdb.DuckDBPyConnection) -> None:
    rows = answer(auditor, 5)
    assert sum(row["decisions"] for row in rows) == len(INBOX)
    assert all("default: held" in row["policy_text"] for row in rows)


def test_the_evidence_names_what_was_found(auditor: duckdb.DuckDBPyConnection) -> None:
    assert "MEDICAL_RECORD_NUMBER" in {row["found.entity" if "found.entity" in row else "entity"] for row in answer(auditor, 6)}


def test_what_waits_is_told_with_its_reason(auditor: duckdb.DuckDBPyConnection) -> None:
    assert [(row["reason"], row["records"]) for row in answer(auditor, 7)] == [("empty_text", 1)]


def test_the_ends_add_up_to_what_the_run_said(auditor: duckdb.DuckDBPyConnection, night: tuple[Path, dict[str, Any]]) -> None:
    names = ("run_id", "results", "held", "failed", "pending", "documents")
    (row,) = answer(auditor, 9)
    assert row == {name: night[1][name] for name in names}
    assert len(answer(auditor, 9, block=1)) == row["results"]


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        pytest.param("data_classes := ['PHI']", 2, id="restricted"),
        pytest.param("lanes := ['local']", 3, id="lane not permitted"),
        pytest.param("cleared_payload_hmac := 'other'", 3, id="another payload"),
        pytest.param("clearance_seq := NULL::BIGINT", 3, id="no clearance"),
        pytest.param("cleared_endpoint := 'elsewhere'", 3, id="another endpoint"),
        pytest.param("decision_seq := seq + 1", 3, id="decided afterwards"),
    ],
)
def test_a_violation_is_found(auditor: duckdb.DuckDBPyConnection, damage: str, number: int) -> None:
    column, _, value = damage.partition(" := ")
    (query,) = [query for heading, query in blocks("auditors.md") if heading.startswith(f"{number}. ")]
    broken = f"WITH egress AS (SELECT * REPLACE ({value} AS {column}) FROM main.egress) {query}"  # noqa: S608 - from the list above
    assert len(auditor.sql(broken).fetchall()) == 2
