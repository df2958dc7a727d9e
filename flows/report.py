"""What a night reports: counts by class and destination, places, seconds. Also the object behind `waybill run --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

DESTINATIONS = ("local", "cloud", "held", "failed", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """A night in numbers. documents = results + held + failed + pending; a document counts once in each of its classes.

    unchanged: documents with a result from an earlier night, not processed again. refused: shards the gate stopped.
    stages: seconds spent in `detection`, `inference` (waiting for a lane included) and everything `other`.
    """

    run_id: str
    documents: int
    results: int
    held: int
    failed: int
    pending: int
    unchanged: int
    refused: int
    by_class: Mapping[str, Mapping[str, int]]
    output: str
    ledger: str
    seconds: float
    stages: Mapping[str, float]

    def as_json(self) -> dict[str, object]:
        """A plain tree for `json.dumps`."""
        return asdict(self)

    @property
    def exit_code(self) -> int:
        """0 done (held rows are a normal outcome), 1 when the gate had to stop a shard, 4 while cloud work is pending."""
        if self.refused:
            return 1
        return 4 if self.pending else 0
