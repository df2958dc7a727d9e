"""The HTTP side: the routes of Files and Batches over the store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sinks.emulator.faults import Fault
from sinks.emulator.lifecycle import Processor
from sinks.emulator.multipart import parse_form
from sinks.emulator.store import Store
from sinks.emulator.wire import BATCH_FILE_EXPIRES_S, CHAT_URL, MAX_FILE_BYTES, TERMINAL, Tree, WireError, page

BODY_KEY, FAULT_KEY = "waybill.body", "waybill.fault"
_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_MIN_EXPIRES_S, _MAX_EXPIRES_S = 3600, 30 * 24 * 3600
_DEFAULT_BATCHES, _MAX_BATCHES, _MAX_FILES = 20, 100, 10_000


def build_app(store: Store, processor: Processor) -> Starlette:
    """The application. It answers only requests that went through `sinks.emulator.door`."""
    routes = Routes(store, processor)
    return Starlette(
        routes=[
            Route("/v1/files", routes.create_file, methods=["POST"]),
            Route("/v1/files", routes.list_files, methods=["GET"]),
            Route("/v1/files/{file_id}", routes.retrieve_file, methods=["GET"]),
            Route("/v1/files/{file_id}", routes.delete_file, methods=["DELETE"]),
            Route("/v1/files/{file_id}/content", routes.file_content, methods=["GET"]),
            Route("/v1/batches", routes.create_batch, methods=["POST"]),
            Route("/v1/batches", routes.list_batches, methods=["GET"]),
            Route("/v1/batches/{batch_id}", routes.retrieve_batch, methods=["GET"]),
            Route("/v1/batches/{batch_id}/cancel", routes.cancel_batch, methods=["POST"]),
        ],
        exception_handlers={WireError: _wire_error},
    )


class Routes:
    """The handlers. They are plain functions, which Starlette runs in threads: a large upload does not stop the others."""

    def __init__(self, store: Store, processor: Processor) -> None:
        self._store, self._processor = store, processor

    def create_file(self, request: Request) -> Response:
        """POST /v1/files."""
        form = parse_form(request.headers.get("content-type", ""), request.scope[BODY_KEY])
        if "file" not in form or "purpose" not in form:
            raise WireError(400, "'file' and 'purpose' are required properties", code="missing_required_parameter")
        upload, purpose = form["file"], form["purpose"].content.decode("ascii", "replace")
        if purpose != "batch":
            raise WireError(400, "this provider keeps files with the purpose 'batch' only", param="purpose")
        if len(upload.content) > MAX_FILE_BYTES:
            raise WireError(413, "the file is larger than 200 MB", code="file_too_large", param="file")
        expires = form.get("expires_after[seconds]")
        expires_s = _expires(expires.content.decode("ascii", "replace")) if expires else BATCH_FILE_EXPIRES_S
        return JSONResponse(self._store.add_file(upload.content, name=upload.file_name, purpose=purpose, expires_s=expires_s))

    def list_files(self, request: Request) -> Response:
        """GET /v1/files."""
        purpose = request.query_params.get("purpose")
        files = [shown for shown in self._store.files() if purpose in {None, shown["purpose"]}]
        if request.query_params.get("order") == "asc":
            files.reverse()
        return JSONResponse(page(files, after=request.query_params.get("after"), limit=_limit(request, _MAX_FILES, _MAX_FILES)))

    def retrieve_file(self, request: Request) -> Response:
        """GET /v1/files/ID."""
        return JSONResponse(self._store.file(request.path_params["file_id"]))

    def delete_file(self, request: Request) -> Response:
        """DELETE /v1/files/ID."""
        return JSONResponse(self._store.delete_file(request.path_params["file_id"]))

    def file_content(self, request: Request) -> Response:
        """GET /v1/files/ID/content."""
        return Response(self._store.content(request.path_params["file_id"]), media_type="application/octet-stream")

    def create_batch(self, request: Request) -> Response:
        """POST /v1/batches."""
        asked = _json_object(request.scope[BODY_KEY])
        if asked.get("completion_window") != "24h":
            raise WireError(400, "completion_window must be '24h'", param="completion_window")
        if asked.get("endpoint") != CHAT_URL:
            raise WireError(400, f"this provider runs {CHAT_URL} only", param="endpoint")
        input_file_id = self._store.file(str(asked.get("input_file_id")))["id"]
        batch = self._store.add_batch(endpoint=CHAT_URL, input_file_id=input_file_id, metadata=_metadata(asked.get("metadata")))
        self._processor.submit(batch["id"])
        return JSONResponse(batch)

    def list_batches(self, request: Request) -> Response:
        """GET /v1/batches."""
        fault: Fault | None = request.scope.get(FAULT_KEY)
        batches = self._store.batches()
        if fault is not None and fault.fault == "lag":
            batches = [batch for batch in batches if batch["created_at"] < time.time() - fault.seconds]
        limit = _limit(request, _DEFAULT_BATCHES, _MAX_BATCHES)
        return JSONResponse(page(batches, after=request.query_params.get("after"), limit=limit))

    def retrieve_batch(self, request: Request) -> Response:
        """GET /v1/batches/ID."""
        return JSONResponse(self._store.batch(request.path_params["batch_id"]))

    def cancel_batch(self, request: Request) -> Response:
        """POST /v1/batches/ID/cancel."""
        batch_id = request.path_params["batch_id"]

        def change(batch: Tree) -> None:
            if batch["status"] in TERMINAL:
                raise WireError(409, f"Cannot cancel a batch with status '{batch['status']}'.")
            batch.update(status="cancelling", cancelling_at=batch["cancelling_at"] or int(time.time()))

        shown = self._store.change_batch(batch_id, change)
        self._processor.submit(batch_id)  # one that is stuck has to be taken up again
        return JSONResponse(shown)


async def _wire_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, WireError):
        raise error
    return JSONResponse(error.body, status_code=error.status)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        tree = json.loads(body)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise WireError(400, "We could not parse the JSON body of your request.")
    return tree


def _metadata(metadata: object) -> dict[str, str] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or len(metadata) > _MAX_PAIRS:
        raise WireError(400, "metadata must be an object of at most 16 pairs", param="metadata")
    if not all(isinstance(value, str) and len(key) <= _MAX_KEY and len(value) <= _MAX_VALUE for key, value in metadata.items()):
        raise WireError(400, "metadata keys have at most 64 characters, values are strings of at most 512", param="metadata")
    return metadata


def _expires(seconds: str) -> int:
    return _bounded(seconds, _MIN_EXPIRES_S, _MAX_EXPIRES_S, "expires_after.seconds")


def _limit(request: Request, default: int, most: int) -> int:
    return _bounded(request.query_params.get("limit", str(default)), 1, most, "limit")


def _bounded(text: str, least: int, most: int, param: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise WireError(400, f"{param} must be an integer from {least} to {most}", param=param)
    return int(text)
