"""The comparison of ledger and account: each way of disagreeing has its code, and agreement has none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.account_audit import MEANING, Account, AccountAudit, compare
from sinks.lanes.inventory import FOREIGN, ListedJob, StoredFile
from sinks.ledger.handed import HandedIntent

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
ONE, OTHER = "1" * 32, "2" * 32
OPEN = HandedIntent(
    intent_id=ONE,
    run_id="r",
    job="small",
    endpoint="cloud",
    state="submitted",
    at=SINCE + timedelta(days=1),
    records=3,
    jobs=frozenset({"b1"}),
    stopped=frozenset(),
    retired=False,
)
DOUBT = replace(OPEN, state="ambiguous", jobs=frozenset())
DONE = replace(OPEN, state="job_ended", retired=True)
GIVEN_UP = replace(DOUBT, state="rejected")
STOPPED = replace(OPEN, stopped=frozenset({"b2"}))
OLD = replace(OPEN, at=SINCE - timedelta(days=1))
SHOWN = ListedJob(job_id="b1", state="in_progress", ended=False, mark=ONE, total=3, created_at=SINCE + timedelta(days=1), file_ids=("f1",))
SECOND = replace(SHOWN, job_id="b2")
UPLOAD = StoredFile(file_id="f1", mark=ONE)


@pytest.mark.parametrize(
    ("own", "jobs", "files", "expected"),
    [
        ([OPEN], [SHOWN], [UPLOAD], []),
        ([OPEN], [replace(SHOWN, total=None, mark=None)], [], []),
        ([DONE], [], [], []),
        ([DONE], [replace(SHOWN, state="completed", ended=True)], [], []),
        ([DOUBT], [], [UPLOAD], []),
        ([OLD], [], [], []),
        ([], [replace(SHOWN, created_at=SINCE - timedelta(days=2))], [], []),
        ([OPEN], [], [], ["not_there b1"]),
        ([OPEN], [replace(SHOWN, total=4)], [], ["rows_differ b1"]),
        ([OPEN], [SHOWN, SECOND], [], ["second_job b2"]),
        ([DOUBT], [SHOWN], [UPLOAD], ["unadopted_job b1"]),
        ([], [SHOWN], [UPLOAD], ["unknown_job b1"]),
        ([], [replace(SHOWN, mark=ONE[:12])], [], ["unknown_job b1"]),
        ([], [replace(SHOWN, mark=FOREIGN)], [StoredFile(file_id="f1")], ["not_ours b1"]),
        ([], [replace(SHOWN, mark=None, created_at=None)], [], ["cannot_be_told b1"]),
        ([STOPPED], [SHOWN, SECOND], [], ["not_stopped b2"]),
        ([STOPPED], [SHOWN, replace(SECOND, state="cancelled", ended=True)], [], []),
        ([DONE], [SHOWN], [UPLOAD], ["file_not_deleted f1"]),
        ([DONE], [SHOWN], [StoredFile(file_id="f1")], ["file_not_deleted f1"]),
        ([GIVEN_UP], [], [UPLOAD], ["file_unused f1"]),
        ([], [], [UPLOAD, StoredFile(file_id="theirs")], ["file_unused f1"]),
    ],
)
def test_each_difference(own: list[HandedIntent], jobs: list[ListedJob], files: list[StoredFile], expected: list[str]) -> None:
    found = list(compare(Account(endpoint="cloud", since=SINCE, jobs=jobs, files=files), own))
    assert [f"{one.code} {one.subject}" for one in found] == expected
    assert AccountAudit(findings=tuple(found)).agrees is (not expected or expected == ["not_ours b1"])
    assert all(one.code in MEANING for one in found)


def test_another_ledger_beside_explains_its_jobs_and_files() -> None:
    account = Account(endpoint="cloud", since=SINCE, jobs=[SHOWN], files=[UPLOAD])
    theirs = replace(OPEN, endpoint="as-they-call-it")
    assert list(compare(account, [], [theirs])) == []
    assert [one.code for one in compare(account, [replace(OPEN, intent_id=OTHER, jobs=frozenset({"b9"}))], [theirs])] == ["not_there"]
