"""Handing over once: whatever happens between the commits, one job at the provider and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.errors import EndpointError, LedgerUnavailableError, RejectedError
from sinks.handover import HandOverState
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import open_intents
from sinks.reconcile import ReconcileReport
from tests.sinks.egress.kill import KilledError, killed


def test_a_hand_over_is_one_upload_one_create_and_three_commits(scene: Any) -> None:
    shard = scene.frozen()
    content = shard.path.read_bytes()
    outcome = scene.hand_over(shard)
    assert (outcome.state, outcome.provider_job_id) == (HandOverState.SUBMITTED, "batch_1")
    assert (scene.provider.uploads, scene.provider.creates) == (1, 1)
    assert scene.provider.files == {"file_1": (f"{shard.intent_id}.jsonl", content)}
    job = scene.provider.jobs["batch_1"]
    assert job.metadata == {"intent": shard.intent_id, "digest": scene.ledger.keys.hmac("shard", content)}
    assert [entry["event"] for entry in scene.events(Event.SUBMITTING, Event.SUBMITTED)] == ["submitting"] * 3 + ["submitted"]
    (intent,) = open_intents(scene.ledger)
    assert (intent.state, intent.provider_job_id, intent.record_ids) == ("submitted", "batch_1", ("r-ada", "r-bob", "r-cyd"))
    assert scene.recover() == ReconcileReport()


def test_the_intent_is_durable_before_the_first_byte_leaves(scene: Any) -> None:
    seen: list[int] = []
    scene.provider.before_create = lambda: seen.append(len(scene.events(Event.SUBMITTING)))
    scene.hand_over(scene.frozen())
    assert seen == [3]


def test_a_definite_refusal_frees_the_records(scene: Any) -> None:
    def refuse() -> None:
        raise RejectedError("http_400")

    scene.provider.before_create = refuse
    shard = scene.frozen()
    outcome = scene.hand_over(shard)
    assert (outcome.state, outcome.code) == (HandOverState.REJECTED, "http_400")
    assert set(scene.states().values()) == {"rejected"}
    assert scene.provider.files == {}  # the upload went with it
    assert not shard.path.exists()
    scene.provider.before_create = lambda: None
    assert scene.hand_over(scene.again()).state is HandOverState.SUBMITTED


def test_an_unusable_endpoint_is_rejected_and_said(scene: Any) -> None:
    def unusable() -> None:
        raise EndpointError("endpoint host must be local")

    scene.provider.before_create = unusable
    with pytest.raises(EndpointError, match="must be local"):
        scene.hand_over(scene.frozen())
    (entry,) = scene.events(Event.REJECTED)
    assert entry["detail_code"] == "endpoint_unusable"
    assert set(scene.states().values()) == {"rejected"}


def test_a_drop_after_the_providers_commit_is_ambiguous_and_then_adopted(scene: Any, drop: Callable[[], None]) -> None:
    scene.provider.after_create = drop
    outcome = scene.hand_over(scene.frozen())
    assert (outcome.state, outcome.code) == (HandOverState.AMBIGUOUS, "connection_lost")
    assert set(scene.states().values()) == {"ambiguous"}
    report = scene.recover()
    assert report == ReconcileReport(adopted=(outcome.intent_id,))
    assert set(scene.states().values()) == {"submitted"}
    assert scene.provider.creates == 1


@pytest.mark.parametrize("moment", ["after_create", "before_create"])
def test_killed_between_submitting_and_submitted(scene: Any, moment: str) -> None:
    setattr(scene.provider, moment, killed)
    shard = scene.frozen()
    with pytest.raises(KilledError):
        scene.hand_over(shard)
    assert set(scene.states().values()) == {"submitting"}
    setattr(scene.provider, moment, lambda: None)
    if moment == "after_create":
        assert scene.recover().adopted == (shard.intent_id,)
    else:
        assert scene.recover().waiting == (shard.intent_id,)
        scene.later(seconds=120)
        assert scene.recover().not_found == (shard.intent_id,)
        scene.hand_over(scene.again())
    assert len(scene.provider.jobs) == 1
    assert set(scene.states().values()) == {"submitted"}


def test_a_ledger_that_dies_after_the_request_loses_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    commit = scene.ledger.commit

    def dying(entries: list[Entry], **options: Any) -> int:
        if entries[0].event is Event.SUBMITTED:
            raise LedgerUnavailableError("no space left on device")
        return int(commit(entries, **options))

    monkeypatch.setattr(scene.ledger, "commit", dying)
    with pytest.raises(LedgerUnavailableError):
        scene.hand_over(shard)
    monkeypatch.setattr(scene.ledger, "commit", commit)
    assert scene.recover().adopted == (shard.intent_id,)
    assert scene.provider.creates == 1


def test_local_work_without_an_outcome_is_simply_done_again(scene: Any, local: Endpoint) -> None:
    scene.provider.before_create = killed
    shard = scene.frozen(endpoint=local)
    with pytest.raises(KilledError):
        scene.hand_over(shard)
    assert scene.recover().not_found == (shard.intent_id,)
    assert set(scene.states().values()) == {"rejected"}


def test_a_local_job_that_died_with_its_process_is_done_again(scene: Any, local: Endpoint) -> None:
    shard = scene.frozen(endpoint=local)
    scene.hand_over(shard)
    assert scene.recover() == ReconcileReport()
    scene.provider.jobs.clear()
    assert scene.recover().not_found == (shard.intent_id,)
