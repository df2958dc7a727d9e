"""The independent verifier: agrees with the format page and with RFC 6962, and its command says 0, 1 or 2."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from docs import verify_ledger as verifier
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_cases import Case, copied

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ledger-format.md").read_text(encoding="utf-8")


# The test vectors of the Certificate Transparency project for RFC 6962, section 2.1: leaves, and the root of the first 1, 2, … of them.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def run(*arguments: str | Path) -> tuple[int, str]:
    """As an auditor runs it: by path, from elsewhere, with nothing of ours importable."""
    command = [sys.executable, "-P", str(DOCS / "verify_ledger.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("split", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_rfc_6962(size: int, split: int) -> None:
    hashes = [hashlib.sha256(b"\0" + bytes.fromhex(leaf)).digest() for leaf in LEAVES[:size]]
    frontier: list[verifier.Subtree] = []
    for start in range(0, size, split):
        part: list[verifier.Subtree] = []
        verifier.push_leaves(part, start, hashes[start : start + split])
        for subtree in part:
            verifier.push(frontier, subtree)
    assert verifier.root(frontier).hex() == ROOTS[size - 1]
    assert len(frontier) == size.bit_count()


def test_the_example_of_the_page_has_the_bytes_that_it_shows() -> None:
    shown = re.search(r"\n\n((?:    \w+:\d+:[^\n]*\n)+)", PAGE)
    assert shown
    expected = "".join(line[4:] + "\n" for line in shown[1].splitlines())
    stated: dict[str, Any] = dict.fromkeys(verifier.NAMES)
    values = {match[1]: match[2] for match in re.finditer(r"^(\w+):\d+:(.*)$", expected, re.MULTILINE)}
    stated |= {name: values[name] for name in ("actor", "entry_id", "event", "record_id")}
    stated |= {"seq": 7, "at": int(values["at"]), "partial": False, "data_classes": ["PHI", "PII"]}
    stated["evidence"] = [{"entity": "US_SSN", "count": 2, "max_score": 0.75, "detector": "us_ssn"}]
    row = pa.record_batch({name: pa.array([value], verifier.TYPES.get(name, pa.string())) for name, value in stated.items()})
    assert verifier.leaf_hashes(row) == [hashlib.sha256(b"\0" + expected.encode()).digest()]


def test_columns_are_those_of_the_page() -> None:
    table = PAGE.partition("## Columns")[2].partition("\n## ")[0]
    words = {
        "timestamp, µs, UTC": verifier.TIME,
        "bool": pa.bool_(),
        "list of string": verifier.STRINGS,
        "list of struct": verifier.EVIDENCE,
    }
    words |= {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "decimal(18, 9)": pa.decimal128(18, 9),
    }
    columns = [(match[1], words[match[2]]) for match in re.finditer(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)]
    assert columns == [(name, verifier.TYPES.get(name, pa.string())) for name in verifier.NAMES]


def test_it_imports_nothing_but_pyarrow_cryptography_and_the_standard_library() -> None:
    source = (DOCS / "verify_ledger.py").read_text(encoding="utf-8")
    imported = {match[1] for match in re.finditer(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)}
    assert imported - sys.stdlib_module_names == {"pyarrow", "cryptography"}


def test_the_command_says_what_it_could_know(verified: Case, tmp_path: Path) -> None:
    key = tmp_path / "pinned"
    key.write_text(verified.newest_key + "\n", encoding="utf-8")
    status, said = run(verified.path)
    assert (status, said.partition(":")[0]) == (0, "self-consistent, key not pinned")
    assert "no anchor: a tail that was cut off would not be seen" in said
    status, said = run(verified.path, "--key", key, "--anchor", verified.anchor)
    assert (status, said.partition(":")[0]) == (0, "intact")
    assert re.search(r"1 anchored checkpoint\(s\) up to entry [1-9]", said)


def test_the_command_fails_with_one_line(verified: Case, tmp_path: Path) -> None:
    with copied(verified) as path:
        attacker.segment_files(path)[-1].unlink()
        status, said = run(path, "--anchor", verified.anchor)
        assert (status, said.count("\n")) == (1, 1)
        assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [[], ["nowhere"], [".", "--key", "nowhere"], [".", "--anchor", "nowhere"], [".", "--key", "."], [".", "--secret"]],
    ids=["none", "no ledger", "no key", "no anchor", "key is a folder", "unknown option"],
)
def test_wrong_arguments_are_told_from_a_broken_ledger(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        verifier.main(arguments)
    assert ended.value.code == 2


def test_a_dictionary_that_unfolds_is_hashed_in_parts(verified: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verifier.verify(verified.path)
    monkeypatch.setattr(verifier, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(verifier, "ROWS_AT_ONCE", 3)
    assert verifier.verify(verified.path) == whole
