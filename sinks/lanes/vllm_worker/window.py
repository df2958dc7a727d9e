"""The window: as many calls in flight as the spec allows, rows pulled when there is room, across the borders of jobs.

- A document's further calls go before new rows: rows at work are bounded by the window, and memory with them.
- What happens to one row never stops another; what happens to the engine ends the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .engine import Engine, bare
from .errors import RowError, UnloadableError
from .identity import Digests, identity
from .jobs import Job, Orders
from .prompts import Prompts, record_text, request_salt
from .spec import Spec
from .summaries import Answer, Call, Work
from .words import say


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A row at work."""

    job: Job
    body: Mapping[str, Any] = field(repr=False)
    work: Work
    salt: str


class Window:
    """Rows and calls at work on one engine."""

    def __init__(self, spec: Spec, engine: Engine, prompts: Prompts, digests: Future[Digests], orders: Orders) -> None:
        self._spec, self._engine, self._prompts, self._digests, self._orders = spec, engine, prompts, digests, orders
        self._job: Job | None = None
        self._next_job: Job | None = None
        self._alone = False  # whether the rows at work belong to a job with a window of its own
        self._size = spec.window
        self._rows: dict[Work, _Row] = {}
        self._ready: deque[Call] = deque()
        self._flying: dict[str, tuple[Call, str]] = {}  # by bare id: the call and its full id

    def run(self) -> None:
        """Answer every row of every job that is told. Raises WorkerError when nothing can be answered any more."""
        while True:
            self._fill()
            if self._flying:
                self._step()
            elif self._orders.ended and self._job is None and self._next_job is None:
                return

    def _step(self) -> None:
        for request_id, answer in self._engine.step():
            if (flight := self._flying.pop(request_id, None)) is not None:
                self._take(flight[0], answer)
        if self._flying and self._engine.is_idle():  # a call that the engine lost would be waited for until the morning
            for call, _ in list(self._flying.values()):
                self._fail(call.work, "engine_error")

    def _fill(self) -> None:
        while len(self._flying) < self._size:
            if self._ready:
                self._submit(self._ready.popleft())
            elif not self._pull():
                return

    def _pull(self) -> bool:
        """Begin one more row; False when there is none now."""
        if self._job is None and not self._take_job():
            return False
        if self._job is None or (row := self._job.next_row()) is None:
            self._job = None
            return True
        self._begin(self._job, row)
        return True

    def _take_job(self) -> bool:
        """Make the next job the current one. One with a window of its own neither joins others nor is joined."""
        if self._next_job is None:
            order = self._orders.next(wait=not self._rows)
            if order is None:
                return False
            try:
                self._next_job = Job(order)
            except OSError as error:
                say(f"a job's files cannot be opened ({type(error).__name__}); it is left out")
                return True
        if self._rows and (self._alone or self._next_job.window is not None):
            return False
        self._job, self._next_job = self._next_job, None
        self._alone = self._job.window is not None
        self._size = self._job.window or self._spec.window
        return True

    def _begin(self, job: Job, row: Mapping[str, Any]) -> None:
        try:
            one = self._row(job, row)
            calls = one.work.begin()
        except RowError as error:
            self._write(job, {"row_id": row["custom_id"], "error_code": error.code})
            return
        self._rows[one.work] = one
        self._ready.extend(calls)

    def _row(self, job: Job, row: Mapping[str, Any]) -> _Row:
        try:
            body = row["body"]
            schema, limit = body["schema"], self._engine.max_model_len - int(body["max_tokens"])
            may_be_split = self._spec.long_documents and body.get("kind") == "summarize" and schema is None
            text = record_text(body) if may_be_split else None
            salt = request_salt(self._spec.cache_salt, body)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise RowError("request_refused") from None
        work = Work(
            row["custom_id"],
            render=lambda piece: self._prompts.ids(body, piece),
            limit=limit,
            text=text,
            constrained=schema is not None,
        )
        return _Row(job, body, work, salt)

    def _submit(self, call: Call) -> None:
        row = self._rows[call.work]
        try:
            request_id = self._engine.submit(call.ids(), row.body, row.salt)
        except RowError as error:
            self._fail(call.work, error.code)
            return
        self._flying[bare(request_id)] = (call, request_id)

    def _take(self, call: Call, answer: Answer) -> None:
        try:
            following = call.work.take(call, answer)
        except RowError as error:
            self._fail(call.work, error.code)
            return
        if isinstance(following, list):
            self._ready.extend(following)
        else:
            self._end(call.work, following)

    def _fail(self, work: Work, code: str) -> None:
        if work in self._rows:
            self._end(work, work.failed(code))

    def _end(self, work: Work, result: Mapping[str, Any]) -> None:
        """Write the row's result and forget its other calls."""
        row = self._rows.pop(work)
        self._write(row.job, result)
        left = {request_id: full for request_id, (call, full) in self._flying.items() if call.work is work}
        for request_id in left:
            del self._flying[request_id]
        if left:
            self._engine.abort(list(left.values()))
        if any(call.work is work for call in self._ready):
            self._ready = deque(call for call in self._ready if call.work is not work)

    def _write(self, job: Job, result: Mapping[str, Any]) -> None:
        try:
            digests = self._digests.result()
        except OSError as error:
            raise UnloadableError(f"the model's files cannot be read: {type(error).__name__} {error.errno}") from None
        job.write({**result, **identity(self._spec.model, self._engine.version, digests)})
