"""Bedrock's control plane over HTTP, in a thread: what the client asks is checked against botocore's own model of the service.

Faults are functions: `before` runs before a request is looked at, `after` when it has taken effect; each gets the exchange and may answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.session import get_session
from botocore.validate import ParamValidator

ACCOUNT = "123456789012"
REGION = "eu-central-1"
QUOTED = "quoted-document"
BEGAN = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
Fault = Callable[["Exchange"], bool]
"""Whether it has answered, so that nothing more is to be done."""


@cache
def _model() -> Any:
    return get_session().get_service_model("bedrock")


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    control: Control
    operation: str = ""
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.control.serve(self, content)

    do_GET = do_POST = _serve  # noqa: N815 - names that http.server looks for

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> bool:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        return True

    def say(self, tree: Any) -> bool:
        return self.answer(200, json.dumps(tree).encode())

    def drop(self) -> bool:
        self.close_connection = True
        self.connection.close()
        return True


def error(status: int, code: str) -> Fault:
    """An error of the service, its message quoting what nobody may see."""
    content = json.dumps({"message": QUOTED}).encode()
    return lambda exchange: exchange.answer(status, content, x_amzn_ErrorType=f"{code}:http://internal.amazon.com/")


def page(exchange: Exchange) -> bool:
    """What a proxy in between may say."""
    return exchange.answer(200, f"<html>{QUOTED}</html>".encode(), "text/html")


def drop(exchange: Exchange) -> bool:
    return exchange.drop()


@dataclass
class Control:
    """The service. jobs: by ARN, in the service's own words. asked: (operation, parameters) of every request."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: dict[str, Fault] = field(default_factory=dict)
    after: dict[str, Fault] = field(default_factory=dict)
    logging: dict[str, Any] = field(default_factory=dict)
    retention: str = "none"
    page_size: int = 2
    account: str = ACCOUNT
    url: str = ""
    listing: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda jobs: jobs

    def serve(self, exchange: Exchange, content: bytes) -> None:
        parts = urlsplit(exchange.path)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()} | (json.loads(content) if content else {})
        operation, job = self._operation(exchange.command, unquote(parts.path))
        self.asked.append((operation, parameters))
        if operation in self.before and self.before[operation](exchange):
            return
        tree = getattr(self, f"_{operation}")(job or parameters)
        if operation in self.after and self.after[operation](exchange):
            return
        if tree is None:
            error(404, "ResourceNotFoundException")(exchange)
        elif isinstance(tree, str):
            error(400, tree)(exchange)
        else:
            exchange.say(tree)

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.asked)

    def add(self, parameters: dict[str, Any], **fields: Any) -> str:
        arn = f"arn:aws:bedrock:{REGION}:{self.account}:model-invocation-job/{len(self.jobs):012d}"
        at = BEGAN + timedelta(seconds=len(self.jobs))
        named = {name: parameters[name] for name in parameters if name != "tags"}
        self.jobs[arn] = {"jobArn": arn, "status": "Submitted", "submitTime": at.isoformat().replace("+00:00", "Z"), **named, **fields}
        return arn

    @staticmethod
    def _operation(command: str, path: str) -> tuple[str, str]:
        first, _, rest = path.strip("/").partition("/")
        if first == "model-invocation-job" and not rest:
            return "create", ""
        if first == "model-invocation-job":
            return ("stop", rest.removesuffix("/stop")) if rest.endswith("/stop") else ("get", rest)
        return {"model-invocation-jobs": "list", "logging": "logs", "data-retention": "retains"}[first], ""

    def _create(self, parameters: dict[str, Any]) -> Any:
        report = ParamValidator().validate(parameters, _model().operation_model("CreateModelInvocationJob").input_shape)
        assert not report.has_errors(), report.generate_report()
        for job in self.jobs.values():
            if job["clientRequestToken"] == parameters["clientRequestToken"]:
                same = all(job[name] == parameters[name] for name in parameters)
                return {"jobArn": job["jobArn"]} if same else "ConflictException"
        return {"jobArn": self.add(parameters)}

    def _get(self, arn: str) -> Any:
        return self.jobs.get(arn)

    def _list(self, parameters: dict[str, Any]) -> Any:
        since = parameters["submitTimeAfter"]
        jobs = [job for job in self.jobs.values() if parameters.get("nameContains", "") in job["jobName"] and job["submitTime"] >= since]
        jobs = self.listing(jobs)
        start = int(parameters.get("nextToken", 0))
        found = {"invocationJobSummaries": jobs[start : start + self.page_size]}
        return found | ({"nextToken": str(start + self.page_size)} if len(jobs) > start + self.page_size else {})

    def _stop(self, arn: str) -> Any:
        job = self.jobs.get(arn)
        if job is None:
            return None
        if job["status"] not in {"Submitted", "Validating", "Scheduled", "InProgress"}:
            return "ConflictException"
        job["status"] = "Stopping"
        return {}

    def _logs(self, _: dict[str, Any]) -> Any:
        return {"loggingConfig": self.logging} if self.logging else {}

    def _retains(self, _: dict[str, Any]) -> Any:
        return {"mode": self.retention}


@contextmanager
def running() -> Iterator[Control]:
    """A service on loopback; it stops with the block."""
    control = Control()
    handler = type("Serving", (Exchange,), {"control": control})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    control.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield control
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
