"""The strategy `waterfall`: doubted answers go to the cloud through the gate, restricted ones stay marked, and nothing is there twice."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import flows.collecting
import flows.escalating
import flows.nightly
import sinks.ingest
from flows.collect import collect_job
from flows.night import Night, NightOptions
from flows.nightly import run_night
from flows.report import NightReport
from policies.load import DEFAULT_REGISTRY
from sinks.emulator.receipts import received, tally
from tests.flows.judge_server import Judge, judging

DOUBT = -2.0
SURE = -0.01
DOCUMENTS = {
    "sure.txt": "The harbour council will surely repave the promenade between the fish market and the old lighthouse this spring.",
    "unsure.txt": "A new species of moss was perhaps described from the wet slopes above the reservoir. It stays green in winter.",
    "mute.txt": "The museum opened a quiet hall on the history of navigation, with instruments from four centuries.",
    "cut.txt": "The island can be reached by the morning ferry, which is CUT short in winter and leaves from the northern pier.",
    "discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMedical record number: MRN 40718823\nDiagnosis: unstable angina.",
}
PRICED = """version: 2026-11-22
currency: USD
prices:
  - {provider: emulator, models: [extractive-emulator], feature: batch, input: "100.00", output: "1000.00",
     valid_from: 2026-01-01, review_by: 2099-12-31, source: invented}
