"""A hand-over without an answer: its job is looked for, adopted once, and given up only after two listings some time apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.clients.openai_client import BatchJob
from sinks.errors import EndpointError
from sinks.handover import HandOverState
from sinks.lanes import Sought
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import open_intents
from sinks.reconcile import OnAmbiguous, ReconcileReport, reconcile
from sinks.shard import FrozenShard
from tests.sinks.egress.kill import KilledError, killed
from tests.sinks.egress.small_night import RUN


def lost(scene: Any, drop: Callable[[], None]) -> FrozenShard:
    """A hand-over that never reached the provider's batches; only its upload did."""
    scene.provider.before_create = drop
    shard: FrozenShard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.before_create = lambda: None
    return shard


def test_not_found_needs_two_listings_some_time_apart(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    assert scene.recover().waiting == (shard.intent_id,)
    scene.later(seconds=119)
    assert scene.recover().waiting == (shard.intent_id,)
    assert set(scene.states().values()) == {"ambiguous"}
    scene.later(seconds=1)
    assert scene.recover().not_found == (shard.intent_id,)
    assert set(scene.states().values()) == {"rejected"}
    assert scene.provider.files == {}  # the orphan upload was swept
    assert scene.recover() == ReconcileReport()


def test_a_job_that_shows_in_the_second_listing_is_adopted(scene: Any, drop: Callable[[], None]) -> None:
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.listing = lambda _: []  # the listing lags behind
    assert scene.recover().waiting == (shard.intent_id,)
    scene.provider.listing = lambda jobs: jobs
    scene.later(seconds=120)
    assert scene.recover().adopted == (shard.intent_id,)


@pytest.mark.parametrize("changes", [{"provider": "emulator"}, {"settings": {"reconcile_after_s": 0}}], ids=["emulator", "setting"])
def test_without_a_wait_two_listings_follow_at_once(scene: Any, cloud: Endpoint, drop: Callable[[], None], changes: dict[str, Any]) -> None:
    endpoint = replace(cloud, **changes)
    scene.registry[cloud.name] = endpoint
    scene.provider.before_create = drop
    shard = scene.frozen(endpoint=endpoint)
    scene.hand_over(shard)
    listings: list[int] = []

    def listing(jobs: list[BatchJob]) -> list[BatchJob]:
        listings.append(len(jobs))
        return jobs

    scene.provider.listing = listing
    assert scene.recover().not_found == (shard.intent_id,)
    assert len(listings) == 2


def test_hold_waits_for_a_person(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    scene.recover(on_ambiguous=OnAmbiguous.HOLD)
    scene.later(hours=1)
    for _ in range(2):
        assert scene.recover(on_ambiguous=OnAmbiguous.HOLD).held == (shard.intent_id,)
    assert set(scene.states().values()) == {"ambiguous"}
    assert sum(entry["state"] == "held" for entry in scene.events(Event.AMBIGUOUS)) == 1
    assert len(scene.provider.files) == 1  # nothing is swept under a person's eyes


def test_of_two_jobs_the_earliest_is_adopted_and_the_other_stopped(scene: Any, drop: Callable[[], None]) -> None:
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.add("file_1", scene.provider.jobs["batch_1"].metadata)
    report = scene.recover()
    assert (report.adopted, report.stopped) == ((shard.intent_id,), ("batch_2",))
    assert scene.provider.cancelled == ["batch_2"]
    (intent,) = open_intents(scene.ledger)
    assert (intent.state, intent.provider_job_id) == ("submitted", "batch_1")
    (entry,) = scene.events(Event.CANCELLED)
    assert (entry["provider_job_id"], entry["detail_code"]) == ("batch_2", "extra_job")


def test_killed_while_stopping_the_second_job_leaves_nothing_to_resend(scene: Any, drop: Callable[[], None], monkeypatch: Any) -> None:
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.add("file_1", scene.provider.jobs["batch_1"].metadata)
    monkeypatch.setattr(scene.lane, "cancel", lambda _: killed())
    with pytest.raises(KilledError):
        scene.recover()
    assert set(scene.states().values()) == {"ambiguous"}
    monkeypatch.undo()
    assert scene.recover().adopted == (shard.intent_id,)


def test_a_late_orphan_is_adopted_while_nothing_was_sent_in_its_place(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    scene.recover()
    scene.later(seconds=120)
    scene.recover()
    scene.provider.add("file_9", {"intent": shard.intent_id, "digest": scene.events(Event.SUBMITTING)[0]["shard_hmac"]})
    assert scene.recover().adopted == (shard.intent_id,)
    assert set(scene.states().values()) == {"submitted"}
    assert scene.provider.cancelled == []


def test_a_late_orphan_is_stopped_and_counted_once_its_records_were_sent_again(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    scene.recover()
    scene.later(seconds=120)
    scene.recover()
    scene.hand_over(scene.again())
    orphan = scene.provider.add("file_9", {"intent": shard.intent_id, "digest": scene.events(Event.SUBMITTING)[0]["shard_hmac"]})
    assert scene.recover() == ReconcileReport(stopped=(orphan,))
    assert scene.provider.cancelled == [orphan]
    assert set(scene.states().values()) == {"submitted"}
    (intent,) = open_intents(scene.ledger)
    assert intent.provider_job_id == "batch_1"
    assert scene.recover() == ReconcileReport()


def test_an_intent_is_watched_for_two_days(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    scene.recover()
    scene.later(seconds=120)
    scene.recover()
    scene.provider.add("file_9", {"intent": shard.intent_id, "digest": scene.events(Event.SUBMITTING)[0]["shard_hmac"]})
    scene.now += timedelta(hours=49)
    assert scene.recover() == ReconcileReport()


def test_a_listing_that_repeats_itself_proves_nothing(scene: Any, drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    shard = lost(scene, drop)
    scene.provider.add("file_8", {"intent": "another"})
    monkeypatch.setattr(scene.provider, "batch_page", lambda _: (list(scene.provider.jobs.values()), True))
    for _ in range(2):
        scene.later(hours=1)
        assert scene.recover().unreachable == (shard.intent_id,)
    assert set(scene.states().values()) == {"ambiguous"}


def test_a_provider_that_cannot_be_asked_keeps_the_intent_open(
    scene: Any, drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = lost(scene, drop)

    def down(_: object) -> None:
        raise EndpointError("no usable answer")

    monkeypatch.setattr(scene.provider, "batch_page", down)
    assert scene.recover().unreachable == (shard.intent_id,)
    assert reconcile(scene.ledger, {}, scene.registry, now=scene.now).unreachable == (shard.intent_id,)
    assert set(scene.states().values()) == {"ambiguous"}


def test_a_job_with_our_intent_and_another_digest_is_left_to_a_person(scene: Any, drop: Callable[[], None]) -> None:
    shard = lost(scene, drop)
    scene.provider.add("file_9", {"intent": shard.intent_id, "digest": "0" * 32})
    assert scene.recover().unreachable == (shard.intent_id,)


def test_a_server_that_keeps_no_metadata_is_matched_by_the_uploads_name(scene: Any, drop: Callable[[], None]) -> None:
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.jobs = {job_id: replace(job, metadata={}) for job_id, job in scene.provider.jobs.items()}
    assert scene.recover().adopted == (shard.intent_id,)


def test_the_listing_is_paged_past_newer_jobs(scene: Any, drop: Callable[[], None]) -> None:
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    for number in range(7):
        scene.provider.add("file_8", {"intent": f"other-{number}"})
    assert scene.recover().adopted == (shard.intent_id,)


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
def test_the_order_of_the_listing_does_not_hide_a_job(scene: Any, drop: Callable[[], None], oldest_first: bool) -> None:  # noqa: FBT001
    for number in range(5):  # jobs of long ago
        scene.provider.add("file_8", {"intent": f"old-{number}"}, at=scene.now - timedelta(days=9))
    scene.provider.after_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    if oldest_first:
        scene.provider.listing = lambda jobs: jobs[::-1]
    assert scene.recover().adopted == (shard.intent_id,)


def test_a_lane_is_told_what_to_look_for_and_which_jobs_belong_to_others(
    scene: Any, drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sought] = []

    def find(sought: Sought) -> list[str]:
        asked.append(sought)
        return []

    monkeypatch.setattr(scene.lane, "find", find)
    shard = lost(scene, drop)
    digest = scene.events(Event.SUBMITTING)[0]["shard_hmac"]
    begun = {"at": scene.now, "attempt": 1, "endpoint": "cloud-test"}
    scene.ledger.commit(
        [
            Entry(event=Event.SUBMITTED, run_id="of-last-night", intent_id="a" * 32, provider_job_id="batch_8", state="submitted", **begun),
            Entry(event=Event.SUBMITTED, run_id=RUN, intent_id="b" * 32, provider_job_id="b" * 32, state="submitted", **begun),
        ]
    )
    assert scene.recover().waiting == (shard.intent_id,)
    assert asked == [Sought(intent_id=shard.intent_id, digest=digest, since=scene.now, rows=3, known=frozenset({"batch_8"}))]


def test_a_new_attempt_spends_a_new_clearance_at_the_same_gate(scene: Any, drop: Callable[[], None]) -> None:
    lost(scene, drop)
    scene.recover()
    scene.later(seconds=120)
    scene.recover()
    outcome = scene.hand_over(scene.again())
    assert outcome.state is HandOverState.SUBMITTED
    attempts = {(entry["intent_id"], entry["attempt"]) for entry in scene.events(Event.SUBMITTING)}
    assert {attempt for _, attempt in attempts} == {1, 2}
    assert len(attempts) == 2
