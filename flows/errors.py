"""Everything that can go wrong in the flows.

    FlowError
    ├── JobError            the job file, or a table that it names, cannot be used: nothing was handed over
    ├── RenderError         the prompt template cannot be used
    ├── RouterError         a router or a calibration cannot be made from what is there; nothing was written
    ├── ReviewError         a sample cannot be drawn, or a file with verdicts cannot be entered: nothing was written
    ├── SpoolError          what is read from an object store cannot be kept in the spool meanwhile
    ├── ScheduleError       a scheduled run was refused before it began
    ├── ScanWorkerError     a process that scans cannot be started, or has other detectors than the run began with
    ├── RequestRefusedError  an override or an erasure is not entered: not allowed, not approved, or not in its form
    ├── PrefectUnreachableError  the Prefect server that the environment names does not answer
    └── BatchFailedError    a batch or a run failed; carries a reason code, because Prefect stores the text of exceptions

Messages say what, where and what to do. They carry ids, codes, paths and counts, never document text (invariant 5).
"""

from __future__ import annotations


class FlowError(Exception):
    """Root of the errors of this package."""


class JobError(FlowError):
    """The job file is wrong, or something that it names is: found before the first hand-over."""


class RenderError(FlowError):
    """The prompt template cannot be read, or uses a record in another way than by putting it in as it is."""


class RouterError(FlowError):
    """A router cannot be trained or judged, or a threshold cannot be calibrated, from these outcomes. Nothing was written."""


class ReviewError(FlowError):
    """A sample cannot be drawn, or a file with verdicts cannot be used as it is. Nothing was entered."""


class SpoolError(FlowError):
    """The disk under the spool does not take what is being read from an object store. Nothing is wrong with the source."""


class ScheduleError(FlowError):
    """A scheduled run was refused before it began: the job states what a schedule must not do."""


class ScanWorkerError(FlowError):
    """The processes that scan cannot be trusted or started. A document that ends one is no error: it is UNSCANNABLE."""


class RequestRefusedError(FlowError):
    """What a person asked for is not entered: the policy does not allow it, nobody approved it, or it is not in its form."""


class PrefectUnreachableError(FlowError):
    """A Prefect API is configured, and does not answer."""


class BatchFailedError(FlowError):
    """A batch, or a whole run, failed. `code` is a reason code; the cause stays behind, it may quote content (invariant 5)."""

    def __init__(self, code: str) -> None:
        super().__init__(f"failed ({code}): the log of the process says why; run the job again, it goes on from the ledger")
        self.code = code
