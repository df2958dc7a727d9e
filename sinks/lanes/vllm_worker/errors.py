"""What ends the worker or a row.

WorkerError            ends the process; its message goes to the log and carries no content
├── RefusedError       exit 4: the isolation or the environment is not what it has to be
├── UnloadableError    exit 3: the engine cannot be loaded with these settings
└── EngineFailedError  exit 1: the engine died while it was working
RowError               ends one row, with the code of its result; the others go on
"""

from __future__ import annotations


class WorkerError(Exception):
    """The worker cannot go on."""

    exit_code = 1


class RefusedError(WorkerError):
    """Prompts could leave this machine or get into a log."""

    exit_code = 4


class UnloadableError(WorkerError):
    """No model, no device, or a setting that vLLM does not take."""

    exit_code = 3


class EngineFailedError(WorkerError):
    """Nothing in flight will be answered."""


class RowError(Exception):
    """One row has no answer; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
