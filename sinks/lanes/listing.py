"""Reading a provider's list of jobs back past the time of a hand-over: what is not in it is not there. The same for every provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from sinks.errors import EndpointError

CLOCK_SKEW = timedelta(hours=1)
"""Our clock and the provider's may differ: the listing is read back a little further than the intent is old."""


class Listed(Protocol):
    """A job in a listing. created_at: seconds since the epoch, 0 where the provider gives none that can be read."""

    @property
    def job_id(self) -> str: ...  # noqa: D102 - named above

    @property
    def created_at(self) -> int: ...  # noqa: D102 - named above


Job = TypeVar("Job", bound=Listed)


def listed(page: Callable[[str | None], tuple[Sequence[Job], bool | None]], *, since: datetime, name: str) -> Iterator[Job]:
    """Every job since then and some before, paging newest first as the APIs do. page: after which id → jobs, and whether there are more.

    A server that lists oldest first is read to its end. A page that only repeats what was seen proves nothing about what is
    missing: an EndpointError, so that nobody concludes that a job is not there. A server that does not say whether there are more is
    asked for more until it shows nothing new.
    """
    oldest = (since - CLOCK_SKEW).timestamp()
    seen: set[str] = set()
    after: str | None = None
    more: bool | None = True
    while more is not False:
        jobs, more = page(after)
        fresh = [job for job in jobs if job.job_id not in seen]
        if more and not fresh:
            msg = f"endpoint {name}: the batch listing repeats itself, so it proves nothing; run again later"
            raise EndpointError(msg)
        if not fresh:
            return
        yield from fresh
        seen.update(job.job_id for job in fresh)
        after = jobs[-1].job_id if jobs else None
        times = [job.created_at for job in jobs]
        if times and times == sorted(times, reverse=True) and times[0] != times[-1] and 0 < times[-1] < oldest:
            return
