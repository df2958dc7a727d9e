"""Which records of a run were assigned to another place than the first choice, because that one failed or had no money left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sinks.ledger.segments import Ledger
from sinks.ledger.shares import ask_by_share

FALLBACK = "fallback_"
"""The failure follows."""

# The last assignment of a record counts. One that is held after all went nowhere.
_ELSEWHERE = """
SELECT reason, endpoint, count(*)::BIGINT AS records FROM (
    SELECT a.record_id, arg_max(a.reason, a.seq) AS reason, arg_max(a.endpoint, a.seq) AS endpoint
    FROM entries a JOIN record_states s ON s.record_id = a.record_id
    WHERE a.event = 'assigned' AND s.state NOT IN ('held', 'ambiguous') GROUP BY a.record_id)
WHERE starts_with(reason, $fallback) OR list_contains($reasons, reason)
GROUP BY ALL
"""


def sent_elsewhere(ledger: Ledger | Path, run_id: str, *, reasons: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
    """{why: {endpoint that has them now: records}}. reasons: codes that count, beside every failure, which is named without FALLBACK."""
    rows = ask_by_share(ledger, ("intents", "record_states"), _ELSEWHERE, run_id=run_id, fallback=FALLBACK, reasons=sorted(reasons))
    found: dict[str, dict[str, int]] = {}
    for row in rows.sort_by([("reason", "ascending"), ("endpoint", "ascending")]).to_pylist():
        places = found.setdefault(row["reason"].removeprefix(FALLBACK), {})
        places[row["endpoint"]] = places.get(row["endpoint"], 0) + row["records"]
    return found
