"""`waybill held`: what waits and why; a released record is taken up by the next run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

CANARY = "quetzalcoatl-7719"
CLEAN_ONLY = """version: 1
classes:
  PII: {basis: house rule, all: [{any_entity: [US_SSN]}]}
routes:
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""


def listed(cli: Callable[..., Any], night: Any, *options: str) -> list[dict[str, Any]]:
    said = cli("held", "list", "--ledger", night.ledger, "--format", "json", *options)
    assert CANARY not in said.out
    return [json.loads(line) for line in said.out.splitlines()]


def test_list_says_what_and_why(finished_night: Any, cli: Callable[..., Any]) -> None:
    (row,) = listed(cli, finished_night)
    assert (row["source"], row["state"], row["reason"], row["run_id"]) == ("empty.txt", "held", "empty_text", row["run_id"])
    assert re.fullmatch(r"r[0-9a-f]{24}", row["record_id"])
    assert listed(cli, finished_night, "--reason", "empty_text") == [row]
    assert listed(cli, finished_night, "--reason", "encrypted") == []
    assert "empty.txt" in cli("held", "list", "--ledger", finished_night.ledger).out


def run(cli: Callable[..., Any], night: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(cli("run", night.job, "--out", night.out, "--json").out.splitlines()[-1])
    return report


@pytest.fixture
def held_night(make_night: Callable[..., Any], cli: Callable[..., Any]) -> Any:
    """A night whose policy had no rule for one document."""
    night = make_night(
        documents={"letter.txt": f"SSN 536-22-8145 {CANARY}", "ferry.txt": "The ferry leaves at nine."},
        extra="policy: policy.yaml\nlanes: {cloud: null}\n",
    )
    (night.job.parent / "policy.yaml").write_text(CLEAN_ONLY)
    report = run(cli, night)
    assert (report["results"], report["held"]) == (1, 1)
    return night


def test_a_released_record_is_decided_anew_by_the_next_run(held_night: Any, cli: Callable[..., Any]) -> None:
    (row,) = listed(cli, held_night)
    assert (row["reason"], row["data_classes"]) == ("no_rule", ["PII"])
    assert "1 record released" in cli("held", "retry", row["record_id"], "--actor", "noor", "--ledger", held_night.ledger).out
    assert listed(cli, held_night) == []
    (held_night.job.parent / "policy.yaml").write_text(CLEAN_ONLY.replace("routes:\n", "routes:\n  - {when: [PII], lanes: [local]}\n"))
    report = run(cli, held_night)
    assert (report["documents"], report["results"], report["held"]) == (2, 2, 0)
    assert report["by_class"]["PII"] == {"local": 1, "cloud": 0, "held": 0, "pending": 0}
    told = cli("audit", "document", "letter.txt", "--ledger", held_night.ledger, "--format", "json").out
    history = [json.loads(line) for line in told.splitlines()]
    events = [entry["event"] for entry in history]
    assert events[:4] == ["decided", "held", "released", "decided"]
    assert events.count("completed") == 1
    assert [entry["actor"] for entry in history if entry["event"] == "released"] == ["noor"]


@pytest.mark.parametrize("choice", [("--all",), ("--reason", "no_rule")], ids=" ".join)
def test_released_under_the_same_policy_it_is_held_again(choice: tuple[str, ...], held_night: Any, cli: Callable[..., Any]) -> None:
    assert "1 record released" in cli("held", "retry", *choice, "--ledger", held_night.ledger).out
    assert run(cli, held_night)["held"] == 1
    assert [row["reason"] for row in listed(cli, held_night)] == ["no_rule"]


def test_not_released_it_stays(held_night: Any, cli: Callable[..., Any]) -> None:
    before = listed(cli, held_night)
    assert run(cli, held_night)["held"] == 1
    assert listed(cli, held_night) == before


def test_what_is_not_held_cannot_be_released(held_night: Any, cli: Callable[..., Any]) -> None:
    said = cli("held", "retry", "r000000000000000000000000", "--ledger", held_night.ledger, code=1)
    assert "r000000000000000000000000 is not held" in said.err
    assert said.out == ""
    nothing = cli("held", "retry", "--reason", "encrypted", "--ledger", held_night.ledger).out
    assert nothing == f"nothing is held for encrypted in {held_night.ledger}\n"
    assert len(listed(cli, held_night)) == 1


def test_a_ledger_whose_keys_lie_elsewhere(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(documents={"empty.txt": ""})
    folder = night.job.parent
    night.job.write_text(
        "name: small\nsource: {path: inbox}\ntask: {kind: summarize}\nlanes: {cloud: null}\n"
        "output: there/results\nledger: {path: there/ledger, keys: safe}\n"
    )
    cli("run", night.job)
    assert "KeyMissing" not in cli("held", "retry", "--all", "--ledger", folder / "there" / "ledger", code=1).err
    assert "1 record released" in cli("held", "retry", "--all", "--ledger", folder / "there" / "ledger", "--keys", folder / "safe").out
    assert not (folder / "there" / "ledger.keys").exists()


def test_the_beginning_of_an_id_names_a_record(held_night: Any, cli: Callable[..., Any]) -> None:
    (row,) = listed(cli, held_night)
    shown = cli("held", "list", "--ledger", held_night.ledger).out.splitlines()
    assert shown[0].split() == ["since", "record", "source", "classes", "reason"]
    assert shown[2].split()[2:4] == [row["record_id"][:9], row["source"]]
    assert "r is not held" in cli("held", "retry", "r", "--ledger", held_night.ledger, code=1).err
    assert "1 record released" in cli("held", "retry", row["record_id"][:9], "--ledger", held_night.ledger).out


def test_what_a_later_night_completed_is_not_listed_and_not_released(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(documents={"room.txt": ""})
    night.run("--date", "2026-11-20")
    (night.job.parent / "inbox" / "room.txt").write_text("The library opens a reading room on the second floor this week.\n")
    assert night.run("--date", "2026-11-21")["results"] == 1
    assert listed(cli, night) == []
    assert cli("held", "retry", "--all", "--failed", "--ledger", night.ledger).out == f"nothing is held or has failed in {night.ledger}\n"


def test_a_record_that_two_jobs_hold_is_released_for_both(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(documents={"room.txt": ""})
    night.run()
    other = night.job.with_name("other.yaml")
    other.write_text(night.job.read_text().replace("name: small", "name: other"))
    cli("run", other, "--out", night.out)
    assert len({row["run_id"] for row in listed(cli, night)}) == 2
    assert "1 record released" in cli("held", "retry", "--all", "--ledger", night.ledger).out
    assert listed(cli, night) == []


def test_a_collection_takes_it_up_too(held_night: Any, cli: Callable[..., Any]) -> None:
    cli("held", "retry", "--all", "--ledger", held_night.ledger)
    (held_night.job.parent / "policy.yaml").write_text(CLEAN_ONLY.replace("routes:\n", "routes:\n  - {when: [PII], lanes: [local]}\n"))
    (report,) = map(json.loads, cli("collect", held_night.job, "--out", held_night.out, "--json").out.splitlines())
    assert (report["documents"], report["results"], report["held"], report["pending"]) == (2, 2, 0, 0)
    assert cli("collect", held_night.job, "--out", held_night.out, "--json").out == ""
