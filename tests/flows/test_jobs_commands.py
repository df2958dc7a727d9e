"""`waybill jobs`, `jobs cancel`, `jobs resolve` and `audit reconcile`, over the emulator of each provider."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.errors import RequestRefusedError
from flows.job import load_job
from flows.jobs_by_hand import _check_adoption
from flows.provider_access import open_providers
from policies.load import DEFAULT_REGISTRY
from sinks.emulator.process import RunningEmulator, start_emulator
from sinks.emulator.receipts import tally
from sinks.lanes.inventory import ListedJob
from sinks.ledger.lock import one_runner
from sinks.ledger.queries import OpenIntent
from sinks.ledger.reader import reading

DOCUMENTS = {
    "clinic/discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMRN 40718823\nDiagnosis: angina, treated with aspirin.\n",
    "public/harbour.txt": "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.\n",
    "public/museum.md": "# The museum\nThe museum opened a hall on the history of navigation, with instruments from four centuries.\n",
}
PLAIN = "settings: {emulator: true}"
ENGINE = "engine: openai_batch\n    provider: emulator"
SECRET = "sk-quetzalcoatl-7719"
URL = "/v1/chat/completions"
ROLE = "arn:aws:iam::210987654321:role/batch"
CLOUD_ROWS = 2
RUNNING = {"validating", "in_progress", "Submitted", "Validating", "Scheduled", "InProgress"}
OUT_OF_ALL = {"documents": 3, "results": 3, "held": 0, "failed": 0, "pending": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A small night, the provider that it sends to, and the words of its commands."""

    night: Any
    cli: Callable[..., Any]
    emulator: RunningEmulator

    @property
    def where(self) -> tuple[object, ...]:
        return ("--job", self.night.job, "--out", self.night.out)

    def run(self, *options: str, code: int = 0, command: str = "run") -> dict[str, Any]:
        lines = self.cli(command, self.night.job, "--out", self.night.out, "--json", *options, code=code).out.splitlines()
        report: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return {name: report.get(name) for name in OUT_OF_ALL}

    def jobs(self, *options: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli("jobs", *self.where, "--format", "json", *options).out.splitlines()]

    def decide(self, command: str, intent: str, *options: str, code: int = 0) -> Any:
        return self.cli("jobs", command, intent, *self.where, "--reason", "wrong_template", "--actor", "ops", *options, code=code)

    def reconcile(self, *options: object, code: int = 0) -> list[dict[str, Any]]:
        said = self.cli("audit", "reconcile", *self.where, "--format", "json", *options, code=code)
        assert ("they agree" if code == 0 else "they do NOT agree") in said.err
        return [json.loads(line) for line in said.out.splitlines()]

    def plan(self, *faults: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.emulator.root}/_emulator/faults", data=json.dumps(faults).encode())  # noqa: S310 - our own
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert answer.status == 200

    @contextmanager
    def provider(self) -> Iterator[Any]:
        """The lane of the night's endpoint."""
        with open_providers(load_job(self.night.job, out=self.night.out), ["emulator"]) as providers:
            yield providers.lanes["emulator"]

    def events(self, *names: str) -> list[dict[str, Any]]:
        with reading(self.night.ledger) as reader:
            rows: list[dict[str, Any]] = reader.table("FROM entries ORDER BY seq").to_pylist()
        return [row for row in rows if row["event"] in names]


@pytest.fixture
def away(make_night: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Away]:
    """By the name of an engine."""
    engine = request.param
    night = make_night(DOCUMENTS, "registry: registry.yaml\n")
    more, options = "", ["--delay-s", "7200"]
    if engine == "bedrock_batch":
        s3_url, bucket = request.getfixturevalue("s3_url"), request.getfixturevalue("new_bucket")()
        more = f"bucket: {bucket}, role_arn: '{ROLE}', s3_endpoint_url: '{s3_url}', shard_min_rows: 1, "
        options += ["--s3-url", s3_url, "--min-records", "1"]
    with start_emulator(tmp_path / "provider", options=options) as emulator:
        text = DEFAULT_REGISTRY.read_text(encoding="utf-8")
        assert text.count(PLAIN) == text.count(ENGINE) == 1
        instead = f"{ENGINE.replace('openai_batch', engine)}\n    base_url: {emulator.url_of(engine)}"
        text = text.replace(PLAIN, f"settings: {{{more}reconcile_after_s: 3600}}").replace(ENGINE, instead)
        (night.job.parent / "registry.yaml").write_text(text.replace("region: loopback", "region: eu-central-1"), encoding="utf-8")
        yield Away(night=night, cli=cli, emulator=emulator)


