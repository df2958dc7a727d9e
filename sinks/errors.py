"""Everything that can go wrong at an exit.

    SinkError
    ├── LedgerError                  the ledger refused, or was asked for something it cannot do
    │   ├── LedgerUnavailableError   it cannot be read or written now: nothing may be sent (invariant 4)
    │   ├── AlreadyRunningError      another process runs this job on this ledger: it does the work, wait for it
    │   ├── HeadMovedError           another writer committed first: read the facts again, then decide again
    │   ├── KeyMissingError          the HMAC keys of a non-empty ledger are absent or are not its own
    │   └── ProofError               a proof or a statement about a ledger does not hold
    ├── ResultsError                 result rows cannot be written, read or exported
    ├── GateError                    the gate stopped a shard: nothing of it was sent
    ├── RejectedError                the provider definitely refused the hand-over: nothing runs there
    ├── AmbiguousError               nobody can tell whether the provider took the hand-over: held, never resent blindly
    ├── SchemaUnsatisfiedError       the text has no value that the schema requires, or the schema cannot be used
    ├── EmulatorError                the bundled emulator did not start, or was asked to leave loopback
    ├── ObjectExistsError            an exclusive put: the object store has an object of this name already
    └── EndpointError                an endpoint cannot be used: not reachable, not local, misconfigured
        ├── WrongAccountError        the provider does not know a job that it gave us: another account, project or region
        └── ObjectError              one object cannot be had; the object store itself can be reached
            ├── ObjectMissingError   it has no object of this name
            └── ObjectChangedError   it has another version of the object than the one that was asked for

Messages say what, where and what to do. They carry ids, codes, paths and counts, never document text (invariant 5).
"""

from __future__ import annotations


class SinkError(Exception):
    """Root of the errors of this package."""


class LedgerError(SinkError):
    """The ledger refused, or was asked for something that it cannot do."""


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be read or written now. Nothing may be sent until it can (invariant 4)."""


class AlreadyRunningError(LedgerError):
    """Another process runs this job on this ledger. Nothing is wrong: it does the work."""


class HeadMovedError(LedgerError):
    """Another writer committed since `expected_head` was read. Nothing was written: read the facts again."""


class KeyMissingError(LedgerError):
    """The HMAC or signing key of a non-empty ledger is absent, open to others, or not the one that it was written with."""


class ProofError(LedgerError):
    """A proof or a statement about a ledger does not hold, or is not in its form. Says which part, quotes nothing."""


class AnchorError(LedgerError):
    """An anchor cannot be read or written now. The night goes on; the next one anchors what this one could not."""


class AnchorContradictedError(LedgerError):
    """An anchor holds a checkpoint that is none of this log. The ledger was rolled back, edited or replaced: nothing may run on it."""


class ResultsError(SinkError):
    """Result rows cannot be written, read or exported."""


class GateError(SinkError):
    """The gate stopped a shard; nothing of it was sent.

    `code` names the check that failed, from the closed list in `sinks/egress.py`; `row` is the ordinal of the row, or None
    where the whole shard failed. The content is never named.
    """

    def __init__(self, code: str, row: int | None = None) -> None:
        where = "" if row is None else f" at row {row}"
        super().__init__(f"the gate stopped the shard{where} ({code}): nothing was sent; clear its records again")
        self.code = code
        self.row = row


class RejectedError(SinkError):
    """The provider definitely refused the hand-over: nothing runs there. `code` is a reason code from a closed list."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the provider refused the hand-over ({self.code}): nothing runs there"


class AmbiguousError(SinkError):
    """Nobody can tell whether the provider took the hand-over. `code` is a reason code from a closed list.

    retry_after_s: for so long the provider wants to be left alone, if it says so.
    """

    def __init__(self, code: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"the hand-over may or may not have been taken ({self.code}): its records wait until it is found or released"


class EndpointError(SinkError):
    """An endpoint cannot be used: it is not reachable, not local although it must be, or misconfigured."""


class WrongAccountError(EndpointError):
    """The provider does not know a job that it gave us: another account, project or region. Never a reason to send again."""


class ObjectExistsError(SinkError):
    """The object store has an object of this name already; it was left as it is."""


class ObjectError(EndpointError):
    """One object cannot be had: it is refused, archived or damaged. Others can."""


class ObjectMissingError(ObjectError):
    """The object store has no object of this name."""


class ObjectChangedError(ObjectError):
    """The object store has another version of the object than the one that was asked for."""


class SchemaUnsatisfiedError(SinkError):
    """No object can be made that validates. `code` is `schema_unsatisfied`, or `schema_invalid` when the schema is none."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the text gives no object that validates against the job's schema ({code}): make the missing properties optional")
        self.code = code


class EmulatorError(SinkError):
    """The bundled emulator did not start, or was asked to listen beyond loopback."""
