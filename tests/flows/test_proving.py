"""`waybill audit prove --record`: proofs hold for an independent checker too, and every value of one that was touched is found."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows.proof_words import LIMITS, WORDS
from flows.proving import StatementOptions, check_file, record_proof, state
from sinks.errors import LedgerError, ProofError
from sinks.ledger.note import VerifierKey
from sinks.ledger.segments import newest_key
from tests.docs import proving_checker as independent
from tests.flows.proving_story import POLICY, SECRET, day, edited_copy, leaves, made, saved, told, touched
from tests.sinks.ledger.ledger_attacker import Forger
from tests.sinks.ledger.ledger_cases import Case
from tests.sinks.ledger.ledger_cases import build as build_case

CHECKER = Path(independent.__file__)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return told(tmp_path_factory.mktemp("proving"))


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Ten kinds of entries in an archive of which most segments are gone, and a key that was handed over."""
    return build_case(tmp_path_factory.mktemp("rotated"), archived=True)


def by_the_independent_checker(file: Path, key: str = "") -> tuple[int, str]:
    """As somebody else runs it: with nothing of ours importable."""
    command = [sys.executable, "-P", str(CHECKER), str(file), *([key] if key else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=60)
    return done.returncode, done.stdout + done.stderr


def holds(document: dict[str, Any]) -> bool:
    """What the independent checker says, in this process. Whatever it stumbles over it does not believe."""
    try:
        return independent.check(document, None) > 0
    except (SystemExit, Exception):  # noqa: BLE001 - as a program it would end with a traceback and exit code 1
        return False


@pytest.mark.parametrize("record", ["r-0-0", "r-0-4", "r-2-2", "r-4-6", "r-6-2"])
def test_a_proof_from_archive_or_segments_holds_under_each_key_and_no_other(rotated: Case, tmp_path: Path, record: str) -> None:
    file = saved(tmp_path, made(rotated.path, record))
    for key in (rotated.first_key, rotated.newest_key):
        assert check_file(file, [VerifierKey.parse(key)]).pinned
    assert by_the_independent_checker(file, rotated.first_key) == (0, "holds: 1 entries\n")
    assert not check_file(file).pinned
    name = rotated.first_key.partition("+")[0]
    other = Forger(name, Ed25519PrivateKey.generate()).key
    with pytest.raises(ProofError, match="is none of the keys that vouch"):
        check_file(file, [VerifierKey.parse(other)])
    with pytest.raises(ProofError, match="the pinned key is of another"):
        check_file(file, [VerifierKey("waybill/other", VerifierKey.parse(other).public)])
    assert by_the_independent_checker(file, other)[0] == 1


def test_every_value_of_a_proof_is_proven(ledger: Path, rotated: Case, tmp_path: Path) -> None:
    chance = random.Random(5)
    # Of the second what the first has not: a key that was handed over.
    for document, first in ((made(ledger, "r-inside"), set[str]()), (made(rotated.path, "r-2-3"), {"keys", "checkpoint"})):
        check_file(saved(tmp_path, document))
        assert holds(document)
        places = [place for place in leaves(document) if place[0] in (first or document.keys() - {"words"})]
        assert len(places) > 15
        for place in places:
            with pytest.raises(ProofError):
                check_file(saved(tmp_path, touched(document, place)))
        others = [place for place in places if place[0] not in {"format", "ledger", "summary", "limits", "source"}]
        for place in chance.sample(others, min(20, len(others))):
            assert not holds(touched(document, place)), place


CUTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an entry of another record": lambda proof: proof.update(record_id="r-looked"),
    "an entry twice": lambda proof: proof["entries"].append(proof["entries"][-1]),
    "entries in another order": lambda proof: proof["entries"].reverse(),
    "no entries": lambda proof: proof["entries"].clear(),
    "a policy that no entry names": lambda proof: proof["policies"].append(proof["entries"][0]),
    "a null that is shown": lambda proof: proof["entries"][0]["entry"].update(cost_usd=None),
    "a column that is none": lambda proof: proof["entries"][0]["entry"].update(note="harmless"),
    "a column that is not shown": lambda proof: proof["entries"][0]["entry"].pop("rule"),
    "a truth for a number": lambda proof: proof["entries"][1]["entry"].update(score=True),
    "a time without its zone": lambda proof: proof["entries"][0]["entry"].update(at="2026-10-01T02:00:00"),
    "a shorter path": lambda proof: proof["entries"][0]["path"].pop(),
    "a longer path": lambda proof: proof["entries"][0]["path"].append(proof["entries"][0]["path"][0]),
    "a key too many": lambda proof: proof.update(verified=True),
    "a kinder summary": lambda proof: proof["summary"].append("It never left."),
    "fewer limits": lambda proof: proof["limits"].pop(),
    "a list for a text": lambda proof: proof.update(checkpoint=[]),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=list(CUTS))
