"""`waybill doctor --lane local` for a server that already runs inside: is it there, is it local, has it the model, does it answer?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.checkup import Check, Health
from flows.errors import JobError
from flows.secret_values import secret_of
from policies.model import Endpoint
from sinks.errors import EndpointError, RejectedError

_QUESTION = {"role": "user", "content": "Answer with the single word: ready."}


def examine_server(endpoint: Endpoint, job_file: Path) -> Iterator[Check]:
    """Check a server by asking it."""
    from sinks.clients.chat_client import ChatServer  # noqa: PLC0415 - only where there is a server
    from sinks.clients.connection import OpenAIOptions  # noqa: PLC0415
    from sinks.lanes.chat_documents import ChatOptions  # noqa: PLC0415

    try:
        options = ChatOptions.of(endpoint, "")
        key = secret_of(endpoint.secret, who=f"endpoint {endpoint.name!r}", job_file=job_file) if endpoint.secret else ""
        server = ChatServer(OpenAIOptions.of(endpoint, key))
    except (EndpointError, JobError) as error:
        yield Check(health=Health.BAD, what="settings", detail=str(error))
        return
    try:
        yield from _ask(endpoint, server, options.max_model_len)
    finally:
        server.close()


def _ask(endpoint: Endpoint, server: Any, max_model_len: int) -> Iterator[Check]:
    try:
        listed = server.models()
    except RejectedError as error:
        detail = f"{endpoint.base_url}: nobody answers ({error.code}); start the server, or correct base_url in the endpoint registry"
        yield Check(health=Health.BAD, what="server", detail=detail)
        return
    except EndpointError as error:  # not local, or it sends us elsewhere
        yield Check(health=Health.BAD, what="server", detail=str(error))
        return
    yield Check(health=Health.GOOD, what="server", detail=f"{endpoint.base_url}: local, answers, redirects nowhere")
    yield _model(endpoint, listed)
    yield _context(endpoint, listed, max_model_len)
    yield _token(endpoint, server)


def _model(endpoint: Endpoint, listed: Any) -> Check:
    if endpoint.model in listed:
        return Check(health=Health.GOOD, what="model", detail=f"{endpoint.model}: listed")
    found = f"it lists {', '.join(sorted(listed)) or 'none'}"
    return Check(health=Health.BAD, what="model", detail=f"{endpoint.model}: not listed ({found}); load it there, or correct the registry")


def _context(endpoint: Endpoint, listed: Any, max_model_len: int) -> Check:
    served = listed.get(endpoint.model)
    if served is None:
        detail = f"max_model_len: {max_model_len:,} is believed; this server does not say what it serves, and may cut what is longer"
        return Check(health=Health.DOUBTFUL, what="context", detail=f"{detail}: compare with its own setting")
    if max_model_len > served:
        detail = f"max_model_len: {max_model_len:,} is more than the {served:,} tokens that the server takes; lower it in the registry"
        return Check(health=Health.BAD, what="context", detail=detail)
    return Check(health=Health.GOOD, what="context", detail=f"max_model_len: {max_model_len:,} of {served:,} tokens that the server takes")


def _token(endpoint: Endpoint, server: Any) -> Check:
    body = {"model": endpoint.model, "messages": [_QUESTION], "max_tokens": 1, "temperature": 0.0}
    try:
        reply = server.complete(json.dumps(body).encode())
    except EndpointError as error:
        return Check(health=Health.BAD, what="generation", detail=str(error))
    if reply.status == 0:
        return Check(
            health=Health.BAD, what="generation", detail=f"no answer ({reply.failure}); see the server's own log, or raise timeout_s"
        )
    choices = reply.tree.get("choices") if isinstance(reply.tree, dict) else None
    if reply.status >= 400 or not choices:  # noqa: PLR2004 - where HTTP's errors begin
        return Check(
            health=Health.BAD, what="generation", detail=f"expected a completion, found HTTP {reply.status}; see the server's own log"
        )
    return Check(health=Health.GOOD, what="generation", detail="one token, answered")
