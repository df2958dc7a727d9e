"""How many rows go into one request file: by the tightest of rows, bytes and prompt tokens, and not fewer than the provider takes. Pure.

Rows keep their order, and a shard is a run of them. So the shards are found exactly: the longest beginning of the rows that can be
divided within the limits is divided into as few shards as a greedy hand makes; what is left at the end is too short for a shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from types import MappingProxyType

from policies.model import Endpoint, Lane
from sinks.errors import EndpointError

# Providers count rows and bytes their own way; packing to 85% of the documented limit keeps a shard clear of the edge.
FILL = 0.85
PROVIDER_ROWS = 50_000
PROVIDER_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one row weighs: bytes in the file, and the prompt tokens that are expected of it."""

    size: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLimits:
    """The most that one request file may hold, and the fewest rows that the provider takes. max_tokens 0: no limit is known."""

    max_rows: int = int(PROVIDER_ROWS * FILL)
    max_bytes: int = int(PROVIDER_BYTES * FILL)
    max_tokens: int = 0
    min_rows: int = 1

    @classmethod
    def of(cls, endpoint: Endpoint) -> ShardLimits:
        """The engine's defaults, changed by the settings `shard_max_rows`, `shard_max_bytes`, `shard_min_rows`, `enqueued_tokens`.

        enqueued_tokens: the provider's own quota of prompt tokens for the model; a shard is filled to 85% of it, as of the others.
        Raises EndpointError for settings that no shard can meet.
        """
        settings, default = endpoint.settings, ENGINE_LIMITS.get(endpoint.engine, cls())
        limits = replace(
            default,
            max_rows=_count(endpoint, "shard_max_rows", default.max_rows),
            max_bytes=_count(endpoint, "shard_max_bytes", default.max_bytes),
            max_tokens=int(_count(endpoint, "enqueued_tokens", 1) * FILL) if "enqueued_tokens" in settings else 0,
            min_rows=_count(endpoint, "shard_min_rows", default.min_rows),
        )
        if limits.min_rows > 1 and endpoint.lane is Lane.LOCAL:
            msg = f"endpoint {endpoint.name}: settings.shard_min_rows is a provider's quota, and this endpoint is local"
            raise EndpointError(f"{msg}; remove it from the endpoint registry")
        if limits.min_rows > limits.max_rows:
            msg = f"endpoint {endpoint.name}: settings.shard_min_rows ({limits.min_rows}) is above shard_max_rows ({limits.max_rows})"
            raise EndpointError(f"{msg}; no shard can be made: correct the endpoint registry")
        return limits

    def admit(self, weight: Weight) -> bool:
        """Whether a shard may hold a row of this weight at all."""
        return weight.size <= self.max_bytes and (not self.max_tokens or weight.tokens <= self.max_tokens)


ENGINE_LIMITS: Mapping[str, ShardLimits] = MappingProxyType(
    {
        # 100 records at the least, 50,000 and 1 GB a file at the most: the quotas of a new account (Service Quotas says what yours are).
        "bedrock_batch": ShardLimits(max_bytes=int(1_000_000_000 * FILL), min_rows=100),
    }
)
"""Where a provider takes more, or not as little, as the Files + Batches API."""


def pack(weights: Sequence[Weight], limits: ShardLimits) -> list[range]:
    """Shards as ranges of positions, in order, each within the limits; rows after the last one are too few for a shard.

    Every row must be one that `limits.admit`.
    """
    furthest = _furthest(weights, limits)
    end = _divisible(furthest, limits.min_rows)
    good = _good_starts(furthest, end, limits.min_rows)
    groups: list[range] = []
    start = 0
    while start < end:
        # The largest shard after which the rest can still be divided; one exists, because `start` is good itself.
        stop = next(stop for stop in range(min(furthest[start], end), start, -1) if good[stop])
        groups.append(range(start, stop))
        start = stop
    return groups


def _furthest(weights: Sequence[Weight], limits: ShardLimits) -> list[int]:
    """For each position, how far a shard that begins there may reach."""
    sizes = [0, *accumulate(weight.size for weight in weights)]
    tokens = [0, *accumulate(weight.tokens if limits.max_tokens else 0 for weight in weights)]
    stops: list[int] = []
    stop = 0
    for start in range(len(weights)):
        stop = max(stop, start + 1)
        while (
            stop < len(weights)
            and stop - start < limits.max_rows
            and sizes[stop + 1] - sizes[start] <= limits.max_bytes
            and tokens[stop + 1] - tokens[start] <= limits.max_tokens
        ):
            stop += 1
        stops.append(stop)
    return stops


def _divisible(furthest: Sequence[int], min_rows: int) -> int:
    """The longest beginning that can be divided into shards of `min_rows` or more: positions reachable from 0, by interval sums."""
    total = len(furthest)
    change = [0] * (total + 2)
    reached = open_intervals = 0
    for position in range(total + 1):
        open_intervals += change[position]
        if position and not open_intervals:
            continue
        reached = position
        if position < total and position + min_rows <= furthest[position]:
            change[position + min_rows] += 1
            change[furthest[position] + 1] -= 1
    return reached


def _good_starts(furthest: Sequence[int], end: int, min_rows: int) -> list[bool]:
    """For each position up to `end`, whether what lies between it and `end` can be divided."""
    good = [False] * (end + 1)
    good[end] = True
    before = [0] * (end + 2)  # before[i]: good positions at i or later
    before[end] = 1
    for start in range(end - 1, -1, -1):
        first, last = start + min_rows, min(furthest[start], end)
        good[start] = first <= last and before[first] - before[last + 1] > 0
        before[start] = before[start + 1] + good[start]
    return good


def _count(endpoint: Endpoint, name: str, default: int) -> int:
    value = endpoint.settings.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"endpoint {endpoint.name}: settings.{name}: expected a number of at least 1, found {value!r}"
        raise EndpointError(f"{msg}; correct the endpoint registry")
    return value
