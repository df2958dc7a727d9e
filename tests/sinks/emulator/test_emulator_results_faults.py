"""Every planned fault of results, at every provider that can have it, by the bytes that a client then gets."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any

import pytest

from sinks.emulator.catalogue import OPERATIONS, kinds_at


def parsed(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.split(b"\n") if line.strip()]


def row_id(row: Any) -> str:
    return str(row.get("recordId") or row.get("custom_id"))


def ids(files: dict[str, bytes]) -> list[str]:
    return [row_id(row) for kind in ("output", "error") for row in parsed(files.get(kind, b""))]


def answer(row: Any) -> Any:
    """The part of a row that the model gave, whatever its provider calls it."""
    if "response" in row:
        return row["response"]["body"]
    return row["modelOutput"] if "modelOutput" in row else row["result"]["message"]


def text(row: Any) -> str | None:
    found = answer(row)
    if "choices" in found:
        return found["choices"][0]["message"]["content"]
    content = found["output"]["message"]["content"] if "output" in found else found["content"]
    return content[0]["text"] if content else None


def odd(files: dict[str, bytes], is_odd: Callable[[Any], bool]) -> bool:
    """Exactly one of the four rows is so."""
    rows = parsed(files["output"])
    return sorted(ids(files)) == ["row-0", "row-1", "row-2", "row-3"] and sum(map(is_odd, rows)) == 1


def failed(row: Any) -> bool:
    return (
        bool(row.get("error")) or row.get("response", {}).get("status_code", 200) >= 400 or row.get("result", {}).get("type") == "errored"
    )


def ends(row: Any) -> str:
    found = answer(row)
    if "choices" in found:
        return "refusal" if found["choices"][0]["message"]["refusal"] else str(found["choices"][0]["finish_reason"])
    return str(found.get("stopReason") or found["stop_reason"])


def no_choices(row: Any) -> bool:
    return answer(row).get("choices") == [] or text(row) is None


Files = dict[str, bytes]
CHECKS: dict[str, Callable[[Files, Any], bool]] = {
    "missing_row": lambda files, _: len(ids(files)) == 3,
    "duplicate_row": lambda files, _: len(ids(files)) == 5 and len({*files["output"].splitlines()}) == 4,
    "conflicting_row": lambda files, _: len(set(ids(files))) == 4 and len({*files["output"].splitlines()}) == 5,
    "foreign_row": lambda files, _: set(ids(files)) - {"row-0", "row-1", "row-2", "row-3"} == {"foreign-1"},
    "both_files": lambda files, _: {row_id(row) for row in parsed(files.get("error", b""))} == {row_id(parsed(files["output"])[0])},
    "error_body": lambda files, _: odd(files, lambda row: "error" in answer(row)),
    "no_choices": lambda files, _: odd(files, no_choices),
    "refusal": lambda files, _: odd(files, lambda row: ends(row) in {"refusal", "content_filtered"}),
    "content_filter": lambda files, _: odd(files, lambda row: ends(row) in {"content_filter", "content_filtered"}),
    "length": lambda files, _: odd(files, lambda row: ends(row) in {"length", "max_tokens"}),
    "invalid_json": lambda files, _: odd(files, lambda row: text(row) == '{"unfinished": '),
    "empty_output": lambda files, _: odd(files, lambda row: text(row) == ""),
    "status_zero": lambda files, _: odd(files, lambda row: row["response"]["status_code"] == 0),
    "body_string": lambda files, _: odd(files, lambda row: isinstance(answer(row), str)),
    "no_usage": lambda files, _: odd(files, lambda row: "usage" not in answer(row)),
    "line_separator": lambda files, _: "\u2028".encode() in files["output"] and odd(files, lambda row: "\u2028" in text(row)),
    "nul": lambda files, _: odd(files, lambda row: text(row).endswith("\x00")),
    "torn_line": lambda files, _: not files["output"].endswith(b"\n") and len(parsed(files["output"].rpartition(b"\n")[0])) == 3,
    "blank_lines": lambda files, _: files["output"].startswith(b"\n\n") and len(ids(files)) == 4,
    "bom": lambda files, _: files["output"].startswith(codecs.BOM_UTF8),
    "crlf": lambda files, _: files["output"].count(b"\r\n") == 4,
    "nul_bytes": lambda files, _: files["output"].endswith(b"\x00\x00"),
    "zero_bytes": lambda files, _: files["output"] == b"",
    "all_errors": lambda files, _: all(failed(row) for kind in ("output", "error") for row in parsed(files.get(kind, b""))),
    "wrong_counts": lambda files, counted: len(parsed(files["output"])) + 1 == counted,
    "no_file": lambda files, _: "output" not in files,
    "empty_file_id": lambda files, _: "output" not in files,
    "no_manifest": lambda files, _: "manifest" not in files and len(parsed(files["output"])) == 4,
}
PROVIDERS = ("openai", "anthropic", "bedrock")


def test_every_fault_of_results_is_checked_here() -> None:
    assert {kind for name in PROVIDERS for kind in kinds_at(f"{name}.results")} == set(CHECKS)


def test_results_can_be_odd(driver: Any) -> None:
    at = f"{driver.name}.results"
    kinds = kinds_at(at)
    driver.emulated.plan(*({"at": at, "fault": kind, "call": call} for call, kind in enumerate(kinds, start=1)))
    jobs = {kind: driver.create() for kind in kinds}  # they run one after the other, in this order
    clean = driver.create()
    driver.finish(clean)
    untouched = (driver.contents(clean), driver.counts(driver.get(clean).json()))
    assert len(parsed(untouched[0]["output"])) == 4
    found = {kind: (driver.contents(job_id), driver.counts(driver.get(job_id).json())) for kind, job_id in jobs.items()}
    assert [kind for kind in kinds if not CHECKS[kind](*found[kind])] == []
    assert [kind for kind in kinds if CHECKS[kind](*untouched)] == []
    if driver.name == "openai":
        assert driver.get(jobs["empty_file_id"]).json()["output_file_id"] == ""
    noted = [(entry["fault"], entry["about"], entry["drawn"]) for entry in driver.emulated.entries("injected.jsonl") if entry["at"] == at]
    assert noted[-len(kinds) :] == [(kind, job_id, False) for kind, job_id in jobs.items()]


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_one_download_can_be_odd_and_the_next_one_whole(drivers: dict[str, Any], name: str) -> None:
    driver = drivers[name]
    at = f"{name}.files.content" if name == "openai" else f"{name}.batches.results"
    job_id = driver.create()
    driver.finish(job_id)
    driver.emulated.plan({"at": at, "fault": "torn_line"}, {"at": at, "fault": "status", "status": 502, "call": 2})
    assert len(driver.contents(job_id)["output"].split(b"\n")) == 4
    assert b"planned fault" in driver.contents(job_id)["output"]
    assert len(parsed(driver.contents(job_id)["output"])) == 4


def test_the_catalogue_knows_what_makes_no_sense_where() -> None:
    assert not set(kinds_at("anthropic.results")) & {"both_files", "status_zero", "no_manifest", "empty_file_id"}
    assert "early_output" in kinds_at("bedrock.lifecycle.InProgress")
    assert all(kinds_at(at) for at in OPERATIONS)
