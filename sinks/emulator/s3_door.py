"""S3 by way of the emulator: `/s3/BUCKET/KEY` is handed on to the real S3 endpoint, so that its requests are recorded and can fail too.

Signatures are handed on as they are: for a server that does not check them, such as moto's, they need not fit the path.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from starlette.responses import Response

from sinks.emulator.calls import Call, Handler, WireError
from sinks.emulator.jobs import Tree
from sinks.emulator.tampering import tamper_bytes

OPERATIONS = ("put", "get", "head", "delete", "list")
_TIMEOUT_S = 60.0
_HOP = frozenset({"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 409: "OperationAborted", 412: "PreconditionFailed", 429: "SlowDown", 503: "SlowDown"}
_SERVER_ERROR = 500


class S3Error(WireError):
    """An answer with S3's error body, which is XML."""

    def __init__(self, status: int, message: str, *, code: str = "") -> None:
        code = code or _CODES.get(status, "InternalError" if status >= _SERVER_ERROR else "InvalidRequest")
        body: Tree = {"code": code, "message": message}
        super().__init__(status, body)

    def response(self) -> Response:
        """The answer."""
        content = f"<?xml version='1.0'?><Error><Code>{self.body['code']}</Code><Message>{self.body['message']}</Message></Error>"
        return Response(content, status_code=self.status, media_type="application/xml")


class S3Manners:
    """A `sinks.emulator.manners.Manners`."""

    def admit(self, headers: Mapping[str, str]) -> WireError | None:
        """A signature."""
        if headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return None
        return S3Error(403, "Access Denied")

    def refuse(self, status: int, message: str) -> WireError:
        """A refusal with this status."""
        return S3Error(status, message)

    def expired(self) -> WireError:
        """The refusal of credentials that are no longer good."""
        return S3Error(400, "The provided token has expired.", code="ExpiredToken")


class S3Door:
    """The handlers by operation, over the S3 endpoint at `url`, which is on this machine; empty: there is none."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.handlers: Mapping[str, Handler] = {f"bedrock.s3.{name}": self.hand_on for name in OPERATIONS}

    def hand_on(self, call: Call) -> Response:
        """One request, as it came, and its answer."""
        if not self._url.hostname:
            raise S3Error(503, "the emulator has no S3: start it with --s3-url")
        line = http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=_TIMEOUT_S)
        path = f"{self._url.path.rstrip('/')}/{quote(call.names['id'])}" + (
            f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
        )
        headers = {name: value for name, value in call.headers.items() if name not in _HOP}
        try:
            line.request(call.method, path, body=call.body or None, headers=headers | {"host": self._url.netloc})
            found = line.getresponse()
            content, given = found.read(), found.getheaders()
        except (OSError, http.client.HTTPException):
            raise S3Error(503, "the S3 endpoint does not answer") from None
        finally:
            line.close()
        response = Response(tamper_bytes(call.fault, content), status_code=found.status)
        odd = call.fault is not None and bytes(response.body) != content
        kept = [(name.lower(), value) for name, value in given if name.lower() not in _HOP and not (odd and _is_checksum(name))]
        length = str(len(response.body)) if call.method != "HEAD" else next((v for n, v in given if n.lower() == "content-length"), "0")
        response.raw_headers[:] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*kept, ("content-length", length))]
        return response


def _is_checksum(name: str) -> bool:
    """A planned oddity is one of the object, not of its way here: nothing must contradict it."""
    return name.lower().startswith("x-amz-checksum-") or name.lower() == "content-md5"