def test_what_was_added_or_left_out_is_found(ledger: Path, tmp_path: Path, cut: Callable[[dict[str, Any]], object]) -> None:
    document = made(ledger, "r-clean")
    cut(document)
    with pytest.raises(ProofError):
        check_file(saved(tmp_path, document))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "nothing",
        '{"format": "waybill-proof/1"}',
        "[" * 100_000,
        '{"format": NaN}',
        '{"a": 1, "a": 2}',
        '{"format":"waybill-statement/1"}',
    ],
    ids=["empty", "object", "list", "words", "bare", "deep", "nan", "twice", "statement"],
)
def test_a_file_of_another_form_is_one_clear_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProofError, match=r"form\b|format"):
        check_file(saved(tmp_path, text))


ODD: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "x", "\ud800", "1e999999999", [], {}, [{}], [[[]]], {"entity": 1})


def test_a_value_of_another_kind_is_refused_and_never_stumbled_over(ledger: Path, rotated: Case, tmp_path: Path) -> None:
    chance = random.Random(7)
    signed = state(StatementOptions(ledger=rotated.path, data_class="PHI", lane="cloud"), now=day(20))
    for document in (made(ledger, "r-clean"), made(rotated.path, "r-2-3"), json.loads(signed.model_dump_json())):
        places = [place[:depth] for place in leaves(document) for depth in range(1, len(place) + 1)]
        for place in chance.sample(places, 80):
            changed = copy.deepcopy(document)
            target = changed
            for key in place[:-1]:
                target = target[key]
            odd = chance.choice([odd for odd in ODD if odd != target[place[-1]]])
            target[place[-1]] = odd
            with pytest.raises(ProofError):
                check_file(saved(tmp_path, changed))


def test_a_proof_of_a_forger_holds_only_where_nobody_pins(ledger: Path, tmp_path: Path) -> None:
    """With a key of his own and the host's files he can sign anything: then the pinned key is what tells."""
    first = newest_key(ledger)
    document = made(ledger, "r-clean")
    forger = Forger(first.name, Ed25519PrivateKey.generate())
    document["checkpoint"] = forger.sign(document["checkpoint"].partition("\n\n")[0] + "\n", "")
    document["keys"] = {"verifier_key": forger.key, "first": forger.key, "rotations": []}
    file = saved(tmp_path, document)
    assert not check_file(file).pinned
    with pytest.raises(ProofError, match="none of the keys"):
        check_file(file, [first])


def test_a_proof_of_a_ledger_that_was_edited_is_not_made(ledger: Path, tmp_path: Path) -> None:
    copied = edited_copy(ledger, tmp_path)
    with pytest.raises(LedgerError, match=r"is not what was signed .*nothing was proven"):
        record_proof(copied, "r-clean", with_source=False)


def test_a_proof_in_the_words_of_another_version_holds_and_its_words_are_not_believed(ledger: Path, tmp_path: Path) -> None:
    document = made(ledger, "r-clean")
    document |= {"words": WORDS + 1, "summary": ["It never left."]}
    found = check_file(saved(tmp_path, document))
    assert found.own_words
    assert "Handed over to the cloud: 1 time" in "\n".join(found.text)


def test_other_words_have_another_version(ledger: Path) -> None:
    """Where this fails, the wording has changed: raise WORDS, or proofs that were made before no longer hold. Then pin the new digest."""
    words = [
        *(text for record in ("r-clean", "r-leaked", "r-looked", "r-inside", "r-lowered") for text in summary(ledger, record)),
        *LIMITS,
    ]
    assert (WORDS, hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]) == (1, "c2ad8c5896c44b47")


def summary(ledger: Path, record: str) -> list[str]:
    """Without what is of this one ledger alone."""
    document = made(ledger, record)
    return [line.replace(document["ledger"], "waybill/…") for line in document["summary"]]


def test_the_name_outside_is_in_a_proof_only_where_it_is_asked_for(ledger: Path, tmp_path: Path) -> None:
    assert SECRET not in json.dumps(made(ledger, "r-leaked"))
    document = made(ledger, "r-leaked", with_source=True)
    assert document["source"] == {"source": SECRET, "source_id": "7"}
    check_file(saved(tmp_path, document))
    assert made(ledger, "r-clean", with_source=True)["source"] is None


def test_a_proof_tells_its_story(ledger: Path) -> None:
    document = made(ledger, "r-looked")
    text = "\n".join(document["summary"])
    assert "Handed over to the cloud: 1 time (vendor; first 2026-10-01, last 2026-10-01)" in text
    assert "a look-back judged it again: CLEAN then, PHI, PII now (now_local)" in text
    assert "decided to be CLEAN. Said since, beyond that: PHI (entry" in text
    assert document["policies"][0]["entry"]["policy_text"] == POLICY
    events = [one["entry"]["event"] for one in made(ledger, "r-clean")["entries"]]
    assert events == ["decided", "assigned", "cleared", "submitting", "submitted", "completed", "lookback"]
