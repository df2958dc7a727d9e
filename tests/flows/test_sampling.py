"""`waybill audit sample` and `waybill audit review`: the same sample again, every line checked, nothing entered twice, an honest bound."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.confidence_bounds import upper_bound
from flows.errors import ReviewError
from flows.sampling import SampleSpec, draw, new_spec
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import SourceName, remember

POLICY = """version: 1
classes:
  PHI: {basis: house rule, any_entity: [MEDICAL_RECORD_NUMBER]}
  PII: {basis: house rule, any_entity: [EMAIL_ADDRESS]}
  BOARD: {basis: house rule, marker: board_material}
routes:
  - {when: [PHI, BOARD, UNSCANNABLE], lanes: [local]}
  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""
DAYS = [datetime(2026, 10, day, 2, tzinfo=UTC) for day in (1, 2, 3, 4)]
RECORDS = 80


def record(number: int) -> str:
    return f"r{number:024x}"


def sent(number: int, *, text: str | None = None, run: str | None = None, state: Event = Event.SUBMITTED) -> list[Entry]:
    """Every fourth record is PII, the others are CLEAN; one in ten goes to a second endpoint."""
    at = DAYS[number % 4]
    pii = number % 4 == 0
    about: dict[str, Any] = {"at": at, "run_id": run or f"job-{at:%Y-%m-%d}", "record_id": record(number)}
    named: dict[str, Any] = {"lane": "cloud", "endpoint": "one" if number % 10 else "other"}
    intent = f"intent-{run}-{number}"
    return [
        Entry(
            event=Event.DECIDED,
            data_classes=("PII",) if pii else ("CLEAN",),
            rule="routes[1]" if pii else "routes[2]",
            lanes=("cloud", "local"),
            cloud_requires=("dpa=true",) if pii else (),
            policy_hash="f" * 64,
            document_hmac=text or f"{number:032x}",
            partial=False,
            **about,
        ),
        Entry(event=Event.SUBMITTING, intent_id=intent, clearance_id=f"c-{intent}", attempt=1, **about, **named),
        Entry(event=state, at=at, run_id=about["run_id"], intent_id=intent, endpoint=named["endpoint"]),
    ]


def kept(number: int) -> list[Entry]:
    """A record that stayed inside."""
    about: dict[str, Any] = {"at": DAYS[0], "run_id": "job-2026-10-01", "record_id": record(number)}
    decided = Entry(event=Event.DECIDED, data_classes=("PHI",), lanes=("local",), document_hmac=f"{number:032x}", **about)
    return [decided, Entry(event=Event.SUBMITTING, intent_id=f"in-{number}", lane="local", endpoint="inside", attempt=1, **about)]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """80 texts of 80 records were sent, one of them twice and one ambiguously; five stayed inside."""
    opened = Ledger.open(tmp_path / "ledger")
    registered = Entry(event=Event.POLICY_REGISTERED, at=DAYS[0], policy_hash="f" * 64, policy_text=POLICY)
    entries = [entry for number in range(RECORDS - 1) for entry in sent(number)]
    entries += sent(7, run="again")
    entries += sent(RECORDS - 1, state=Event.AMBIGUOUS)
    entries += [entry for number in range(100, 105) for entry in kept(number)]
    opened.commit([registered, *entries])
    remember(
        opened.path,
        [
            SourceName(record_id=record(number), source="=cmd|calc!A1" if number == 7 else f"notes/{number}.txt")
            for number in range(RECORDS)
        ],
    )
    return opened


def filled(
    cli: Callable[..., Any], ledger: Ledger, path: Path, verdicts: Callable[[dict[str, str]], str], *options: str
) -> list[dict[str, str]]:
    """A drawn sample with its verdicts, as a spreadsheet would save it."""
    drawn = cli("audit", "sample", "--ledger", ledger.path, "--output", path, *options)
    assert drawn.out == ""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    save(path, [row | {"verdict": verdicts(row)} for row in rows])
    return rows


