"""What a provider is to the course of its batches: its states, its rows, its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sinks.emulator.jobs import Job, Tree
from sinks.emulator.work import Ask, Kind, Reply, ResultRow

Ending = Literal["completed", "failed", "expired", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an input cannot be run. line 0: the whole of it."""

    code: str
    message: str
    line: int = 0


class InputError(Exception):
    """The input of a batch cannot be run."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(", ".join(sorted({problem.code for problem in problems})))
        self.problems = problems


class Provider(Protocol):
    """What differs from one provider to the next.

    states: those before the end, in order. The input is read at the end of `reading`, its rows are answered at the end of `working`.
    stopping: between a cancel and its end. identity: the key of a row's id.
    """

    name: str
    identity: str
    states: tuple[str, ...]
    reading: str
    working: str
    stopping: str

    def rows(self, job: Job) -> Sequence[Tree]:
        """The input. Raises InputError, and then the batch fails."""

    def ask(self, job: Job, row: Tree) -> Ask:
        """What a row asks for."""

    def answered(self, job: Job, row: Tree, answer: Reply) -> ResultRow:
        """The result of a row that was run."""

    def unexecuted(self, row: Tree, kind: Kind) -> ResultRow | None:
        """The result of a row that was not, if the provider gives one."""

    def finish(self, job: Job, ending: Ending, results: Sequence[ResultRow], *, at: float) -> Job:
        """Publish the results, then the job with its end. `results` are all rows, answered and not."""

    def fail(self, job: Job, problems: Sequence[Problem], *, at: float) -> Job:
        """The job, failed."""

    def early(self, job: Job, row: ResultRow) -> None:
        """Publish one row before the end."""
