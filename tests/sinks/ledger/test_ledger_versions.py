"""A ledger of each version of the format, made once by `fixtures/make_version_2.py` and kept: it verifies for ever; its views answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sinks.ledger import signing, views
from sinks.ledger.verify import verify

FIXTURES = Path(__file__).parent / "fixtures"
VERIFIER = Path(__file__).parents[3] / "docs" / "verify_ledger.py"
ANSWERS = {
    "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM entries": [(47, 47, 1, 47)],
    "SELECT count(*), max(segment) FROM checkpoints": [(11, 11)],
    "SELECT data_class, lane, sum(records)::INT FROM class_destination_daily GROUP BY ALL ORDER BY ALL": [
        ("(none)", "held", 1),
        ("CLEAN", "cloud", 3),
        ("NPI", "local", 1),
        ("PHI", "local", 1),
        ("PII", "cloud", 1),
        ("PRIVILEGED", "held", 1),
    ],
    "SELECT record_id, reason FROM held WHERE still_held ORDER BY 1": [
        ("r-lost", "ambiguous_hand_over"),
        ("r-privileged", "no_endpoint"),
        ("r-scan", "no_text_layer"),
    ],
    'SELECT record_id, before, after FROM overrides ORDER BY "at"': [("r-phi", "PII", "PHI"), ("r-clean", "CLEAN", "PHI")],
    "SELECT record_id, after FROM lookbacks": [("r-clean", "PHI")],
    "SELECT count(*) FROM document_history('r-clean')": [(16,)],
}


@pytest.mark.parametrize("version", ["version-2"])
def test_a_ledger_of_every_version_still_verifies_and_answers(version: str, tmp_path: Path) -> None:
    kept = FIXTURES / version
    ledger = Path(shutil.copytree(kept, tmp_path / "ledger"))
    verdict = verify(
        ledger, deep=True, pinned=signing.verifier_keys((kept / "pinned.pub").read_text(encoding="utf-8")), anchors=[kept / "anchor"]
    )
    assert (verdict.fault, verdict.entries, verdict.segments, verdict.archives, len(verdict.keys)) == (None, 47, 11, 1, 2)
    command = [sys.executable, "-P", *map(str, (VERIFIER, ledger, "--key", kept / "pinned.pub", "--anchor", kept / "anchor"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    assert (done.returncode, done.stdout.partition(" in ")[0]) == (0, "intact: 47 entries"), done.stderr
    views.relink(ledger)
    with duckdb.connect(ledger / views.DATABASE, read_only=True) as connection:
        for question, answer in ANSWERS.items():
            assert connection.execute(question).fetchall() == answer


def test_the_fixtures_hold_no_private_key_and_stay_small() -> None:
    files = [path for path in FIXTURES.glob("version-*/**/*") if path.is_file()]
    assert not any(b"PRIVATE" in path.read_bytes() or path.suffix == ".key" for path in files)
    assert sum(path.stat().st_size for path in files) < 60_000