def save(path: Path, rows: Sequence[dict[str, str]], delimiter: str = ",") -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(b"\xef\xbb\xbf" + text.getvalue().encode() + b"\r\n")


def reviewed(ledger: Ledger) -> list[dict[str, Any]]:
    with reading(ledger.path) as reader:
        return list(reader.table("FROM entries WHERE event = 'reviewed' ORDER BY seq").to_pylist())


def test_the_same_seed_and_range_give_the_same_sample_whatever_is_sent_later(ledger: Ledger) -> None:
    spec = new_spec(ledger.path, seed="autumn", size=20, since=None, until=None, data_class=None)
    first = draw(ledger.path, spec)
    ledger.commit([entry for number in range(200, 260) for entry in sent(number)])
    assert draw(ledger.path, spec) == first
    assert draw(ledger.path, SampleSpec.parse(spec.text)) == first
    assert (first.population, len(first.items), first.by_class) == (80, 20, {"CLEAN": 60, "PII": 20})
    other = draw(ledger.path, SampleSpec.parse(spec.text.replace("autumn", "winter")))
    assert {one.item for one in other.items}.isdisjoint(one.item for one in first.items)
    assert {one.record_id for one in other.items} != {one.record_id for one in first.items}


def test_every_text_has_its_chance(ledger: Ledger) -> None:
    drawn = [draw(ledger.path, SampleSpec(seed=f"s{number}", size=8, as_of=10**6)) for number in range(60)]
    assert {one.record_id for sample in drawn for one in sample.items} == {record(number) for number in range(RECORDS)}


def test_a_text_counts_once_and_another_text_of_a_record_counts_too(ledger: Ledger) -> None:
    ledger.commit(sent(7, text="e" * 32, run="later"))
    sample = draw(ledger.path, SampleSpec(seed="all", size=1000, as_of=10**6))
    assert sample.population == len(sample.items) == 81
    assert sorted(one.document_hmac for one in sample.items if one.record_id == record(7)) == [f"{7:032x}", "e" * 32]


@pytest.mark.parametrize(
    ("options", "population"),
    [
        (("--since", "2026-10-02", "--until", "2026-10-04"), 40),
        (("--class", "PII"), 20),
        (("--n", "1"), 80),
    ],
    ids=["days", "class", "one"],
)
def test_ranges(options: tuple[str, ...], population: int, ledger: Ledger, cli: Callable[..., Any]) -> None:
    said = cli("audit", "sample", "--ledger", ledger.path, "--seed", "x", *options)
    assert f"of {population} texts that were sent, drawn at random; seed x" in said.err
    assert cli("audit", "sample", "--ledger", ledger.path, "--seed", "x", *options).out == said.out


def test_no_cell_is_a_formula_and_names_only_where_asked_for(ledger: Ledger, cli: Callable[..., Any]) -> None:
    plain = cli("audit", "sample", "--ledger", ledger.path, "--n", "80").out
    assert "notes/" not in plain
    named = list(csv.DictReader(io.StringIO(cli("audit", "sample", "--ledger", ledger.path, "--n", "80", "--names").out)))
    assert {row["source"] for row in named} >= {"'=cmd|calc!A1", "notes/1.txt"}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in named for cell in row.values())
    assert all(row["verdict"] == row["reviewer"] == "" for row in named)


