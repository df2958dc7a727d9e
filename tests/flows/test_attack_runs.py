"""Attacks in time: the task, the documents or the declared names change between the starts of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from flows.errors import JobError
from flows.lanes import _Timed
from flows.templates import keep_template, kept_template
from sinks.lanes.extractive import ExtractiveLane
from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions
from sinks.reconcile import is_remote
from sinks.request import Message, Part, Prompt, TaskKind, read_prompt

SCHEMA = {"type": "object", "properties": {"näme": {"type": "string"}, "amount": {"type": ["number", "null"]}}, "required": ["näme"]}
PROMPT = Prompt(
    kind=TaskKind.EXTRACT,
    messages=(Message(role="user", parts=(Part(text="Read:\u2028 "), Part(slot="text"), Part(slot="metadata.title"))),),
    schema=SCHEMA,
    max_tokens=77,
    temperature=0.25,
    seed=3,
)
HARMLESS = "The harbour council will repave the promenade between the fish market and the old lighthouse this spring."


def ask(ledger: Path, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(question).fetchall()


def rows(results: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(results.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


def kill_when(night: Any, reached: Callable[[], bool], *options: str) -> None:
    with subprocess.Popen(night.command(*options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if reached():
                process.send_signal(signal.SIGKILL)
                process.wait()
                return
            time.sleep(0.001)
    pytest.fail("the night ended before it could be killed")


def test_a_template_is_read_back_as_it_was(tmp_path: Path) -> None:
    keep_template(tmp_path, PROMPT)
    keep_template(tmp_path, PROMPT)
    kept = kept_template(tmp_path, PROMPT.hash)
    assert (kept, kept.hash, read_prompt(PROMPT.canonical)) == (PROMPT, PROMPT.hash, PROMPT)


@pytest.mark.parametrize("content", [None, b"", PROMPT.canonical.replace(b"77", b"78")], ids=["gone", "empty", "changed"])
def test_a_template_that_is_not_the_one_is_refused(tmp_path: Path, content: bytes | None) -> None:
    keep_template(tmp_path, PROMPT)
    (path,) = (tmp_path / "templates").iterdir()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(JobError, match="expected the template that the run began with"):
        kept_template(tmp_path, PROMPT.hash)
    keep_template(tmp_path, PROMPT)
    assert kept_template(tmp_path, PROMPT.hash) == PROMPT, "given again, as the error says"


def test_another_task_is_another_run_and_nothing_is_taken_for_done(make_night: Callable[..., Any]) -> None:
    night = make_night({"a.txt": HARMLESS}, task="{kind: summarize, max_tokens: 60}")
    first = night.run("--date", "2099-01-01")
    night.job.write_text(night.job.read_text().replace("max_tokens: 60", "max_tokens: 90"))
    second = night.run("--date", "2099-01-01")
    assert (second["run_id"], second["results"]) == (first["run_id"] + ".r2", 1)
    third = night.run("--date", "2099-01-02")
    assert (third["results"], third["unchanged"]) == (0, 1)
    templates = [row["template_hash"] for row in rows(night.results)]
    assert len(templates) == len(set(templates)) == 2
    assert ask(night.ledger, "SELECT run_id FROM runs GROUP BY run_id HAVING count(DISTINCT template_hash) > 1") == []


SLOW_CLOUD = """
version: 2026-11-22
endpoints:
  extractive: {lane: local, engine: extractive, provider: waybill, model: lexrank}
  emulator:
    lane: cloud
    engine: openai_batch
    provider: emulator
    model: waybill-emulator
    facts: {dpa: true, training_use: false}
    evidence_link: "https://example.invalid/facts"
    review_by: 2099-01-01
    settings: {emulator: true, emulator_delay_s: 600}
"""


def test_an_answer_is_judged_and_labelled_by_the_task_it_was_asked_under(make_night: Callable[..., Any], waybill: Any) -> None:
    task = "{kind: extract, schema: {type: object, required: [title], properties: {title: {type: string}}}}"
    night = make_night({"a.txt": f"# Promenade\n{HARMLESS}"}, task=task, extra="registry: registry.yaml\n")
    registry = night.job.parent / "registry.yaml"
    registry.write_text(SLOW_CLOUD)
    batches = night.out / "emulator" / "small" / "batches"
    submitted = lambda: any("in_progress" in path.read_text() for path in batches.glob("batch_*.json"))  # noqa: E731
    kill_when(night, submitted, "--date", "2099-01-01")
    registry.write_text(SLOW_CLOUD.replace(": 600", ": 0"))
    night.job.write_text(night.job.read_text().replace("[title]", "[grantor]").replace("{title:", "{grantor:"))
    waybill("collect", str(night.job), "--out", str(night.out))
    (row,) = rows(night.results)
    assert (row["run_id"], row["status"], json.loads(row["output"]).keys()) == ("small-2099-01-01", "completed", {"title"})
    assert ask(night.ledger, "SELECT count(DISTINCT template_hash) FROM entries") == [(1,)]
    assert len(list(batches.glob("batch_*.json"))) == 1


def test_what_is_still_out_from_last_night_is_not_paid_for_again(make_night: Callable[..., Any], waybill: Any) -> None:
    night = make_night({"a.txt": HARMLESS}, extra="registry: registry.yaml\n")
    registry = night.job.parent / "registry.yaml"
    registry.write_text(SLOW_CLOUD)
    batches = night.out / "emulator" / "small" / "batches"
    assert night.run("--date", "2099-01-01", "--no-wait", code=4)["pending"] == 1
    (night.job.parent / "inbox" / "b.txt").write_text(f"{HARMLESS} Again.")
    second = night.run("--date", "2099-01-02", "--no-wait", code=4)
    assert (second["documents"], second["unchanged"], second["pending"]) == (1, 1, 1)
    assert len(list(batches.glob("batch_*.json"))) == 2
    registry.write_text(SLOW_CLOUD.replace(": 600", ": 0"))
    waybill("collect", str(night.job), "--out", str(night.out))
    assert {(row["run_id"], row["source"]) for row in rows(night.results)} == {("small-2099-01-01", "a.txt"), ("small-2099-01-02", "b.txt")}
    assert ask(night.ledger, "SELECT count(*), count(DISTINCT record_id) FROM egress") == [(2, 2)]


def test_a_document_that_goes_away_between_two_starts_has_a_row(make_night: Callable[..., Any], waybill: Any) -> None:
    night = make_night({"a.txt": HARMLESS, "empty.txt": ""})
    assert night.run("--date", "2099-01-01")["held"] == 1
    waybill("held", "retry", "--all", "--ledger", str(night.ledger))
    (night.job.parent / "inbox" / "empty.txt").unlink()
    report = night.run("--date", "2099-01-01")
    assert (report["documents"], report["results"], report["held"], report["pending"]) == (2, 1, 1, 0)
    assert {row["error_code"] for row in rows(night.results)} == {None, "vanished"}


@pytest.mark.parametrize("kind", ["cloud", "local"])
def test_a_wrapped_lane_can_still_be_told_to_stop_a_job(tmp_path: Path, kind: str) -> None:
    cloud = OpenAIBatchLane(None, OpenAIBatchOptions(spool=tmp_path))  # type: ignore[arg-type]  # never asked here
    wrapped = _Timed(cloud if kind == "cloud" else ExtractiveLane(tmp_path), {"inference": 0.0})
    assert is_remote(wrapped) is (kind == "cloud")
