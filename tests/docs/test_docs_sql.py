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


PAGES = ("auditors.md", "cloud/costs.md", "ledger-format.md", "looking-back.md", "second-look.md", "retention-and-overrides.md")
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


COLUMNS = {
    "1.0": "data_class partial endpoint records bytes first_day last_day",
    "1.1": "day data_class partial lane endpoint records bytes",
    "2.0": "day record_id data_classes endpoint region hand_over as_known_now",
    "2.1": "day record_id data_classes partial endpoint rule hand_over",
    "3.0": "seq record_id endpoint",
    "4.0": "seq at event lane endpoint data_classes rule reason error_code actor",
    "4.1": "seq at event lane endpoint reason",
    "5.0": "at actor record_id data_class before after reason expiry approval",
    "5.1": "at actor event run_id record_id reason before after",
    "6.0": "reason times still_held oldest newest",
    "7.0": "policy_hash detectors_hash rule lanes decisions first_day last_day policy_text",
    "7.1": "record_id data_classes partial entity times best_score detector",
    "8.0": "intent_id run_id endpoint at state records provider_job_id",
    "9.0": "endpoint state hand_overs deleted not_deleted last_deletion",
    "9.1": "day erasure reason actor times",
    "10.0": "day run_id lane endpoint model records tokens_in tokens_out cost_usd reserved_usd unpriced",
    "11.0": "day data_classes rule records left",
    "12.0": "at event record_id data_classes before after reason model actor had_left",
    "13.0": "record_id old_policy new_policy old_classes new_classes old_lanes new_lanes old_rule new_rule same_text",
    "14.0": "record_id decisions classes lanes policies detectors first_day last_day",
    "15.0": "run_id job started_at ended_at ended_as starts",
    "15.1": "run_id results held failed pending documents",
    "16.0": "at run_id record_id endpoint intent_id detail_code",
    "17.0": "lane endpoint model revision weights_digest lora_digest results first_day last_day",
    "17.1": "run_id record_id outcome result_file result_row model revision",
    "18.0": "endpoint isolation hand_overs first_day last_day",
    "19.0": "run_id record_id endpoints reasons scores",
    "20.0": "segment tree_size root at checkpoint",
    "20.1": "entries complete",
}
"""What each block of each question answers with: auditors build on these names."""


def cookbook() -> dict[str, str]:
    """The queries of the numbered questions, as `question.block`."""
    found: dict[str, str] = {}
    for heading, query in blocks("auditors.md"):
        number = heading.partition(".")[0]
        found[f"{number}.{sum(name.startswith(number + '.') for name in found)}"] = query
    return found


COOKBOOK = cookbook()


def test_there_are_twenty_questions_and_each_is_tested() -> None:
    assert sorted({int(name.partition(".")[0]) for name in COOKBOOK}) == list(range(1, 21))
    assert COOKBOOK.keys() == COLUMNS.keys()