def test_a_file_with_verdicts_is_never_written_over(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("verdicts")
    assert "is there already" in cli("audit", "sample", "--ledger", ledger.path, "--output", path, code=2).err
    assert path.read_text() == "verdicts"


def test_nothing_to_draw_from(ledger: Ledger, cli: Callable[..., Any]) -> None:
    assert "nothing to draw from" in cli("audit", "sample", "--ledger", ledger.path, "--until", "2001-01-01", code=1).err


def test_verdicts_are_entered_once_and_give_the_bound(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    rows = filled(cli, ledger, path, lambda row: row["data_classes"], "--n", "40", "--seed", "one")
    said = cli("audit", "review", path, "--reviewer", "Ana Birk", "--ledger", ledger.path)
    bound = upper_bound(0, 40)
    assert f"at most {bound:.2%} of these 80 texts, {int(bound * 80)} of them" in said.out
    assert "40 of 80 texts sent" in said.out
    assert "read by Ana Birk" in said.out
    stated = reviewed(ledger)
    assert len(stated) == 40
    assert {(row["actor"], row["reason"], row["before"] == row["after"]) for row in stated} == {("Ana Birk", "confirmed", True)}
    assert {row["record_id"] for row in stated} == {row["record_id"] for row in rows}
    again = cli("audit", "review", path, "--reviewer", "Ana Birk", "--ledger", ledger.path)
    assert again.out == said.out.replace("40 verdicts entered", "0 verdicts entered")
    assert reviewed(ledger) == stated


def test_what_counts_as_a_leak(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    """PII without its requirement and PHI are leaks; in doubt counts as one; a class that was permitted all the same is none."""
    path = tmp_path / "sample.csv"
    clean = iter(["phi", "PII", "unsure", "Clean"])
    filled(cli, ledger, path, lambda row: next(clean, "CLEAN") if row["data_classes"] == "CLEAN" else "CLEAN", "--n", "40", "--seed", "one")
    said = cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path, "--format", "csv")
    rates = {row["data_class"]: row for row in csv.DictReader(io.StringIO(said.out))}
    whole, of_clean, of_pii = rates["(all)"], rates["CLEAN"], rates["PII"]
    assert (whole["sent"], whole["reviewed"], whole["leaks"], whole["unsure"]) == ("80", "40", "2", "1")
    assert float(whole["rate_at_most"]) == pytest.approx(upper_bound(3, 40))
    assert (of_clean["leaks"], of_clean["unsure"], of_clean["sent"]) == ("2", "1", "60")
    assert (of_pii["leaks"], of_pii["sent"]) == ("0", "20")
    assert float(of_pii["rate_at_most"]) == pytest.approx(upper_bound(0, int(of_pii["reviewed"])))
    assert {row["reason"] for row in reviewed(ledger)} == {"leak", "unsure", "confirmed"}


def test_a_class_that_was_permitted_all_the_same_is_no_leak(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    ledger.commit([Entry(event=Event.POLICY_REGISTERED, at=DAYS[0], policy_hash="f" * 64, policy_text=POLICY.replace("{dpa: true}", "{}"))])
    path = tmp_path / "sample.csv"
    filled(cli, ledger, path, lambda _: "PII", "--n", "80")
    # The text that was registered first is the one that decided: it asks for a data processing agreement, which nobody checked for CLEAN.
    said = cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path)
    assert "60 should not have left" in said.out
    assert "waybill override raise" in said.out
    assert "all were read, so it is 60 of 80, and no estimate" in said.out


def test_the_more_severe_reviewer_counts_and_a_later_word_replaces(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    rows = filled(cli, ledger, path, lambda _: "CLEAN", "--n", "10", "--seed", "one")
    cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path)
    save(path, [row | {"verdict": "PHI" if place == 0 else "CLEAN"} for place, row in enumerate(rows)])
    assert "1 should not have left" in cli("audit", "review", path, "--reviewer", "Ben", "--ledger", ledger.path).out
    cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path)
    save(path, [row | {"verdict": "CLEAN"} for row in rows])
    assert "1 should not have left" in cli("audit", "review", path, "--reviewer", "Ben", "--ledger", ledger.path).out
    said = cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path)
    assert "0 should not have left" in said.out
    assert "waybill override raise" not in said.out
    assert "1 verdicts entered" in said.out
    assert "read by Ana, Ben" in said.out


