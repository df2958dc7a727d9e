"""An error is one clear line and an exit code: no traceback, no document text, and nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CANARY = "quetzalcoatl-7719"

JOB = """name: small
source: {path: inbox}
task: {kind: summarize}
output: out/results
ledger: out/ledger
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Path]:
    """A job file, with keys added or replaced, over files that hold the canary."""

    def write(*, extra: str = "", source: str = "{path: inbox}", **files: str) -> Path:
        for name, content in {"letter.txt": f"The ferry leaves at nine. {CANARY}", **files}.items():
            path = tmp_path / "inbox" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        path = tmp_path / "small.yaml"
        path.write_text(JOB.replace("{path: inbox}", source) + extra)
        return path

    return write


def only_line(said: Any) -> str:
    """The error; lines of progress may come before it."""
    lines = [line for line in said.err.splitlines() if line != "waybill: loading detectors"]
    assert len(lines) == 1, lines
    assert CANARY not in said.out + said.err
    assert said.out == ""
    return str(lines[0])


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("batchsize: 3\n", r"small.yaml:6: batchsize: .*unknown key; did you mean batch_size\?"),
        ("schedule: every night\n", r"small.yaml:6: schedule: expected five cron fields .*'every night'"),
        ("timezone: Mars\n", r"small.yaml:6: timezone: expected the name of a time zone"),
        ("policy: nowhere.yaml\n", r"small.yaml:6: policy: expected a path that exists"),
        ("lanes: {cloud: nowhere}\n", r"small.yaml:6: lanes.cloud: the registry has no endpoint 'nowhere'; expected one of emulator"),
        ("lanes: {cloud: extractive}\n", r"small.yaml:6: lanes.cloud: endpoint 'extractive' is in the local lane"),
        ("lanes: {cloud: openai-batch}\n", r"environment variable OPENAI_API_KEY; it is not set"),
        ("lanes: {cloud: bedrock-batch}\n", r"environment variable WAYBILL_AWS_PROFILE; it is not set"),
        ("lanes: {local: vllm}\n", r"small.yaml: engine.python: .*needs the interpreter"),
        ("task: [\n", r"small.yaml:\d+: expected YAML"),
    ],
    ids=lambda value: value.split(":")[0] if value.endswith("\n") else "",
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_job(
    *,
    command: str,
    extra: str,
    expected: str,
    job: Callable[..., Path],
    cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert re.search(expected, only_line(cli(command, job(extra=extra), code=2)))
    assert not (tmp_path / "out").exists()


TABLES: list[tuple[dict[str, str], str]] = [
    (
        {"a.csv": f"id,text\n1,{CANARY} one\n1,{CANARY} two\n"},
        r"inbox/a.csv:3: expected every 'id' once, found the id of .*inbox/a.csv:2 again",
    ),
    ({"a.csv": f"id,text\n1,{CANARY}\n", "b.jsonl": f'{{"id": 1, "text": "{CANARY}"}}\n'}, r"b.jsonl:1: .*found the id of .*a.csv:2 again"),
    ({"a.csv": f"id,body\n1,{CANARY}\n"}, r"inbox/a.csv: expected a column 'text', found id, body"),
    ({"a.csv": f"number,text\n1,{CANARY}\n"}, r"inbox/a.csv: expected a column 'id', found number, text"),
]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("files", "expected"), TABLES, ids=["id twice in a file", "id twice in two files", "no text column", "no id column"]
)
def test_a_wrong_table_is_found_before_anything_is_written(
    *, command: str, files: dict[str, str], expected: str, job: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert re.search(expected, only_line(cli(command, job(**files), code=2)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("run", "nowhere.yaml"), 2, "nowhere.yaml: expected a readable file"),
        (("collect", "nowhere.yaml"), 2, "nowhere.yaml: expected a readable file"),
        (("scan", "nowhere"), 2, "nowhere: expected a file or folder that exists"),
        (("scan", ".", "--policy", "nowhere.yaml"), 2, "nowhere.yaml: expected a readable file"),
        (("policy", "check", "nowhere.yaml"), 2, "nowhere.yaml: expected a readable file"),
        (("policy", "test", "nowhere.yaml"), 2, "nowhere.yaml: expected a readable file"),
        (("held", "list", "--ledger", "nowhere"), 1, "no ledger here"),
        (("held", "retry", "--all", "--ledger", "nowhere"), 1, "no ledger here"),
        (("audit", "summary", "--ledger", "nowhere"), 1, "no ledger here"),
        (("audit", "document", "x", "--ledger", "nowhere"), 1, "no ledger here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there(
    *, arguments: tuple[str, ...], code: int, expected: str, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in only_line(cli(*arguments, code=code))
    assert list(tmp_path.iterdir()) == [], "asking about something must not make it"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--nope", "x"),
        ("nope",),
        ("held", "retry"),
        ("audit", "egress", "--since", "yesterday"),
        ("run", "x", "--limit", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: tuple[str, ...], cli: Callable[..., Any]) -> None:
    said = cli(*arguments, code=2)
    assert said.err.splitlines()[-1].startswith("Error: ")


def test_a_wrong_date(job: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "--date: expected YYYY-MM-DD, found 'tomorrow'" in only_line(cli("run", job(), "--date", "tomorrow", code=2))
    assert not (tmp_path / "out").exists()


def test_a_policy_that_cannot_be_read(job: Callable[..., Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nclases: {}\n")
    assert "policy.yaml:2: clases: unknown key" in only_line(cli("run", job(extra="policy: policy.yaml\n"), code=2))


def test_an_unexpected_error_is_named_by_type_and_place(
    job: Callable[..., Path], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ValueError(f"could not parse {CANARY}")

    monkeypatch.setattr("flows.plan_counting.decide_documents", explode)
    line = only_line(cli("plan", job(), code=1))
    assert re.search(r"unexpected ValueError at .*test_cli_errors.py:\d+", line)
