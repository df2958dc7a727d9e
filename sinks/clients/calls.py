"""What a failed call to a provider means: refused, nobody knows, or try again later. The same for every SDK of one make.

The SDKs of OpenAI and Anthropic come from one generator and have the same exceptions under the same names. Those exceptions quote
response bodies, so they end here (invariant 5): what leaves is a code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any, TypeVar

from sinks.errors import AmbiguousError, EndpointError, RejectedError, WrongAccountError

DOWNLOAD_CHUNK = 1 << 16
UNKNOWN_STATE = "unknown"
BATCH = "batch"
"""What a call is about, where a 404 means that we look in the wrong place."""

# A refusal at the door. 408, 409 and 429 are not among them: a proxy in between may say them after the provider has accepted.
_UNDECIDED_STATUS = frozenset({408, 409, 429})

# Ids and states go into the ledger, and ids into the paths of requests: what is neither is not repeated.
# Gateways pack a deployment into theirs, or give the path that they have elsewhere: such ids are long, with slashes and percent signs.
PROVIDER_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.:=/%+@~-]{0,511}")
_STATE = re.compile(r"[A-Za-z_-]{1,40}")

# What the SDKs raise besides their own: for what is not JSON whatever its content type says, and for JSON of another form than a page's.
_UNREADABLE = (ValueError, AttributeError, TypeError)

# How servers with the same API, but for `has_more`, say where a listing goes on.
_CURSORS = ("next_cursor", "next_page_token", "nextPageToken", "next_page", "nextLink", "next")

Answer = TypeVar("Answer")


def quiet(*packages: str) -> None:
    """Let these packages say nothing below WARNING: they print whole requests at DEBUG (invariant 5).

    Nor may single modules of theirs, which a logging configuration of the process may have named.
    """
    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in packages]
    for name in {*packages, *known}:
        logging.getLogger(name).setLevel(logging.WARNING)


class Calls:
    """The calls to one endpoint. sdk: the vendor's package. root: the root of its exceptions."""

    def __init__(self, name: str, sdk: ModuleType, root: type[Exception]) -> None:
        self._name = name
        self._sdk: Any = sdk
        self._root = root

    def send(self, call: Callable[[], Answer]) -> Answer:
        """A request that makes something at the provider: refused, done, or nobody knows.

        Raises EndpointError where our own guard stopped it before anything left.
        """
        try:
            return call()
        except self._sdk.APIStatusError as error:
            status = error.status_code
            if 400 <= status < 500 and status not in _UNDECIDED_STATUS:  # noqa: PLR2004 - the HTTP client-error range
                raise RejectedError(f"http_{status}") from None
            raise AmbiguousError(f"http_{status}", retry_after_s=retry_after_s(error.response.headers)) from None
        except self._sdk.APIConnectionError as error:  # timeouts are among them
            if isinstance(error.__cause__, EndpointError):
                raise error.__cause__ from None
            if _never_connected(error):
                raise RejectedError("unreachable") from None
            raise AmbiguousError("timeout" if isinstance(error, self._sdk.APITimeoutError) else "connection_lost") from None
        except (self._root, *_UNREADABLE):
            raise AmbiguousError("bad_response") from None

    def ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        """A request that only reads or removes: any failure is one of the endpoint, to be tried again later."""
        import httpx2  # noqa: PLC0415 - as the SDK: while a body is streamed its errors come unwrapped

        try:
            return call()
        except (self._root, httpx2.HTTPError, *_UNREADABLE) as error:
            raise self.unusable(what, error) from None

    def remove(self, what: str, call: Callable[[], object]) -> bool:
        """As `ask`, for something that is to be gone afterwards; False when it was gone already."""
        try:
            self.ask(what, call)
        except GoneError:
            return False
        return True

    def unusable(self, what: str, error: Exception) -> EndpointError:
        """The failure of a reading call in our words."""
        if isinstance(error.__cause__, EndpointError):
            return error.__cause__
        gone = isinstance(error, self._sdk.NotFoundError)
        if gone and what == BATCH:
            return WrongAccountError(
                f"endpoint {self._name}: the batch is gone, which means another account or project; check the endpoint's secret"
            )
        status = getattr(error, "status_code", None)
        reason = f"HTTP {status}" if status else type(error).__name__
        kind = GoneError if gone else EndpointError
        moved = isinstance(status, int) and 300 <= status < 400  # noqa: PLR2004 - the HTTP redirects
        advice = "redirects are not followed; put the final address into base_url" if moved else "run again when it is reachable"
        return kind(f"endpoint {self._name}: no usable answer to {what!r} ({reason}); {advice}")


class GoneError(EndpointError):
    """The provider has no such thing."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The header Retry-After in seconds, by the provider's own clock where it is a date; None where it is absent or says nothing."""
    value = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value):
        return float(value)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):  # no date, or one of the two without a zone
        return None
    return max(0.0, seconds)


def identity_of(answer: object) -> str:
    """The id in an answer to a create. A login page with status 200 has none: nobody knows what happened behind it."""
    identity = getattr(answer, "id", None)
    if not isinstance(identity, str) or not PROVIDER_ID.fullmatch(identity):
        raise AmbiguousError("bad_response")
    return identity


def id_and_state(item: object, state: object, name: str) -> tuple[str, str]:
    """Id and state of a listed job; a state that is no word is `unknown`. Raises EndpointError where the id is none."""
    identity = getattr(item, "id", None)
    if not isinstance(identity, str) or not PROVIDER_ID.fullmatch(identity) or not isinstance(state, str):
        msg = f"endpoint {name}: a batch came back without id or status; is base_url the API's root?"
        raise EndpointError(msg)
    return identity, state if _STATE.fullmatch(state) else UNKNOWN_STATE


def items_of(page: object, name: str) -> Iterator[Any]:
    """What a page of a listing holds. Raises EndpointError where it is no page."""
    items = getattr(page, "data", None)
    if items is None and (getattr(page, "has_more", None) is False or getattr(page, "object", None) == "list"):  # an empty list, to some
        return iter(())
    if not isinstance(items, list):
        msg = f"endpoint {name}: a listing came back in another form; is base_url the API's root?"
        raise EndpointError(msg)
    return iter(items)


def more_of(page: object) -> bool | None:
    """Whether a listing goes on after this page; None where the page does not say."""
    told = getattr(page, "has_more", None)
    if isinstance(told, bool):
        return told
    paging = getattr(page, "paging", None)
    cursors = [getattr(page, name, None) for name in _CURSORS] + [paging.get(name) for name in _CURSORS if isinstance(paging, dict)]
    return True if any(cursors) else None


def count_of(value: object) -> int | None:
    """A number of rows, also as servers write it that have only floats or texts."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[0-9]{1,12}", value) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def _never_connected(error: BaseException) -> bool:
    """Whether the connection was never made: then no byte of the request has left, and nothing runs."""
    import httpx2  # noqa: PLC0415

    never = httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.ProxyError | httpx2.UnsupportedProtocol
    return isinstance(error.__cause__, never)
