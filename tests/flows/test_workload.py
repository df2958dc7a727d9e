"""What a strategy is told of the work inside: speed, what waits, what is reserved for restricted records to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.workload import Workload
from policies.assign import RecordFacts
from policies.model import Decision, Lane
from policies.strategies.reserve import reserve
from sinks.ledger.queries import OpenIntent

FACTS = RecordFacts(tokens_in=60, tokens_out=40)


def decision(*lanes: Lane) -> Decision:
    return Decision(record_id="r", data_classes=(), lanes=lanes, rule="", policy_hash="", detectors_hash="")


def intent(name: str, endpoint: str, records: int) -> OpenIntent:
    return OpenIntent(
        intent_id=name,
        run_id="run",
        endpoint=endpoint,
        attempt=1,
        state="submitted",
        at=datetime.now(UTC),
        provider_job_id=name,
        shard_hmac=None,
        record_ids=("r",) * records,
    )


@pytest.fixture
def load() -> Workload:
    return Workload(ends_at=datetime.now(UTC) + timedelta(hours=1), inside=frozenset({"inside"}), speeds={"inside": 50.0})


def test_restricted_work_to_come_is_estimated_from_what_came(load: Workload) -> None:
    load.begin(5)
    load.carried([], [])  # nothing is due in it: a night that goes on after a kill
    load.carried([decision(Lane.LOCAL), decision(Lane.LOCAL, Lane.CLOUD), decision()], [FACTS] * 3)
    assert load.capacity().reserved_tokens == reserve([100.0], 3) > 300, "100 tokens in the one batch that counts, three are to come"
    load.carried([decision(Lane.LOCAL, Lane.CLOUD)], [FACTS])
    assert load.capacity().reserved_tokens == reserve([100.0, 0.0], 2) > 100
    load.begin(5)
    load.carried([decision(Lane.LOCAL)], [FACTS])
    assert load.capacity().reserved_tokens == 0, "in a later pass all restricted records have been assigned"


def test_what_waits_inside_is_counted_until_it_has_ended(load: Workload) -> None:
    load.carried([decision(Lane.LOCAL)] * 2, [FACTS, RecordFacts(tokens_in=260, tokens_out=40)])
    for one in (intent("a", "inside", 3), intent("b", "inside", 4), intent("c", "emulator", 9)):
        load.saw(one, ended=False)
    assert load.capacity().queued_tokens == {"inside": 7 * 200}
    load.saw(intent("a", "inside", 3), ended=True)
    found = load.capacity()
    assert (found.queued_tokens, found.tokens_per_s) == ({"inside": 4 * 200}, {"inside": 50.0})
    assert 3500 < found.seconds_left <= 3600


def test_past_the_deadline_no_time_is_left(load: Workload) -> None:
    load.ends_at = datetime.now(UTC) - timedelta(hours=1)
    assert load.capacity().seconds_left == 0
