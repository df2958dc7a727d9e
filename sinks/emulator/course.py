"""The course of a batch, the same for every provider: through its states to an end, in the emulator's time.

One thread takes the steps in the order in which they fall due. A batch that a killed emulator left behind goes on from the state
that it was in. Faults planned for a state are met on entering it.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace

from sinks.emulator.clock import Clock
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.jobs import Job, JobStore, Tree
from sinks.emulator.provider import Ending, InputError, Problem, Provider
from sinks.emulator.receipts import Receipts
from sinks.emulator.work import Ask, Kind, ResultRow, constants, reply, shuffled

_COUNT_EVERY = 1000

_GONE = 70


class Courses:
    """Runs the batches of all providers in a thread of its own.

    delay_s: how long a batch takes at the least, in virtual seconds. quick: see `sinks.emulator.work.reply`.
    """

    def __init__(
        self, jobs: JobStore, plan: FaultPlan, clock: Clock, receipts: Receipts, *, delay_s: float = 0.0, quick: bool = False
    ) -> None:
        self._jobs, self._plan, self._clock, self._receipts, self._delay_s = jobs, plan, clock, receipts, delay_s
        self._quick = quick
        self._providers: dict[str, Provider] = {}
        self._due: dict[str, float] = {}
        self._rows: dict[str, Sequence[Tree]] = {}
        self._results: dict[str, list[ResultRow]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def register(self, provider: Provider) -> None:
        """Run this provider's batches too."""
        self._providers[provider.name] = provider

    def start(self) -> None:
        """Take up what an earlier process left, then whatever is begun."""
        for job in reversed(self._jobs.newest_first()):
            if not job.ended:
                self._schedule(job)
        self._thread.start()

    def begin(self, job: Job, *, label: str, twin: bool = False) -> None:
        """Keep a new batch and let it run. For the receipts: what the create calls it, and whether it is a planned second one."""
        self._receipts.created(provider=job.provider, job_id=job.job_id, label=label, twin=twin)
        self._jobs.add(job)
        self._enter(job.job_id, job.state, at=job.created_at)

    def cancel(self, job_id: str, *, race: bool = False) -> Job:
        """Stop a batch as soon as may be. race: it wins all the same and completes."""
        provider = self._providers[self._jobs[job_id].provider]
        fault = None
        if self._jobs[job_id].state != provider.stopping:
            fault = self._plan.due(f"{provider.name}.lifecycle.{provider.stopping}", job_id)

        def change(job: Job) -> Job:
            if job.ended:
                return job
            now = self._clock.now()
            notes = job.notes | {"stopped_in": job.notes.get("stopped_in", job.state), "stopped_after": now - job.since}
            if fault is not None:
                notes["stuck"] = job.notes.get("stuck", {}) | {provider.stopping: fault.seconds}
            moments = {provider.stopping: now} | job.moments
            return replace(job, state=provider.stopping, moments=moments, notes=notes | ({"race": True} if race else {}))

        job = self._jobs.change(job_id, change)
        if not job.ended:
            self._schedule(job)
        return job

    def _work(self) -> None:
        try:
            self._run()
        except BaseException:  # noqa: BLE001 - without this thread every batch would be stuck, and nobody would know why
            traceback.print_exc()
            os._exit(_GONE)

    def _run(self) -> None:
        while True:
            with self._lock:
                at, job_id = min(((at, job_id) for job_id, at in self._due.items()), default=(None, ""))
            self._clock.wait(at)
            if at is None or self._clock.now() < at:
                continue
            with self._lock:
                if self._due.get(job_id) != at:  # it was cancelled meanwhile
                    continue
                del self._due[job_id]
            job = self._jobs.get(job_id)
            if job is not None and not job.ended:
                self._step(job, at)

    def _step(self, job: Job, at: float) -> None:
        """Leave the state that the batch is in."""
        provider = self._providers[job.provider]
        try:
            if job.state == provider.stopping:
                self._end(job, "completed" if job.notes.get("race") else "cancelled", at=at)
            elif (job.expires_at is not None and at >= job.expires_at) or job.notes.get("expire_in") == job.state:
                self._end(job, "expired", at=at)
            elif job.notes.get("fail_in") == job.state:
                self._failed(job, [Problem(code=str(job.notes["fail_code"]), message="a planned failure")], at=at)
            else:
                self._leave(job, provider, at=at)
        except InputError as error:
            self._failed(job, error.problems, at=at)

    def _leave(self, job: Job, provider: Provider, *, at: float) -> None:
        position = provider.states.index(job.state)
        if job.state == provider.reading:
            total = len(self._input(job))
            job = self._jobs.change(job.job_id, lambda job: replace(job, total=total))
        if job.state == provider.working:
            self._answer(job, provider, most=job.total)
            if self._stopping(job.job_id):  # its own step follows
                return
        if position + 1 < len(provider.states):
            self._enter(job.job_id, provider.states[position + 1], at=at)
        else:
            self._end(job, "completed", at=at)

    def _enter(self, job_id: str, state: str, *, at: float) -> None:
        fault = self._plan.due(f"{self._jobs[job_id].provider}.lifecycle.{state}", job_id)
        notes = _notes(fault, state) if fault is not None else {}

        def change(job: Job) -> Job:
            if self._providers[job.provider].stopping == job.state:
                return job
            return replace(job, state=state, since=at, moments=job.moments | {state: at}, notes=job.notes | notes)

        if fault is not None and fault.fault == "early_output":
            self._publish_early(self._jobs[job_id])
        self._schedule(self._jobs.change(job_id, change))

    def _publish_early(self, job: Job) -> None:
        provider = self._providers[job.provider]
        rows = self._input(job)
        provider.early(job, provider.answered(job, rows[0], reply(provider.ask(job, rows[0]))))

    def _schedule(self, job: Job) -> None:
        provider = self._providers[job.provider]
        stopping = job.state == provider.stopping
        due: float | None = job.moments[job.state] if stopping else job.since + self._delay_s / len(provider.states)
        stuck: dict[str, float | None] = job.notes.get("stuck", {})
        if due is not None and job.state in stuck:
            seconds = stuck[job.state]
            due = None if seconds is None else due + seconds
        if job.expires_at is not None:
            due = job.expires_at if due is None else min(due, job.expires_at)
        with self._lock:
            self._due.pop(job.job_id, None)
            if due is not None:
                self._due[job.job_id] = due
        self._clock.wake()

    def _end(self, job: Job, ending: Ending, *, at: float) -> None:
        """Write the results, then the final state: whoever sees the state finds them."""
        provider = self._providers[job.provider]
        rows = self._input(job)
        if job.total != len(rows):
            job = self._jobs.change(job.job_id, lambda job: replace(job, total=len(rows)))
        results = self._results.pop(job.job_id, None) or self._answer(job, provider, most=self._done(job, ending, at=at))
        done = {row.row_id for row in results}
        kind: Kind = "cancelled" if ending == "cancelled" else "expired"
        if len(done) < len(rows):
            rest = (provider.unexecuted(row, kind) for row in rows)
            results = [*results, *(row for row in rest if row is not None and row.row_id not in done)]
        ended = provider.finish(self._jobs[job.job_id], ending, shuffled(results), at=at)
        self._jobs.change(job.job_id, lambda _: replace(ended, ended=True, since=at))
        self._forget(job)

    def _done(self, job: Job, ending: Ending, *, at: float) -> int:
        """How many rows were run before the end: all, as many as planned, or the share of the time that went by."""
        if ending == "completed":
            return job.total
        if "expire_rows" in job.notes:
            return min(int(job.notes["expire_rows"]), job.total)
        working = self._providers[job.provider].working
        if job.notes.get("stopped_in", job.state) != working or working in job.notes.get("stuck", {}):
            return 0
        spent = float(job.notes.get("stopped_after", at - job.since))
        return int(job.total * min(1.0, spent / self._delay_s * len(self._providers[job.provider].states))) if self._delay_s else 0

    def _answer(self, job: Job, provider: Provider, *, most: int) -> list[ResultRow]:
        rows = self._input(job)
        asks = [_asked(provider, job, row) for row in rows]
        template = constants(asks)
        answered = self._results.setdefault(job.job_id, [])
        working = job.state == provider.working
        for number, (row, ask) in enumerate(zip(rows[:most], asks[:most], strict=True), start=1):
            if working and self._stopping(job.job_id):
                break
            answered.append(provider.answered(job, row, reply(ask, template, quick=self._quick)))
            if number % _COUNT_EVERY == 0:
                self._count(job.job_id, answered)
        return answered

    def _input(self, job: Job) -> Sequence[Tree]:
        """The rows, read once."""
        if job.job_id not in self._rows:
            provider = self._providers[job.provider]
            rows = provider.rows(job)
            row_ids = [str(row[provider.identity]) for row in rows]
            self._receipts.rows(provider=job.provider, job_id=job.job_id, row_ids=row_ids)
            self._rows[job.job_id] = rows
        return self._rows[job.job_id]

    def _count(self, job_id: str, answered: Sequence[ResultRow]) -> None:
        succeeded = sum(row.kind == "succeeded" for row in answered)
        counts = {"succeeded": succeeded, "errored": len(answered) - succeeded}
        self._jobs.change(job_id, lambda job: replace(job, counts=counts))

    def _failed(self, job: Job, problems: Sequence[Problem], *, at: float) -> None:
        provider = self._providers[job.provider]
        self._forget(job)
        self._jobs.change(job.job_id, lambda job: replace(provider.fail(job, problems, at=at), ended=True, since=at))

    def _forget(self, job: Job) -> None:
        self._rows.pop(job.job_id, None)
        self._results.pop(job.job_id, None)

    def _stopping(self, job_id: str) -> bool:
        job = self._jobs[job_id]
        return job.state == self._providers[job.provider].stopping


def _asked(provider: Provider, job: Job, row: Tree) -> Ask:
    try:
        return provider.ask(job, row)
    except Exception:  # noqa: BLE001 - a row in a form that nobody foresaw is a bad request, not the end of the provider
        return Ask(spoken=(), texts=())


def _notes(fault: Fault, state: str) -> Tree:
    """What a fault of entering a state has in store for the batch."""
    kinds: dict[str, Tree] = {
        "stuck": {"stuck": {state: fault.seconds}},
        "early_output": {"stuck": {state: fault.seconds or 0.0}},
        "expire": {"expire_in": state, "expire_rows": fault.rows},
        "fail": {"fail_in": state, "fail_code": "server_error"},
        "quota": {"fail_in": state, "fail_code": "quota"},
    }
    return kinds[fault.fault]
