"""The strategy `waterfall`: which answers from inside are asked for again in the cloud, and which stay and are marked for review.

- An answer is doubted when its confidence is below the job's limit, when it reports none, or when it is no result at all.
- Only what its decision lets out, to an open endpoint of the job and within the budget, is given back. It is then decided, assigned and
  cleared, and passes the gate, like any other record. A restricted record stays, and its result says `low_confidence`.
- Once per record and run: what comes back from inside after that stays, so there is no loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from flows.budgeting import enter_spent, stop_entries
from flows.night import Night
from policies.assign import permits
from policies.budget import SPENT, refusal
from policies.model import Endpoint, Lane
from policies.prices import caches
from policies.strategies.calibration import is_below
from sinks.egress import stated_decision
from sinks.ingest import Doubts
from sinks.ledger.escalations import escalated
from sinks.ledger.facts import RecordFacts, gate_facts
from sinks.shard import LaneResult


def escalates(night: Night, endpoint: Endpoint) -> bool:
    """Whether answers of this endpoint are weighed. Those of a second look are not."""
    return night.job.lanes.strategy == "waterfall" and endpoint.lane is Lane.LOCAL and night.keep is None


def weigh(night: Night, results: Mapping[str, LaneResult]) -> Doubts:
    """What becomes of doubted answers. results: by record id, failed ones too."""
    doubted = [name for name, one in results.items() if one.error_code is not None or is_below(one.confidence, night.escalate_below)]
    if not doubted:
        return Doubts()
    before = escalated(night.ledger, night.run_id)
    out = _let_out(night, [name for name in doubted if name not in before])
    return Doubts(escalated=out, low=frozenset(doubted) - out)


def _let_out(night: Night, record_ids: Sequence[str]) -> frozenset[str]:
    """Those of the records that a way leads out for, each with the room in the budget that it may need.

    What it needs is estimated from the bytes that were sent inside. It is reserved until the pass ends; what counts is reserved when the
    record is cleared for the cloud.
    """
    ways = [one for one in night.endpoints if one.lane is Lane.CLOUD and one.name not in night.closed]
    if not ways or not record_ids:
        return frozenset()
    facts = gate_facts(night.ledger, night.run_id, record_ids).records
    return frozenset(name for name in record_ids if name in facts and _leads_out(night, facts[name], ways))


def _leads_out(night: Night, record: RecordFacts, ways: Sequence[Endpoint]) -> bool:
    """Whether one of the ways is open to the record and has room. One that finds no room anywhere does not fit the budget."""
    decision = stated_decision(record)
    if night.stopped or decision is None or (record.expiry is not None and record.expiry <= datetime.now(UTC)):
        return False
    spent: list[tuple[str, Endpoint]] = []
    for endpoint in ways:
        if permits(decision, endpoint, today=night.today) is not None:
            continue
        price, size = night.prices.of(endpoint, night.today), max((one.payload_bytes or 0 for one in record.clearances), default=0)
        bound = None if price is None else price.bound(size, night.prompt.max_tokens, caching=caches(endpoint))
        code = refusal(night.job.budget, night.committed, bound, endpoint.name)
        if code is None:
            night.committed = night.committed.plus(bound or Decimal(0), endpoint.name)
            return True
        if code in SPENT:
            spent.append((code, endpoint))
    for code, endpoint in spent:
        enter_spent(night, code, endpoint)
    night.ledger.commit(stop_entries(night))
    return False
