"""The providers behind a job's hand-overs, ready to be asked. One that cannot be is a line for the operator, not an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from flows.errors import FlowError
from flows.job import Job
from flows.lanes import build_lane, check_usable, start_endpoints
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint
from policies.model import Lane as LaneName
from policies.registry import load_registry
from sinks.errors import SinkError
from sinks.lanes.inventory import InventoryLane, has_inventory

NOT_IN_REGISTRY = "the registry has no such endpoint; name the registry in the job, or put the endpoint back until its jobs are collected"
INSIDE = "runs inside, with its night; there is no provider to ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """By endpoint name: the lanes that can be asked, and why the others cannot."""

    endpoints: Mapping[str, Endpoint]
    lanes: Mapping[str, InventoryLane] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def open_providers(job: Job, names: Iterable[str]) -> Iterator[Providers]:
    """The providers of these endpoints, as long as the block lasts. Nothing is asked yet; the emulator is started where it is meant."""
    registry = load_registry(job.registry or DEFAULT_REGISTRY)
    lanes: dict[str, InventoryLane] = {}
    silent: dict[str, str] = {}
    with ExitStack() as stack:
        for name in sorted(set(names)):
            try:
                lanes[name] = _opened(name, job, registry, stack)
            except _SilentError as error:
                silent[name] = str(error)
            except (FlowError, SinkError, OSError) as error:
                silent[name] = error.strerror or "unusable" if isinstance(error, OSError) else str(error)
        yield Providers(endpoints=registry, lanes=lanes, silent=silent)


class _SilentError(Exception):
    """There is nobody to ask."""


def _opened(name: str, job: Job, registry: Mapping[str, Endpoint], stack: ExitStack) -> InventoryLane:
    endpoint = registry.get(name)
    if endpoint is None:
        raise _SilentError(NOT_IN_REGISTRY)
    if endpoint.lane is LaneName.LOCAL:
        raise _SilentError(INSIDE)
    check_usable(endpoint, job)
    (started,) = start_endpoints(job, [endpoint], stack)
    lane = build_lane(started, job, {"inference": 0.0}, stack, salt="")
    if not has_inventory(lane):
        raise _SilentError(INSIDE)
    return lane
