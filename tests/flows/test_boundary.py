"""What leaves the program about an error: a code for Prefect, a line for people, and nothing of a document."""

from __future__ import annotations

import errno
import traceback

import duckdb
import pytest

from flows.boundary import codes_only, explain, is_interruption
from flows.errors import BatchFailedError, JobError
from sinks.errors import LedgerUnavailableError

CANARY = "quetzalcoatl-7719"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError(f"cannot parse {CANARY}"), "ValueError", "unexpected ValueError at "),
        (UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, "invalid"), "UnicodeDecodeError", "unexpected UnicodeDecodeError at "),
        (OSError(errno.ENOSPC, f"{CANARY} does not fit"), "OSError", "a file cannot be written (No space left on device): make room"),
        (LedgerUnavailableError("/data/ledger: the ledger cannot be written"), "LedgerUnavailableError", "/data/ledger: the ledger cannot"),
        (JobError("job.yaml:3: source"), "JobError", "job.yaml:3: source"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_code_for_prefect_and_a_line_for_the_log(error: Exception, code: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BatchFailedError) as caught, codes_only():
        raise error
    assert caught.value.code == code
    told = "".join(traceback.format_exception(caught.value))
    assert f"failed ({code})" in told
    assert CANARY not in told
    assert line in caplog.text
    assert CANARY not in caplog.text
    assert explain(error).startswith(line)


def instead_of(error: Exception, raised: Exception) -> Exception:
    """What somebody raised on seeing the error, as after `from None`."""
    raised.__context__ = error
    return raised


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("Query interrupted"), True),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), True),
        (instead_of(duckdb.InterruptException("Interrupted!"), LedgerUnavailableError("/data/ledger: no views")), True),
        (RuntimeError(f"{CANARY}: Query interrupted"), False),
        (NotImplementedError("Query interrupted"), False),
        (instead_of(duckdb.IOException("IO Error"), LedgerUnavailableError("/data/ledger: cannot be read")), False),
    ],
    ids=["drops ours", "its own", "wrapped", "quoted", "another", "another wrapped"],
)
def test_an_interrupted_statement_is_an_interruption(*, error: Exception, expected: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert is_interruption(error) is expected
    with pytest.raises(KeyboardInterrupt if expected else BatchFailedError), codes_only():
        raise error
    assert (caplog.text == "") is expected


def test_a_code_stays_the_code(caplog: pytest.LogCaptureFixture) -> None:
    original = BatchFailedError("gate_refused")
    with pytest.raises(BatchFailedError) as caught, codes_only():
        raise original
    assert caught.value is original
    assert caplog.text == ""
