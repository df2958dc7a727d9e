"""Records too few for a job of their provider: they wait for the next batch, and at the end of a pass go elsewhere or are held.

Amazon Bedrock takes no job of fewer than 100 records. Nothing is padded. What is left is assigned to an endpoint without a minimum, if
the decision permits one, with a new clearance, and passes the gate like any other (invariant 3); else it is held, for the next night to
take up with its own. Until then such a record is `cleared` in the ledger: a night killed here decides it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flows.clearing import Cleared, assignment_entries, clear_judged
from flows.collecting import collect_if_local
from flows.fallback import waits
from flows.night import Night
from flows.submitting import freeze_records, hand_over
from sinks.packing import ShardLimits

BELOW_MINIMUM = "below_provider_minimum"


def carry_short(night: Night) -> None:
    """Send what waits elsewhere, or hold it: assign → clear → ledger → freeze → gate → lane → collect."""
    while night.short:
        _, waiting = night.short.popitem()
        cleared = _elsewhere(night, waiting)
        night.ledger.commit(assignment_entries(night, cleared))
        for shard in freeze_records(night, cleared):
            intent = hand_over(night, shard)
            collect_if_local(night, intent)


def _elsewhere(night: Night, records: Sequence[Cleared]) -> list[Cleared]:
    """The records under another assignment, or held."""
    among = [endpoint for endpoint in night.endpoints if ShardLimits.of(endpoint).min_rows == 1]
    judged = [(record.document, record.evidence, record.decision) for record in records]
    return [_as_short(cleared) for cleared in clear_judged(night, judged, among=among)]


def _as_short(cleared: Cleared) -> Cleared:
    if cleared.clearance is None:
        return cleared if waits(cleared.held_reason) else replace(cleared, held_reason=BELOW_MINIMUM)
    return replace(cleared, assignment=replace(cleared.assignment, reason=BELOW_MINIMUM))