def test_spreadsheets_and_parquet(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    rows = filled(cli, ledger, path, lambda _: "CLEAN", "--n", "10", "--seed", "one")
    save(path, [row | {"verdict": " clean ", "reviewer": "Cy"} for row in rows], delimiter=";")
    assert "read by Cy" in cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path).out
    same = tmp_path / "sample.parquet"
    cli("audit", "sample", "--ledger", ledger.path, "--n", "10", "--seed", "two", "--output", same)
    table = pq.read_table(same)
    place = table.column_names.index("verdict")
    pq.write_table(table.set_column(place, "verdict", [["UNSURE"] * table.num_rows]), same)
    assert "10 unsure" in cli("audit", "review", same, "--reviewer", "Ana", "--ledger", ledger.path).out


def changed(place: int, **cells: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [row | (cells if number == place else {}) for number, row in enumerate(rows)]


BAD = {
    "no verdict": (changed(2, verdict=""), ":4: verdict: expected data classes"),
    "no such class": (changed(0, verdict="PHII"), ":2: verdict: expected some of BOARD, CLEAN"),
    "clean and more": (changed(0, verdict="CLEAN PHI"), ":2: verdict: expected CLEAN or UNSURE alone"),
    "never sent": (changed(1, record_id=record(101)), ":3: this record is not in the sample, or was never sent"),
    "not drawn": (changed(1, item="s0123456789abcdef"), ":3: this record is not in the sample"),
    "twice": (lambda rows: [*rows, rows[0]], ":12: the same item as in line 2"),
    "left out": (lambda rows: rows[:-3], ": 3 of the 10 items of the sample have no line"),
    "two samples": (changed(5, sample="sample:two:10::::99"), ":7: another sample than the first line's"),
    "no sample": (changed(0, sample="=1+1"), "expected the line that `waybill audit sample` wrote"),
    "a bad day": (lambda rows: [row | {"sample": "sample:x:10:2026-13-01:::99"} for row in rows], "expected the line that"),
    "of another ledger": (lambda rows: [row | {"sample": "sample:x:10::::99999999"} for row in rows], "of another ledger"),
    "a reviewer of two lines": (changed(0, reviewer="Ana\nBirk"), "reviewer: expected a name"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_line_and_nothing_is_entered(case: str, ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    change, message = BAD[case]
    path = tmp_path / "sample.csv"
    rows = [row | {"verdict": "CLEAN"} for row in filled(cli, ledger, path, lambda _: "CLEAN", "--n", "10", "--seed", "one")]
    save(path, change(rows))
    said = cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path, code=1)
    assert message in said.err
    assert reviewed(ledger) == []


def test_every_bad_line_is_named(ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    filled(cli, ledger, path, lambda _: "", "--n", "10")
    said = cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path, code=1)
    assert [f"{path}:{line}: verdict" in said.err for line in range(2, 12)] == [True] * 10


@pytest.mark.parametrize(
    "content",
    [b"", b"item,verdict\n", b"\xff\xfe\x00", b'item,record_id,verdict,sample\n"open'],
    ids=["empty", "columns", "bytes", "quote"],
)
def test_a_file_of_another_kind(content: bytes, ledger: Ledger, cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    assert "expected" in cli("audit", "review", path, "--reviewer", "Ana", "--ledger", ledger.path, code=1).err


@pytest.mark.parametrize("seed", ["", "a:b", "a" * 41, "=1"])
def test_seeds_that_cannot_be_written_down(seed: str, ledger: Ledger) -> None:
    with pytest.raises(ReviewError, match="--seed"):
        new_spec(ledger.path, seed=seed, size=1, since=None, until=None, data_class=None)


def test_the_queries_of_the_page_run(ledger: Ledger) -> None:
    page = (Path(__file__).parents[2] / "docs" / "looking-back.md").read_text(encoding="utf-8")
    queries = re.findall(r"^```sql\n(.*?);\n```", page, re.MULTILINE | re.DOTALL)
    with reading(ledger.path, ("overrides",)) as reader:
        assert [reader.table(query).num_rows for query in queries] == [0, 0, 0]
