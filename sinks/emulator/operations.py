"""Which request is which operation. Paths are matched as they are after decoding: an id may hold a slash, as Bedrock's ARNs do."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPENAI = r"(?:/openai/v1|/v1|/openai)"
_ANTHROPIC = r"/anthropic/v1/messages/batches"
_BEDROCK = r"/bedrock"
_S3 = r"/s3/(?P<id>.+)"
_ID = r"(?P<id>[^/]+)"

_TABLE = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("POST", rf"{_OPENAI}/files", "openai.files.create"),
        ("GET", rf"{_OPENAI}/files", "openai.files.list"),
        ("GET", rf"{_OPENAI}/files/{_ID}", "openai.files.retrieve"),
        ("DELETE", rf"{_OPENAI}/files/{_ID}", "openai.files.delete"),
        ("GET", rf"{_OPENAI}/files/{_ID}/content", "openai.files.content"),
        ("POST", rf"{_OPENAI}/batches", "openai.batches.create"),
        ("GET", rf"{_OPENAI}/batches", "openai.batches.list"),
        ("GET", rf"{_OPENAI}/batches/{_ID}", "openai.batches.retrieve"),
        ("POST", rf"{_OPENAI}/batches/{_ID}/cancel", "openai.batches.cancel"),
        ("POST", _ANTHROPIC, "anthropic.batches.create"),
        ("GET", _ANTHROPIC, "anthropic.batches.list"),
        ("GET", rf"{_ANTHROPIC}/{_ID}", "anthropic.batches.retrieve"),
        ("POST", rf"{_ANTHROPIC}/{_ID}/cancel", "anthropic.batches.cancel"),
        ("GET", rf"{_ANTHROPIC}/{_ID}/results", "anthropic.batches.results"),
        ("DELETE", rf"{_ANTHROPIC}/{_ID}", "anthropic.batches.delete"),
        ("POST", rf"{_BEDROCK}/model-invocation-job", "bedrock.jobs.create"),
        ("GET", rf"{_BEDROCK}/model-invocation-jobs", "bedrock.jobs.list"),
        ("POST", rf"{_BEDROCK}/model-invocation-job/(?P<id>.+)/stop", "bedrock.jobs.stop"),
        ("GET", rf"{_BEDROCK}/model-invocation-job/(?P<id>.+)", "bedrock.jobs.get"),
        ("GET", rf"{_BEDROCK}/data-retention", "bedrock.retention.get"),
        ("PUT", _S3, "bedrock.s3.put"),
        ("HEAD", _S3, "bedrock.s3.head"),
        ("DELETE", _S3, "bedrock.s3.delete"),
        ("GET", r"/s3/(?P<id>[^/]+/?)", "bedrock.s3.list"),
        ("GET", _S3, "bedrock.s3.get"),
        ("GET", rf"{_BEDROCK}/logging/modelinvocations", "bedrock.logging.get"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation's name, and what its path names."""

    name: str
    names: dict[str, str]


def match(method: str, path: str) -> Operation | None:
    """The operation of a request."""
    for wanted, pattern, name in _TABLE:
        if method == wanted and (found := pattern.fullmatch(path)) is not None:
            return Operation(name=name, names=found.groupdict())
    return None


def provider_of(path: str) -> str:
    """Whose form an error on this path takes."""
    first = path.split("/", 2)[1] if path.count("/") else ""
    return first if first in {"anthropic", "bedrock", "s3"} else "openai"
