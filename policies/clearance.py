"""Assignment → clearance: permission for one exact payload to go to one endpoint, once.

The id is a digest of what is permitted, so that the same payload in the same attempt never has two clearances, on any machine, after any
restart. The gate spends it (invariant 3); this module only refuses what the decision does not permit.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal

from policies.assign import permits
from policies.errors import ClearanceError
from policies.model import Assignment, Clearance, Decision

KEYED_DIGEST = re.compile(r"[0-9a-f]{32,128}")


def clear(
    decision: Decision,
    assignment: Assignment,
    *,
    run_id: str,
    payload_hmac: str,
    payload_bytes: int,
    attempt: int,
    today: date,
    reserved_usd: Decimal | None = None,
) -> Clearance:
    """Clear one payload. Raises ClearanceError when decision and assignment do not permit it today."""
    endpoint = assignment.endpoint
    if assignment.record_id != decision.record_id:
        raise _refusal(decision, "record_mismatch", "the assignment is for another record; assign this one again")
    if endpoint is None:
        raise _refusal(decision, assignment.reason, "no endpoint is assigned; the record is held")
    refusal = permits(decision, endpoint, today=today)
    if refusal is not None:
        raise _refusal(decision, refusal, f"endpoint {endpoint.name} is not permitted; assign the record again")
    if not KEYED_DIGEST.fullmatch(payload_hmac) or payload_bytes < 1 or attempt < 1:
        raise _refusal(decision, "malformed", "expected a keyed hex digest, a length and an attempt of at least 1")
    return Clearance(
        clearance_id=clearance_id(run_id, decision.record_id, endpoint.name, payload_hmac, attempt),
        record_id=decision.record_id,
        endpoint=endpoint.name,
        lane=endpoint.lane,
        payload_hmac=payload_hmac,
        payload_bytes=payload_bytes,
        attempt=attempt,
        reserved_usd=reserved_usd,
    )


def clearance_id(run_id: str, record_id: str, endpoint: str, payload_hmac: str, attempt: int) -> str:
    """128 bits of SHA-256, hex, over the length-prefixed fields (a separator alone would be ambiguous)."""
    fields = [value.encode() for value in (run_id, record_id, endpoint, payload_hmac, str(attempt))]
    prefixed = b"".join([len(encoded).to_bytes(8, "big") + encoded for encoded in fields])
    return hashlib.sha256(b"waybill clearance v1" + prefixed).hexdigest()[:32]


def _refusal(decision: Decision, code: str, advice: str) -> ClearanceError:
    return ClearanceError(f"record {decision.record_id}: clearance refused ({code}): {advice}", code=code)
