"""What a night reports: counts by class and destination, places, seconds. Also the object behind `waybill run --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from sinks.ledger.spending import EndpointCost

DESTINATIONS = ("local", "cloud", "held", "failed", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedEndpoint:
    """An endpoint that took nothing more in this start. failure: why. way: what the job says then: the other lane, wait, or hold."""

    endpoint: str
    failure: str
    way: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """A night in numbers. documents = results + held + failed + pending; a document counts once in each of its classes.

    unchanged: documents with a result from an earlier night, not processed again. refused: shards the gate stopped.
    unanchored: anchors that did not take the ledger's newest checkpoint.
    stages: seconds spent in `detection`, `inference` (waiting for a lane included) and everything `other`. costs: of this run, by
    endpoint. budget: for `night` and `month`, where the job limits it, what is committed and the limit, in US dollars.
    held_for, failed_for: how many, by reason. closed: see ClosedEndpoint. elsewhere: by what was wrong with the first choice, how many
    records which endpoint has instead. stopped: the budget let nothing more go to a provider (`on_budget: stop`).
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
    unanchored: int = 0
    costs: Sequence[EndpointCost] = ()
    budget: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    held_for: Mapping[str, int] = field(default_factory=dict)
    failed_for: Mapping[str, int] = field(default_factory=dict)
    closed: Sequence[ClosedEndpoint] = ()
    elsewhere: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    stopped: bool = False

    def as_json(self) -> dict[str, object]:
        """A plain tree for `json.dumps`; dollars are text, so that nobody's float comes between."""
        costs = [
            {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in asdict(one).items()} for one in self.costs
        ]
        budget = {
            name: {"committed_usd": format(committed, "f"), "limit_usd": format(limit, "f")}
            for name, (committed, limit) in self.budget.items()
        }
        return asdict(self) | {"costs": costs, "budget": budget}

    @property
    def exit_code(self) -> int:
        """0 done (held rows are a normal outcome), 1 when the gate had to stop a shard, 4 while cloud work is pending."""
        if self.refused:
            return 1
        return 4 if self.pending else 0
