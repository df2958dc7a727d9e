"""What `waybill run` refuses, `waybill plan` refuses: the same line, the same exit code, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_REGISTRY

REGISTRY = "registry: endpoints.yaml\n"
EMULATED = "settings: {emulator: true}"


def tokens_file(folder: Path, text: str) -> str:
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return text.replace(EMULATED, "settings: {emulator: true, tokenizer: tokenizer.json}")


CASES: dict[str, tuple[str, Callable[[Path, str], str], str]] = {
    "no price": (
        REGISTRY + "lanes: {cloud: openai-batch}\n",
        lambda _, text: text.replace("model: gpt-4o-mini\n", "model: gpt-unheard-of\n"),
        "has no batch price",
    ),
    "expired facts": (
        REGISTRY,
        lambda _, text: text.replace("review_by: 2099-12-31", "review_by: 2001-01-01"),
        "were to be reviewed by 2001",
    ),
    "no key": ("lanes: {cloud: openai-batch}\n", lambda _, text: text, "needs its key in the environment variable OPENAI_API_KEY"),
    "unknown endpoint": ("lanes: {cloud: nowhere}\n", lambda _, text: text, "the registry has no endpoint 'nowhere'"),
    "misspelt setting": (
        REGISTRY,
        lambda _, text: text.replace(EMULATED, "settings: {emulator: true, shard_max_row: 5}"),
        "endpoints.emulator.settings.shard_max_row: openai_batch has no such setting; did you mean shard_max_rows?",
    ),
    "tokenizer": (REGISTRY, tokens_file, "settings.tokenizer"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_line(make_night: Callable[..., Any], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-invented") if case == "no price" else monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    extra, change, words = CASES[case]
    night = make_night(documents={"a.txt": "The ferry leaves at nine."}, extra=extra)
    folder = night.job.parent
    (folder / "endpoints.yaml").write_text(change(folder, DEFAULT_REGISTRY.read_text(encoding="utf-8")), encoding="utf-8")
    before = sorted(folder.rglob("*"))
    refused = cli("run", night.job, code=2).err.splitlines()[-1]
    assert words in refused
    planned = cli("plan", night.job, code=2)
    assert planned.err.splitlines()[-1] == refused
    assert planned.out == ""
    assert sorted(folder.rglob("*")) == before


def test_a_template_that_may_not_leave(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(documents={"a.txt": "The ferry leaves at nine."}, task="{kind: summarize, max_tokens: 60, prompt: ask.md}")
    (night.job.parent / "ask.md").write_text("Summarise it as for SSN 536-22-8145, Ines Lindqvist:\n{{ text }}\n", encoding="utf-8")
    refused = cli("run", night.job, code=2).err.splitlines()[-1]
    assert "so it may not leave for emulator" in refused
    assert cli("plan", night.job, code=2).err.splitlines()[-1] == refused


def test_doctor_finds_a_tokenizer_that_cannot_be_used(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(extra=REGISTRY)
    folder = night.job.parent
    (folder / "endpoints.yaml").write_text(tokens_file(folder, DEFAULT_REGISTRY.read_text(encoding="utf-8")), encoding="utf-8")
    bad = [line for line in cli("doctor", "--job", night.job, code=1).out.splitlines() if line.startswith("FAIL")]
    assert [("cloud lane" in line, "settings.tokenizer" in line) for line in bad] == [(True, True)]
    (folder / "endpoints.yaml").write_text(
        DEFAULT_REGISTRY.read_text(encoding="utf-8").replace("model: lexrank", "model: lexrank\n    settings: {tokenizer: none.json}"),
        encoding="utf-8",
    )
    bad = [line for line in cli("doctor", "--lane", "local", "--job", night.job, code=1).out.splitlines() if line.startswith("FAIL")]
    assert [("settings" in line, "none.json" in line) for line in bad] == [(True, True)]
