"""When each endpoint of a planned night ends, whether that is before the deadline, and on what grounds. Pure.

- Measured goes before declared, declared before nothing: what nobody measured or declared is not known, and the plan says so.
- A machine inside works through its tokens one after the other. A provider's batch waits in a queue that does not grow with our tokens, so
  that it takes no less than the slowest one did so far.
- A night first reads and detects, which the plan has just timed; then what takes longest decides when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.model import Endpoint, Lane
from sinks.ledger.throughput import Throughput

MEASURED, DECLARED, UNKNOWN = "measured", "declared", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointForecast:
    """One endpoint. tokens: expected, in and out. tokens_per_s, seconds: None where nobody knows. basis: MEASURED, DECLARED or UNKNOWN.

    seconds: from its first hand-over on. ends_at: reading and detection included.
    """

    endpoint: str
    tokens: int
    tokens_per_s: float | None
    basis: str
    measured: Throughput | None
    seconds: float | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The whole night. ends_at: of all endpoints that are known. fits: None where one that is not known could be the last."""

    begins_at: datetime
    deadline: datetime
    endpoints: tuple[EndpointForecast, ...]
    ends_at: datetime
    fits: bool | None

    @property
    def late(self) -> list[EndpointForecast]:
        """Those that would end after the deadline."""
        return [one for one in self.endpoints if one.ends_at is not None and one.ends_at > self.deadline]

    @property
    def unknown(self) -> list[EndpointForecast]:
        """Those of which nobody knows how fast they are."""
        return [one for one in self.endpoints if one.ends_at is None]


def forecast(
    tokens: Mapping[str, int],
    endpoints: Iterable[Endpoint],
    measured: Mapping[str, Throughput],
    *,
    begins_at: datetime,
    preparing_s: float,
    deadline_h: float,
) -> Forecast:
    """tokens: expected at each endpoint, by name. preparing_s: of reading and detection, before the last hand-over."""
    ready, deadline = begins_at + timedelta(seconds=preparing_s), begins_at + timedelta(hours=deadline_h)
    found = tuple(
        _endpoint(endpoint, tokens[endpoint.name], measured.get(endpoint.name), ready) for endpoint in endpoints if endpoint.name in tokens
    )
    ends = max([ready, *(one.ends_at for one in found if one.ends_at is not None)])
    fits = False if ends > deadline else None if any(one.ends_at is None for one in found) else True
    return Forecast(begins_at=begins_at, deadline=deadline, endpoints=found, ends_at=ends, fits=fits)


def _endpoint(endpoint: Endpoint, tokens: int, measured: Throughput | None, ready: datetime) -> EndpointForecast:
    speed = measured.tokens_per_s if measured else endpoint.tokens_per_s
    seconds = tokens / speed if speed else None
    if seconds is not None and measured and endpoint.lane is Lane.CLOUD:
        seconds = max(seconds, measured.longest_s)
    return EndpointForecast(
        endpoint=endpoint.name,
        tokens=tokens,
        tokens_per_s=speed,
        basis=MEASURED if measured else DECLARED if speed else UNKNOWN,
        measured=measured,
        seconds=seconds,
        ends_at=None if seconds is None else ready + timedelta(seconds=seconds),
    )
