"""`waybill audit prove --class`: counts that hide nothing, signed as a whole, and only over a ledger that verifies. And the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows.proving import StatementOptions, check_file, state
from sinks.errors import LedgerError, ProofError
from sinks.ledger import files
from sinks.ledger.note import VerifierKey
from sinks.ledger.segments import Ledger, newest_key
from tests.flows.proving_story import SECRET, day, edited_copy, leaves, saved, told, touched
from tests.sinks.ledger.ledger_cases import Case
from tests.sinks.ledger.ledger_cases import build as build_case


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return told(tmp_path_factory.mktemp("proving"))


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Ten kinds of entries in an archive of which most segments are gone, and a key that was handed over."""
    return build_case(tmp_path_factory.mktemp("rotated"), archived=True)


def asked(ledger: Path, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = state(
        StatementOptions(ledger=ledger, **{"data_class": "PHI", "lane": "cloud"} | options), now=day(20)
    ).statement.answer
    return answer


def test_the_counts_of_a_statement(ledger: Path) -> None:
    answer = asked(ledger)
    assert answer["handed_over"] == {"records": 12, "hand_overs": 12, "without_clearance": 0}
    assert answer["as_decided_then"] == {"records": 2, "hand_overs": 2}
    assert answer["as_known_now"]["further_records"] == 1
    words = answer["as_known_now"]["records_by_word"]
    assert words == {"lookback": 1, "reviewed": 1, "decided": 0, "judged": 0, "rescanned": 0, "overridden": 0}
    assert answer["as_known_now"]["lowered_by_approval"] == answer["as_known_now"]["reviews_in_doubt"] == 1
    assert answer["partial_evidence"] == {"records": 1, "hand_overs": 1}
    assert answer["unknown"]["by_reason"] == {"no_record": 0, "no_endpoint": 0, "no_decision": 1, "no_classes": 1, "decided_again": 1}
    assert answer["unknown"]["records"] == ["r-again", "r-none", "r-undecided"]
    assert answer["looked_back"] == {"texts": 12, "judged": 1, "not_judged": 1, "never": 10}
    assert answer["review_samples"] == []
    listed = {one["record_id"]: one for one in answer["records"]}
    assert listed.keys() == {"r-leaked", "r-looked", "r-late"}
    assert [word["event"] for word in listed["r-looked"]["said_by"]] == ["lookback", "reviewed"]
    assert listed["r-late"]["sent"][0]["at"] == "2026-10-06T02:00:00Z"


@pytest.mark.parametrize(
    ("options", "records", "then", "unknown"),
    [
        ({"until": date(2026, 10, 2)}, 11, 1, 3),
        ({"since": date(2026, 10, 2)}, 1, 1, 0),
        ({"since": date(2027, 1, 1)}, 0, 0, 0),
        ({"endpoint": "other"}, 2, 1, 1),  # where nobody stated the endpoint, it may have been this one
        ({"lane": "local"}, 1, 1, 0),
        ({"data_class": "NPI"}, 12, 0, 3),
    ],
    ids=["until", "since", "a period without entries", "endpoint", "local", "another class"],
)
def test_a_statement_is_about_what_was_asked(ledger: Path, options: dict[str, Any], records: int, then: int, unknown: int) -> None:
    answer = asked(ledger, **options)
    found = (answer["handed_over"]["records"], answer["as_decided_then"]["records"], answer["unknown"]["hand_overs"])
    assert found == (records, then, unknown)


@pytest.mark.parametrize(
    "options", [{}, {"since": date(2026, 10, 2), "until": date(2026, 10, 8)}, {"since": date(2027, 1, 1)}], ids=["all", "part", "none"]
)
def test_a_statement_holds_and_every_value_of_it_is_signed(ledger: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    signed = state(StatementOptions(ledger=ledger, data_class="PHI", lane="cloud", **options), now=day(20))
    document = json.loads(signed.model_dump_json())
    found = check_file(saved(tmp_path, document), [newest_key(ledger)])
    assert found.pinned
    assert list(found.text) == signed.statement.text
    for place in leaves(document):
        with pytest.raises(ProofError):
            check_file(saved(tmp_path, touched(document, place)))


def test_a_statement_over_a_handed_over_key_holds_under_the_first_one(rotated: Case, tmp_path: Path) -> None:
    signed = state(StatementOptions(ledger=rotated.path, data_class="PHI", lane="cloud"), now=day(20))
    file = saved(tmp_path, signed.model_dump_json())
    for key in (rotated.first_key, rotated.newest_key):
        assert check_file(file, [VerifierKey.parse(key)]).pinned
    covered = signed.statement.checkpoints
    assert covered.first is not None
    assert covered.first.split("\n")[1] == "1"
    assert covered.first_to_last
    assert covered.last_to_newest == []  # the last is the newest
    Ledger.open(rotated.path).rotate_key()
    again = state(StatementOptions(ledger=rotated.path, data_class="PHI", lane="cloud"), now=day(20))
    assert len(again.keys.rotations) == 2
    assert check_file(saved(tmp_path, again.model_dump_json()), [VerifierKey.parse(rotated.newest_key)]).pinned


def test_nothing_is_stated_over_a_ledger_that_does_not_verify_or_without_its_key(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"NOT INTACT, entry 3: .*; nothing was signed"):
        state(StatementOptions(ledger=edited_copy(ledger, tmp_path), data_class="PHI", lane="cloud"), now=day(20))
    with pytest.raises(LedgerError, match="signed with the ledger's own key, which is not here"):
        state(StatementOptions(ledger=ledger, data_class="PHI", lane="cloud", keys=tmp_path), now=day(20))


def test_the_command(ledger: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    file, key = tmp_path / "a.json", tmp_path / "key"
    key.write_text(f"{newest_key(ledger)}\n", encoding="utf-8")
    said = cli("audit", "prove", "--record", "r-looked", "--ledger", ledger, "--out", file)
    assert "a look-back judged it again" in said.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert cli("audit", "prove", "--record", "r-looked", "--ledger", ledger, "--key", key).out.startswith(said.out.partition("\n")[0])
    assert "holds: signed by" in cli("audit", "prove", "--check", file, "--key", key).out
    assert "KEY NOT PINNED" in cli("audit", "prove", "--check", file).out
    assert json.loads(cli("audit", "prove", "--record", SECRET, "--ledger", ledger, "--format", "json").out)["record_id"] == "r-leaked"
    stated = tmp_path / "b.json"
    said = cli("audit", "prove", "--class", "PHI", "--lane", "cloud", "--ledger", ledger, "--out", stated)
    assert "As decided then: 2 of 12 records handed over were PHI" in said.out
    assert "UNKNOWN, and not counted as a no: 3 hand-overs" in said.out
    checked = json.loads(cli("audit", "prove", "--check", stated, "--key", key, "--format", "json").out)
    assert (checked["pinned"], checked["summary_checked"]) == (True, True)
    other = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**other, "words": other["words"] + 1, "summary": ["It was a dark night."]}), encoding="utf-8")
    checked = json.loads(cli("audit", "prove", "--check", file, "--key", key, "--format", "json").out)
    assert (checked["holds"], checked["summary_checked"]) == (True, False)
    stated.write_text(stated.read_text(encoding="utf-8").replace("As decided then: 2 of", "As decided then: 0 of"), encoding="utf-8")
    said = cli("audit", "prove", "--check", stated, "--key", key, code=1)
    assert said.out.startswith("DOES NOT HOLD: the statement: the signature does not hold")
    key.write_text(
        str(VerifierKey(newest_key(ledger).name, Ed25519PrivateKey.generate().public_key().public_bytes_raw())), encoding="utf-8"
    )
    assert "pinned key" in cli("audit", "prove", "--record", "r-looked", "--ledger", ledger, "--key", key, code=1).err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--record", "r-nobody"), 1, "has no entry about such a record: there is nothing to prove"),
        (("--record", "r-"), 1, "has no entry about such a record"),
        (("--class", "PHI"), 2, "--class needs --lane"),
        (("--class", "PHY", "--lane", "local"), 2, "know that class"),
        (("--record", "r-clean", "--lane", "cloud"), 2, "--lane does not go with --record"),
        (("--record", "r-clean", "--class", "PHI"), 2, "name one of"),
        ((), 2, "name one of"),
        (("--check", "nowhere.json"), 2, "--check: nowhere.json: no such file; name what"),
        (("--class", "PHI", "--lane", "cloud", "--since", "2026-10-02", "--until", "2026-10-01"), 2, "--until is not after --since"),
    ],
    ids=["no such record", "too short", "no lane", "no such class", "lane of a record", "two questions", "none", "no file", "days"],
)
def test_what_cannot_be_answered_is_one_clear_line(
    ledger: Path, cli: Callable[..., Any], arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = cli("audit", "prove", *arguments, "--ledger", ledger, code=code)
    assert said.out == ""
    assert words in said.err


def test_no_ledger_is_one_clear_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    assert "no ledger here" in cli("audit", "prove", "--record", "r-clean", "--ledger", tmp_path, code=1).err
    assert not files.numbered(tmp_path)