def _rows(name: str) -> bytes:
    """A file of one row, as anybody might send it."""
    body = {"model": "extractive-emulator", "messages": [{"role": "user", "content": "A ferry."}]}
    return json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}).encode() + b"\n"


def send_as_others(lane: Any) -> str:
    """A message batch of somebody else's, as large as ours; returns its id."""
    params = {"model": "extractive-emulator", "max_tokens": 9, "messages": [{"role": "user", "content": "A ferry."}]}
    rows = b"".join(json.dumps({"custom_id": f"theirs-{row}", "params": params}).encode() + b"\n" for row in range(CLOUD_ROWS))
    batch_id: str = lane._client.create(rows)
    return batch_id


def engines(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("away", names, indirect=True)


@engines("openai_batch", "anthropic_batch", "bedrock_batch")
def test_a_job_is_listed_cancelled_and_collected_and_the_account_agrees(away: Away) -> None:
    assert away.run("--no-wait", code=4)["pending"] == CLOUD_ROWS
    (found,) = away.jobs()
    assert (found["state"], found["rows"], found["attempt"], found["overdue"], found["note"]) == ("submitted", CLOUD_ROWS, 1, False, "")
    assert found["provider"] in RUNNING
    assert float(found["settled_usd"]) == 0
    assert away.jobs("--offline") == [found | {"provider": "not asked", "done": None, "age_h": pytest.approx(found["age_h"], abs=0.1)}]
    assert away.reconcile() == []

    assert "held as cancelled_by_hand" in away.decide("cancel", found["intent_id"][:8]).out
    (asked,) = away.events("cancel_asked")
    told = {"state": "hold", "actor": "ops", "reason": "wrong_template", "provider_job_id": found["provider_job_id"]}
    assert {name: asked[name] for name in told} == told
    lines = away.jobs()
    assert len(lines) <= 1
    assert all("cancel asked by ops" in line["note"] for line in lines)
    away.emulator.advance(7200)
    collected = away.run("--wait", command="collect")
    assert (collected["pending"], collected["results"] + collected["held"]) == (0, OUT_OF_ALL["documents"])
    assert collected["held"], "a job that was stopped at once leaves rows undone, and they are not sent again"
    assert away.jobs() == away.reconcile() == []
    assert "found 0" in away.decide("cancel", found["intent_id"], code=1).err
    (sent,) = [one for one in tally(away.emulator.state).values() if one.creates]
    assert (sent.creates, sent.duplicates) == (1, {})


@engines("openai_batch")
def test_a_cancel_that_is_refused_or_ignored_leaves_the_job_open(away: Away) -> None:
    away.run("--no-wait", code=4)
    (found,) = away.jobs()
    away.plan({"at": "openai.batches.cancel", "fault": "status"}, {"at": "openai.batches.cancel", "fault": "ignored", "call": 2})
    assert "did not take the cancellation" in away.decide("cancel", found["intent_id"], code=1).err
    assert "It is open until it has ended" in away.decide("cancel", found["intent_id"], "--rest", "resend").out
    as_written = away.night.job.read_text()
    away.night.job.write_text(f"{as_written}deadline_h: 0.0001\n")
    (line,) = away.jobs()
    away.night.job.write_text(as_written)
    assert (line["state"], line["provider"], line["overdue"]) == ("submitted", found["provider"], True)
    assert line["note"].startswith("OVERDUE; cancel asked by ops")
    assert line["note"].endswith("rest: resend")
    assert [entry["state"] for entry in away.events("cancel_asked")] == ["hold", "resend"]
    away.emulator.advance(7200)
    assert away.run("--wait", command="collect") == OUT_OF_ALL, "it was ignored, so it was done, and is taken in"


@engines("openai_batch")
def test_a_hand_over_in_doubt_is_adopted_as_the_job_that_carries_it(away: Away) -> None:
    away.plan({"at": "openai.batches.create", "fault": "drop_after"})
    away.run("--no-wait")
    (found,) = away.jobs()
    assert (found["state"], found["note"]) == ("ambiguous", "the next run adopts it")
    ours, intent = found["provider_job_id"], found["intent_id"]
    assert [(one["code"], one["subject"]) for one in away.reconcile(code=1)] == [("unadopted_job", ours)]
    assert f"the provider lists its job {ours}" in away.decide("resolve", intent, "--as", "not-submitted", code=1).err
    assert "nobody knows its job" in away.decide("cancel", intent, code=1).err
    with away.provider() as lane:
        client = lane._client
        foreign = client.create(client.upload("theirs.jsonl", _rows("a")), url=URL, metadata={"who": "theirs"})
        ending = client.create(client.upload(f"{intent}.jsonl", _rows("b")), url=URL, metadata={"intent": intent, "digest": "00"})
        short = client.create(client.upload(f"{'0' * 32}.jsonl", _rows("c")), url=URL, metadata={"intent": "0" * 32})
    refused = {
        foreign: "somebody else's job",
        ending: "another digest",
        short: f"carries the hand-over {'0' * 32}",
        "batch_x/../files": "as",
    }
    for job_id, why in refused.items():
        assert why in away.decide("resolve", intent, "--as", f"submitted:{job_id}", code=1).err
    assert {(one["code"], one["subject"]) for one in away.reconcile(code=1)} >= {
        ("not_ours", foreign),
        ("unknown_job", short),
        ("unadopted_job", ours),
    }
    before = away.events("submitted", "cancelled", "rejected")
    said = away.decide("resolve", intent[:8], "--as", f"submitted:{ours}")
    assert "could not be found out" in said.err, "the listing shows the intent with another digest, which the recovery refuses too"
    (entered,) = away.events("submitted", "cancelled", "rejected")[len(before) :]
    told = {"event": "submitted", "actor": "ops", "reason": "wrong_template", "detail_code": "by_hand", "provider_job_id": ours}
    assert {name: entered[name] for name in told} == told
    assert "its job is known" in away.decide("resolve", intent, "--as", "not-submitted", code=1).err
    away.emulator.advance(7200)
    assert away.run("--wait", command="collect") == OUT_OF_ALL
    assert {one["code"] for one in away.reconcile(code=1)} == {"not_ours", "unknown_job", "second_job", "file_not_deleted"}


@engines("openai_batch")
def test_a_hand_over_that_never_arrived_is_given_up_and_sent_anew(away: Away) -> None:
    away.plan({"at": "openai.batches.create", "fault": "drop_before"})
    away.run("--no-wait")
    (found,) = away.jobs()
    assert (found["state"], found["provider"]) == ("ambiguous", "not listed")
    intent = found["intent_id"]
    away.plan({"at": "openai.batches.list", "fault": "status"})
    assert "--unsafe-unlisted" in away.decide("resolve", intent, "--as", "not-submitted", code=1).err
    assert "paid twice" in away.decide("resolve", intent, "--as", "not-submitted").out.replace("\n", " ")
    (entered,) = away.events("rejected")
    told = {"actor": "ops", "reason": "wrong_template", "detail_code": "by_hand", "state": "not_found"}
    assert {name: entered[name] for name in told} == told
    assert away.jobs() == away.reconcile() == [], "the upload was swept"
    assert away.run("--no-wait", code=4)["pending"] == CLOUD_ROWS
    (again,) = away.jobs()
    assert (again["attempt"], again["state"]) == (2, "submitted")


@engines("anthropic_batch")
def test_where_the_provider_cannot_tell_a_person_may(away: Away) -> None:
    away.plan({"at": "anthropic.batches.create", "fault": "drop_after"})
    away.run("--no-wait")
    (found,) = away.jobs()
    assert (found["state"], found["provider"], found["provider_job_id"]) == ("ambiguous", "cannot be told", None)
    (untold,) = away.reconcile(code=1)
    assert untold["code"] == "cannot_be_told"
    assert "may be that of intent" in away.decide("resolve", found["intent_id"], "--as", "not-submitted", code=1).err
    said = away.decide("resolve", found["intent_id"], "--as", f"submitted:{untold['subject']}")
    assert "cannot show whose job it is" in said.err
    away.emulator.advance(7200)
    assert away.run("--wait", command="collect") == OUT_OF_ALL
    assert away.reconcile() == []


@engines("anthropic_batch")
def test_a_job_of_others_of_the_same_size_is_refused_or_found_out(away: Away) -> None:
    """The API keeps no metadata: until it has ended, nothing shows whose a batch is."""
    away.plan({"at": "anthropic.batches.create", "fault": "drop_after"})
    away.run("--no-wait")
    (found,) = away.jobs()
    with away.provider() as lane:
        theirs = send_as_others(lane)
    assert "cannot show whose job it is" in away.decide("resolve", found["intent_id"], "--as", f"submitted:{theirs}").err
    away.emulator.advance(7200)
    held = away.run("--wait", command="collect")
    assert (held["results"], held["held"], away.jobs()) == (1, CLOUD_ROWS, []), "nothing is sent in the place of ours"
    assert {entry["reason"] for entry in away.events("held")} == {"foreign_job"}
    with away.provider() as lane:
        assert lane.look(theirs).ended, "what is not ours is not deleted"
    assert away.run("--wait", command="collect") == OUT_OF_ALL, "ours was found by its rows"
    (sent,) = [one for one in tally(away.emulator.state).values() if one.creates]
    assert sent.creates == 2  # one of them theirs


@engines("anthropic_batch")
def test_a_job_that_shows_itself_as_that_of_others_is_not_adopted(away: Away) -> None:
    away.plan({"at": "anthropic.batches.create", "fault": "drop_before"})
    away.run("--no-wait")
    (found,) = away.jobs()
    with away.provider() as lane:
        theirs = send_as_others(lane)
        away.emulator.advance(7200)
        while not lane.look(theirs).ended:
            time.sleep(0.05)
    assert "somebody else's job" in away.decide("resolve", found["intent_id"], "--as", f"submitted:{theirs}", code=1).err
    assert theirs not in {entry["provider_job_id"] for entry in away.events("submitted")}


def test_nobody_answers(make_night: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path) -> None:
    """Asked about a ledger whose provider is gone: said, and no crash."""
    night = make_night(DOCUMENTS, "registry: registry.yaml\n")
    bundled = DEFAULT_REGISTRY.read_text(encoding="utf-8")
    with start_emulator(tmp_path / "provider", options=["--delay-s", "7200"]) as emulator:
        key = tmp_path / "provider.key"
        key.touch(mode=0o600)
        key.write_text(f"{SECRET}\n")
        reached = f"{ENGINE}\n    base_url: {emulator.base_url}\n    secret: file:{key}"
        (tmp_path / "registry.yaml").write_text(bundled.replace(ENGINE, reached), encoding="utf-8")
        cli("run", night.job, "--out", night.out, "--no-wait", code=4)
    where = ("--job", night.job, "--out", night.out)
    said = cli("jobs", *where)
    assert "unreachable" in said.out
    assert "endpoint emulator could not be asked: " in said.err
    (line,) = cli("jobs", "--ledger", night.ledger, "--format", "json").out.splitlines()
    assert json.loads(line)["provider"] == "not asked"
    (found,) = map(json.loads, cli("audit", "reconcile", *where, "--format", "json", code=1).out.splitlines())
    assert found["code"] == "unreachable"
    intent = json.loads(line)["intent_id"]
    assert "no usable answer" in cli("jobs", "cancel", intent, *where, "--reason", "late", code=1).err
    assert cli("jobs", "cancel", intent, *where, "--reason", "A sentence.", code=1).err.startswith("waybill: --reason")
    with one_runner(night.ledger, "small"):
        assert "already running" in cli("jobs", "cancel", intent, *where, "--reason", "late", code=1).err
    assert "no ledger here" in cli("jobs", "--job", night.job, "--out", tmp_path / "elsewhere", code=1).err
    written = b"".join(path.read_bytes() for path in [*night.out.rglob("*"), *emulator.state.rglob("*")] if path.is_file())
    assert SECRET.encode() not in written


@pytest.mark.parametrize(("mark", "age", "said"), [(None, 2, "before the hand-over"), (None, 0, ""), ("0" * 12, 2, "")])
def test_a_job_that_is_older_than_the_hand_over_must_show_its_rows(mark: str | None, age: int, said: str) -> None:
    """One whose results are archived shows nothing: all of the hand-over would count as lost, and be sent again beside its own job."""
    at = datetime(2026, 11, 22, 3, tzinfo=UTC)
    intent = OpenIntent(
        intent_id="0" * 32,
        run_id="n",
        endpoint="e",
        attempt=1,
        state="ambiguous",
        at=at,
        provider_job_id=None,
        shard_hmac=None,
        record_ids=("r",),
    )
    shown = ListedJob(job_id="b1", state="ended", ended=True, mark=mark, created_at=at - timedelta(hours=age), total=1)
    if not said:
        assert len(list(_check_adoption(shown, intent))) == (mark is None)
        return
    with pytest.raises(RequestRefusedError, match=said):
        list(_check_adoption(shown, intent))
