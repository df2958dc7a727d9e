"""The end of a night: one explicit row for every document without a result, the alert, the report, `run_ended`."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from detectors.document import ReadProblem
from flows.anchoring import anchor_run_end
from flows.budgeting import budget_use, enter_told, night_costs, untold_shares
from flows.collecting import overdue_intents
from flows.explicit import explicit_result_rows
from flows.fallback import CONTRADICTIONS, DEADLINE, LOCAL_DOWN
from flows.night import NOT_SENT, Night
from flows.report import ClosedEndpoint, NightReport
from flows.runs import was_carried
from flows.superseding import SUPERSEDED, left_behind
from policies.budget import SPENT
from sinks.clients.webhook import Alert, WebhookOptions, send_alert
from sinks.errors import EndpointError, LedgerError
from sinks.ledger.compaction import compact
from sinks.ledger.elsewhere import sent_elsewhere
from sinks.ledger.entry import Entry, Event
from sinks.ledger.queries import RunCounts, class_counts, open_intents, run_counts
from sinks.ledger.told import reasons_told
from sinks.parquet import EXPLICIT_ROWS, Status, write_results

LOGGER = logging.getLogger("waybill")


def close_night(night: Night) -> NightReport:
    """Write held and failed rows, send the alert, end the run when nothing of it is pending, and report."""
    hold_unsent(night)
    reasons = write_explicit_rows(night)
    counts = run_counts(night.ledger, night.run_id)
    end_run(night, counts)
    unanchored = anchor_run_end(night.job) if not night.options.collect_only or not counts.pending else 0
    raise_alert(night, counts, unanchored, reasons)
    by_class = class_counts(night.ledger, night.run_id)
    night.forget()
    compact_ledger(night)
    seconds = time.monotonic() - night.started
    stages = {name: round(spent, 3) for name, spent in night.stages.items()}
    return NightReport(
        run_id=night.run_id,
        documents=counts.documents,
        results=counts.results,
        held=counts.held,
        failed=counts.failed,
        pending=counts.pending,
        unchanged=night.unchanged,
        refused=night.refused,
        unanchored=unanchored,
        by_class=by_class,
        output=str(night.job.output),
        ledger=str(night.job.ledger.path),
        seconds=round(seconds, 3),
        stages=stages | {"other": round(seconds - sum(night.stages.values()), 3)},
        costs=night_costs(night),
        budget=budget_use(night),
        held_for=reasons[Status.HELD],
        failed_for=reasons[Status.FAILED],
        closed=[ClosedEndpoint(endpoint=name, failure=one.failure, way=one.way) for name, one in night.closed.items()],
        elsewhere=sent_elsewhere(night.ledger, night.run_id, reasons=SPENT),
        stopped=night.stopped,
    )


def end_run(night: Night, counts: RunCounts) -> None:
    """State how this pass ended: `pending` while the cloud owes results, else `done` or `gate_refused`.

    A collection ends only a run that a night has carried to its end, or that was left behind: another may still be gone on with.
    """
    if night.options.collect_only and (counts.pending or not _is_over(night)):
        return
    code = "pending" if counts.pending else "gate_refused" if night.refused else "done"
    night.ledger.commit([Entry(event=Event.RUN_ENDED, at=datetime.now(UTC), run_id=night.run_id, detail_code=code)])


def _is_over(night: Night) -> bool:
    return was_carried(night.ledger, night.run_id) or night.run_id in left_behind(night.ledger, night.job.name)


def hold_unsent(night: Night) -> None:
    """Hold what no start of this run can send any more, so that it has one explicit row instead of none.

    Whoever has gone over the documents of a run holds what was begun and is not in the source now; a collection, all that a run left behind
    had begun.
    """
    if night.options.collect_only and not was_carried(night.ledger, night.run_id):
        if night.run_id not in left_behind(night.ledger, night.job.name):
            return
        reason = SUPERSEDED
    elif not night.read or night.options.limit or night.job.limit:
        return
    else:
        reason = ReadProblem.VANISHED
    night.refresh()
    gone = night.states.among(*NOT_SENT)
    now = datetime.now(UTC)
    night.ledger.commit([Entry(event=Event.HELD, at=now, run_id=night.run_id, record_id=state.record_id, reason=reason) for state in gone])


def write_explicit_rows(night: Night) -> dict[Status, dict[str, int]]:
    """Held and failed rows, made anew from the ledger each time: the same ledger gives the same files, and no row is in two.

    Returns how many there are of each, by reason, the most first.
    """
    table = explicit_result_rows(night.ledger, night.run_id, night.prompt.kind)
    for status in (Status.HELD, Status.FAILED):
        path = night.job.output / night.run_id / status / EXPLICIT_ROWS
        rows = [row for row in table if row.status == status]
        if rows:
            write_results(path, rows, night.prompt.schema, digest=partial(night.keys.hmac, "result"), group=night.job.group)
        else:
            path.unlink(missing_ok=True)
    return {
        status: dict(Counter(sorted(str(row.error_code) for row in table if row.status == status)).most_common())
        for status in (Status.HELD, Status.FAILED)
    }


def raise_alert(night: Night, counts: RunCounts, unanchored: int, reasons: Mapping[Status, Mapping[str, int]]) -> None:
    """Tell the job's webhook, in counts: of held and failed rows once for each of their reasons in a night, of trouble in every start.

    A receiver that is down does not stop the night; the log says so, and the next start tells it.
    """
    if night.job.alerts.webhook is None:
        return
    untold = untold_shares(night)
    why = {(status.value, code) for status, codes in reasons.items() for code in codes}
    why -= reasons_told(night.ledger, night.job.name, run_id=night.run_id) if why else set()
    shares = Counter(one.share for one in untold)
    alert = Alert(
        run_id=night.run_id,
        held=counts.held,
        failed=counts.failed,
        ambiguous=sum(intent.state == "ambiguous" for intent in open_intents(night.ledger, night.run_id)),
        deadline=overdue_intents(night) + len(night.odd[DEADLINE]),
        quarantined=night.refused,
        unanchored=unanchored,
        local_down=night.failures[LOCAL_DOWN],
        contradicted=sum(night.failures[code] for code in CONTRADICTIONS),
        wrong_account=len(night.odd["wrong_account"]),
        unknown_state=len(night.odd["unknown_state"]),
        budget_50=shares[50],
        budget_80=shares[80],
        budget_100=shares[100],
    )
    # The night has told of what is held; a collection speaks when it ends the run, or when there is something to look after.
    waits = night.options.collect_only and counts.pending
    if not (alert.news or (not waits and (why or alert.unanchored))):
        return
    try:
        send_alert(alert, WebhookOptions(url=night.job.alerts.webhook))
    except EndpointError as error:
        LOGGER.warning("%s", error)
    else:
        enter_told(night, untold, sorted(why))


def compact_ledger(night: Night) -> None:
    """Copy the night's many segments into one archive file, and delete what was copied long ago. The night is done whatever comes of it."""
    try:
        done = compact(night.ledger)
    except LedgerError as error:
        LOGGER.warning("%s", error)
        return
    if done is not None and (done.written or done.deleted):
        LOGGER.info("ledger_compacted written=%d deleted=%d", len(done.written), done.deleted)