"""
TRIES = """
SELECT s.source, e.event, coalesce(e.error_code, e.detail_code, e.reason), e.lane FROM entries e JOIN sources s USING (record_id)
WHERE e.event IN ('completed', 'failed', 'released') ORDER BY s.source, e.seq
"""
DOCUMENTED = re.findall(r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "routing.md").read_text("utf-8"), re.DOTALL)


@dataclass
class Engine(Judge):
    """Answers with more or less confidence, as the document says; about some with none, and of some it does not come to an end."""

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        text = body["messages"][-1]["content"]
        told = SURE if "surely" in text else DOUBT
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "A summary from inside."},
            "finish_reason": "length" if "CUT" in text else "stop",
            "logprobs": None if "quiet" in text else {"content": [{"token": "A", "logprob": told}, {"token": "b", "logprob": told}]},
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        return 200, {"id": "c", "object": "chat.completion", "created": 1, "model": "judge-1", "choices": [choice], "usage": usage}


@pytest.fixture
def engine() -> Iterator[Judge]:
    with judging(Engine()) as running:
        yield running


@pytest.fixture
def falling(make_night: Callable[..., Any], tmp_path: Path, engine: Judge) -> Callable[..., Any]:
    """A night over DOCUMENTS, or some of them, under `waterfall`; keyword arguments are keys of the job."""

    def make(*names: str, base_url: str = "", **keys: str) -> Any:
        text = DEFAULT_REGISTRY.read_text()
        if base_url:
            text = text.replace("    region: loopback", f"    region: loopback\n    base_url: {base_url}", 1)
        text += f"  inside: {{lane: local, engine: openai_compatible, provider: inside, model: judge-1, base_url: '{engine.url}',\n"
        text += "           settings: {max_model_len: 8192, usd_per_million_input: 10, usd_per_million_output: 10}}\n"
        (tmp_path / "registry.yaml").write_text(text)
        (tmp_path / "prices.yaml").write_text(PRICED)
        lanes = "{local: inside, cloud: emulator, strategy: waterfall, escalate_below: 0.5}"
        extra = {"registry": "registry.yaml", "prices": "prices.yaml", "lanes": lanes, **keys}
        documents = {name: DOCUMENTS[f"{name}.txt"] for name in names} or DOCUMENTS
        return make_night(
            documents={(name if name.endswith(".txt") else f"{name}.txt"): text for name, text in documents.items()},
            extra="".join(f"{name}: {value}\n" for name, value in extra.items()),
        )

    return make


def run(night: Any, **options: Any) -> NightReport:
    return run_night(NightOptions(job=str(night.job), out=str(night.out), **options))


def ask(night: Any, query: str) -> list[Any]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def rows(night: Any) -> dict[str, tuple[str, str, str | None]]:
    """Status, lane and code of the one row of each document."""
    found = [row for path in night.results.rglob("*.parquet") for row in pq.ParquetFile(path).read().to_pylist()]
    assert len(found) == len({row["source"] for row in found})
    return {row["source"]: (row["status"], row["lane"], row["error_code"]) for row in found}


def die(*_: object) -> None:
    raise KeyboardInterrupt


EXPECTED = {
    "sure.txt": ("completed", "local", None),
    "unsure.txt": ("completed", "cloud", None),
    "mute.txt": ("completed", "cloud", None),
    "cut.txt": ("completed", "cloud", None),
    "discharge.txt": ("completed", "local", "low_confidence"),
}
KEPT = {"unsure.txt": ("completed", "local", "low_confidence")}


def test_doubted_answers_escalate_and_restricted_ones_are_marked(
    falling: Callable[..., Any], engine: Judge, cli: Callable[..., Any]
) -> None:
    night = falling()
    report = run(night)
    assert (report.results, report.held, report.failed, report.pending) == (5, 0, 0, 0)
    assert rows(night) == EXPECTED
    assert ask(night, TRIES) == [
        ("cut.txt", "failed", "max_tokens", "local"),
        ("cut.txt", "released", "escalated", "local"),
        ("cut.txt", "completed", None, "cloud"),
        ("discharge.txt", "completed", "low_confidence", "local"),
        ("mute.txt", "failed", "low_confidence", "local"),
        ("mute.txt", "released", "escalated", "local"),
        ("mute.txt", "completed", None, "cloud"),
        ("sure.txt", "completed", None, "local"),
        ("unsure.txt", "failed", "low_confidence", "local"),
        ("unsure.txt", "released", "escalated", "local"),
        ("unsure.txt", "completed", None, "cloud"),
    ]
    assigned = ask(night, "SELECT reason, score FROM assignments WHERE lane = 'cloud' ORDER BY score NULLS LAST")
    assert assigned == [("escalated", pytest.approx(math.exp(DOUBT))), ("escalated", None), ("escalated", None)]
    assert ask(night, "SELECT count(*) FROM entries WHERE event = 'failed' AND cost_usd > 0") == [(3,)], "what the try cost stays"
    assert ask(night, "SELECT DISTINCT detail_code FROM entries WHERE event = 'run_started'") == [("escalate_below:0.5",)]
    assert ask(night, "SELECT DISTINCT unnest(data_classes) FROM egress") == [("CLEAN",)]
    sent = b"".join(body for _, body in received(night.out / "emulator" / "small"))
    assert b"moss" in sent
    assert b"Castellan" not in sent
    (listed,) = [json.loads(line) for line in cli("audit", "doubtful", "--ledger", night.ledger, "--format", "json").out.splitlines()]
    assert (listed["data_classes"], listed["endpoint"], listed["verdict"]) == (["PHI"], "inside", None)
    assert listed["confidence"] == pytest.approx(math.exp(DOUBT))
    kept, given_back = (next(one for one in DOCUMENTED if word in one) for word in ("low_confidence", "escalated"))
    assert [row[-3] for row in ask(night, kept)] == [round(math.exp(DOUBT), 3)]
    assert [(row[1], row[2] > 0) for row in ask(night, given_back)] == [(3, True)]
    asked = len(engine.asked)
    compared = json.loads(cli("plan", night.job, "--out", night.out, "--against", report.run_id[-10:], "--json").out)["lines"]
    told = {line["what"]: (line["planned"], line["actual"]) for line in compared if line["place"] == "the night"}
    assert (told["documents"], told["of them asked twice"]) == (("5", "5"), (None, "3")), "a second try is no second document"
    assert run(night).results == 5, "the same night again"
    assert len(engine.asked) == asked == 5
    assert rows(night) == EXPECTED


@pytest.mark.parametrize("when", ["given back", "given back, then collected", "not committed"])
def test_killed_on_the_way_the_same_rows(when: str, falling: Callable[..., Any], engine: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(night: Night, each: Callable[..., None], carry_all: Callable[..., None] = flows.nightly.carry_all) -> None:
        patched.setattr(flows.nightly, "carry_all", die)
        carry_all(night, each)

    night = falling("unsure", "discharge")
    with monkeypatch.context() as patched:
        if when.startswith("given back"):
            patched.setattr(flows.nightly, "carry_all", once)
        else:  # it wrote the answer as one that stays, and died before the ledger knew
            patched.setattr(flows.escalating, "_let_out", lambda *_: frozenset())
            patched.setattr(sinks.ingest, "_commit_once", die)
        with pytest.raises(KeyboardInterrupt):
            run(night)
    assert len(rows(night)) == (2 if when == "not committed" else 1)
    again = collect_job if when.endswith("collected") else run_night
    again(NightOptions(job=str(night.job), out=str(night.out)))
    assert rows(night) == {name: EXPECTED[name] for name in ("unsure.txt", "discharge.txt")}
    assert ask(night, "SELECT endpoint, count(*) FROM hand_overs GROUP BY 1 ORDER BY 1") == [("emulator", 1), ("inside", 2)]
    assert len(engine.asked) == 2


@pytest.mark.parametrize("found", ["by the estimate", "when clearing"])
def test_without_money_the_answer_from_inside_stays(
    found: str, falling: Callable[..., Any], engine: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = falling("unsure", budget_usd="{night: 0.000001}", on_budget="hold")
    if found == "when clearing":
        monkeypatch.setattr(flows.escalating, "refusal", lambda *_: None)
    assert run(night).results == 1
    assert rows(night) == KEPT
    assert ask(night, "SELECT count(*) FROM egress") == [(0,)]
    assert len(engine.asked) == (1 if found == "by the estimate" else 2), "once per record and run: no loop"
    if found == "when clearing":
        assert ask(night, "SELECT reason FROM assignments ORDER BY seq") == [("preferred",), ("budget_night",)]


@pytest.mark.parametrize("found", ["by the estimate", "when clearing"])
def test_stopped_by_an_escalated_record_the_night_stays_stopped(
    found: str, falling: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        if found == "when clearing":
            patched.setattr(flows.escalating, "refusal", lambda *_: None)
        night = falling("unsure", budget_usd="{night: 0.000001}", on_budget="stop")
        assert run(night, date="2026-11-22").stopped
    assert ask(night, "SELECT state, reason FROM entries WHERE event = 'stopped'") == [("night", "budget_night")]
    night = falling("unsure", "mute", budget_usd="{night: 9}", on_budget="stop")
    with monkeypatch.context() as patched:
        patched.setattr(flows.nightly, "collect_if_local", die)
        with pytest.raises(KeyboardInterrupt):
            run(night, date="2026-11-22")
    assert run(night, date="2026-11-22").stopped, "by the ledger, whatever the limit is now, and before the first answer is taken in"
    assert rows(night) == KEPT | {"mute.txt": ("completed", "local", "low_confidence")}
    assert ask(night, "SELECT count(*) FROM egress") == [(0,)]
    night = falling("unsure", "mute", "cut", budget_usd="{night: 9}", on_budget="stop")
    assert not run(night, date="2026-11-23").stopped, "another night"
    assert ask(night, "SELECT count(*) FROM egress") == [(1,)]


def test_what_was_given_back_before_the_stop_goes_its_way(falling: Callable[..., Any]) -> None:
    names = ("unsure", "mute")
    free = falling(*names)
    run(free)
    most = ask(free, "SELECT max(cost_usd) FROM entries WHERE event = 'submitting' AND lane = 'cloud'")[0][0]
    shutil.rmtree(free.out)
    night = falling(*names, budget_usd=f"{{night: {float(most) * 1.5}}}", on_budget="stop")
    assert run(night).stopped
    assert ask(night, "SELECT reason FROM assignments WHERE lane = 'cloud'") == [("escalated",)]
    assert sorted((lane, code) for _, lane, code in rows(night).values()) == [("cloud", None), ("local", "low_confidence")]
    assert ask(night, "SELECT count(*) FROM egress") == [(1,)]


@pytest.mark.parametrize("way", ["wait", "hold"])
def test_a_cloud_that_is_down_costs_no_document_its_answer(way: str, falling: Callable[..., Any], engine: Judge) -> None:
    night = falling("unsure", base_url="http://127.0.0.1:9/v1", on_cloud_failure=way)
    report = run(night)
    assert (report.results, report.held) == (1, 0)
    assert rows(night) == KEPT
    assert ask(night, "SELECT endpoint, reason FROM assignments ORDER BY seq") == [
        ("inside", "preferred"),
        ("emulator", "escalated"),
        ("inside", "fallback_cloud_unreachable"),
    ]
    assert len(engine.asked) == 2


@pytest.mark.slow
@pytest.mark.parametrize("segments", [7, 9, 12], ids=lambda number: f"after segment {number}")
def test_killed_at_a_ledger_transition(segments: int, falling: Callable[..., Any]) -> None:
    night = falling("unsure", "sure", "discharge")
    folder = night.ledger / "segments"
    with subprocess.Popen(night.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(folder.glob("*.parquet"))) < segments:
            time.sleep(0.001)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
    night.run()
    assert rows(night) == {name: EXPECTED[name] for name in ("unsure.txt", "sure.txt", "discharge.txt")}
    assert ask(night, "SELECT record_id FROM entries WHERE event = 'completed' GROUP BY 1 HAVING count(*) > 1") == []
    assert ask(night, "SELECT count(*) FROM entries WHERE event = 'released' AND reason = 'escalated'") == [(1,)]
    assert tally(night.out / "emulator" / "small")["openai"].creates == 1