def rows_of(auditor: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = auditor.sql(COOKBOOK[name]).to_arrow_table().to_pylist()
    return rows


@pytest.mark.parametrize("query", [pytest.param(query, id=f"{heading}") for heading, query in blocks("ledger-format.md")])
def test_it_runs(auditor: duckdb.DuckDBPyConnection, query: str) -> None:
    assert auditor.sql(query).columns


@pytest.mark.parametrize("name", COLUMNS)
def test_it_answers_with_the_columns_that_are_promised(auditor: duckdb.DuckDBPyConnection, name: str) -> None:
    assert auditor.sql(COOKBOOK[name]).columns == COLUMNS[name].split()


def test_the_classes_went_where_they_may(auditor: duckdb.DuckDBPyConnection) -> None:
    assert {(row["data_class"], row["lane"]): row["records"] for row in rows_of(auditor, "1.1")} == {
        ("(none)", "held"): 1,
        ("CLEAN", "cloud"): 2,
        ("PHI", "local"): 1,
    }
    quarter = auditor.sql(re.sub(r"DATE '[0-9-]+'", "DATE '2000-01-01'", COOKBOOK["1.0"], count=1).replace("2027", "9999"))
    assert [(row[0], row[2], row[3]) for row in quarter.fetchall()] == [("CLEAN", "emulator", 2)]


@pytest.mark.parametrize("name", ["2.0", "2.1", "3.0", "5.0", "5.1", "8.0", "11.0", "13.0", "14.0", "15.0", "16.0", "19.0"])
def test_of_a_quiet_night_it_has_nothing_to_say(auditor: duckdb.DuckDBPyConnection, name: str) -> None:
    assert rows_of(auditor, name) == []


def test_the_policy_is_there_in_full(auditor: duckdb.DuckDBPyConnection) -> None:
    rows = rows_of(auditor, "7.0")
    assert sum(row["decisions"] for row in rows) == len(INBOX)
    assert all("default: held" in row["policy_text"] for row in rows)


def test_the_evidence_names_what_was_found(auditor: duckdb.DuckDBPyConnection) -> None:
    assert "MEDICAL_RECORD_NUMBER" in {row["entity"] for row in rows_of(auditor, "7.1")}


def test_what_waits_is_told_with_its_reason(auditor: duckdb.DuckDBPyConnection) -> None:
    assert [(row["reason"], row["times"], row["still_held"]) for row in rows_of(auditor, "6.0")] == [("empty_text", 1, 1)]


def test_the_ends_add_up_to_what_the_run_said(auditor: duckdb.DuckDBPyConnection, night: tuple[Path, dict[str, Any]]) -> None:
    names = ("run_id", "results", "held", "failed", "pending", "documents")
    (row,) = rows_of(auditor, "15.1")
    assert row == {name: night[1][name] for name in names}
    assert len(rows_of(auditor, "17.1")) == sum(row["results"] for row in rows_of(auditor, "17.0")) == row["results"]


def test_a_document_is_found_by_its_name(auditor: duckdb.DuckDBPyConnection) -> None:
    events = [row["event"] for row in rows_of(auditor, "4.1")]
    assert (events[0], events[-1]) == ("decided", "completed")


def test_what_is_left_at_the_provider_is_deleted(auditor: duckdb.DuckDBPyConnection) -> None:
    assert [(row["endpoint"], row["not_deleted"]) for row in rows_of(auditor, "9.0")] == [("emulator", 0), ("extractive", 0)]


def test_the_engine_without_a_model_states_no_isolation(auditor: duckdb.DuckDBPyConnection) -> None:
    assert [(row["endpoint"], row["isolation"]) for row in rows_of(auditor, "18.0")] == [("extractive", "not stated")]


def test_the_checkpoint_of_a_day_is_the_newest_one_before_it(
    auditor: duckdb.DuckDBPyConnection, night: tuple[Path, dict[str, Any]]
) -> None:
    late = COOKBOOK["20.0"].replace("2026-12-31", "9999-12-31")
    ((newest,),) = auditor.sql(f"SELECT checkpoint FROM ({late.rstrip().rstrip(';')})").fetchall()  # noqa: S608 - our own page
    assert newest == (night[0] / "checkpoint").read_text(encoding="utf-8")
    assert [row["complete"] for row in rows_of(auditor, "20.1")] == [True]


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        pytest.param("data_classes := ['PHI']", "2.1", id="restricted"),
        pytest.param("partial := true", "2.1", id="partial"),
        pytest.param("lanes := ['local']", "3.0", id="lane not permitted"),
        pytest.param("cleared_payload_hmac := 'other'", "3.0", id="another payload"),
        pytest.param("clearance_seq := NULL::BIGINT", "3.0", id="no clearance"),
        pytest.param("cleared_endpoint := 'elsewhere'", "3.0", id="another endpoint"),
        pytest.param("decision_seq := seq + 1", "3.0", id="decided afterwards"),
    ],
)
def test_a_violation_is_found(auditor: duckdb.DuckDBPyConnection, damage: str, name: str) -> None:
    column, _, value = damage.partition(" := ")
    broken = f"WITH egress AS (SELECT * REPLACE ({value} AS {column}) FROM main.egress) {COOKBOOK[name]}"  # noqa: S608 - from the list above
    assert len(auditor.sql(broken).fetchall()) == 2


REGIONS = "VALUES ('extractive', 'inside'), ('emulator', 'inside')"


@pytest.mark.parametrize(
    ("regions", "left"),
    [
        pytest.param("VALUES ('extractive', 'us-east-1'), ('emulator', 'inside')", 1, id="hosted there"),
        pytest.param("VALUES ('emulator', 'inside')", 1, id="not stated"),
        pytest.param("VALUES ('extractive', 'inside'), ('emulator', 'us-east-1')", 0, id="only clean ones were sent there"),
    ],
)
def test_phi_in_the_united_states_is_found(auditor: duckdb.DuckDBPyConnection, regions: str, left: int) -> None:
    assert REGIONS in COOKBOOK["2.0"]
    rows = auditor.sql(COOKBOOK["2.0"].replace(REGIONS, regions)).to_arrow_table().to_pylist()
    assert [row["as_known_now"] for row in rows] == [False] * left
