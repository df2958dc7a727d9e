"""What a question about money is put to: a ledger, a price file and a registry, by name or as a job file has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from flows.cost_report import Asked
from flows.errors import JobError
from flows.job import load_job
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint, Lane
from policies.prices import DEFAULT_PRICES, Prices, load_prices
from policies.registry import load_registry

DEFAULT_LEDGER = Path("out/ledger")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSources:
    """Where figures come from. cloud: the endpoint to compare with, where one is named; cloud_of_job: a job's own."""

    ledger: Path
    prices: Prices
    registry: Mapping[str, Endpoint]
    cloud: str | None
    cloud_of_job: Mapping[str, tuple[str, ...]]

    def asked(self, *, by: str, since: date | None, until: date | None) -> Asked:
        """A question to them."""
        return Asked(by=by, since=since, until=until, cloud=self.cloud, cloud_of_job=self.cloud_of_job)


def cost_sources(ledger: Path | None, *, job: Path | None, prices: Path | None, registry: Path | None, cloud: str | None) -> CostSources:
    """Read them. A name given goes before the job's, and that before the bundled one. Raises JobError, PolicyFileError."""
    loaded = load_job(job) if job is not None else None
    if loaded is None:
        of_job: dict[str, tuple[str, ...]] = {}
        found = ledger or DEFAULT_LEDGER
    else:
        of_job = {loaded.name: loaded.lanes.cloud or ()}
        found = ledger or loaded.ledger.path
        prices, registry = prices or loaded.prices, registry or loaded.registry
    endpoints = load_registry(registry or DEFAULT_REGISTRY)
    if cloud is not None and (cloud not in endpoints or endpoints[cloud].lane is not Lane.CLOUD):
        known = ", ".join(name for name, one in endpoints.items() if one.lane is Lane.CLOUD)
        raise JobError(f"--cloud: expected a cloud endpoint of the registry, found {cloud!r}; it has {known or 'none'}")
    return CostSources(ledger=found, prices=load_prices(prices or DEFAULT_PRICES), registry=endpoints, cloud=cloud, cloud_of_job=of_job)
