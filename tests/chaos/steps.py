"""Whether a record was asked only as often as was decided, and nothing after a night had stopped at its budget. Pure.

A record is asked once in a run; once more for a repair, and once more when it was escalated: each is an entry of its own (`released`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.recounting import Entry, InRun, is_look
from tests.chaos.seen import Seen

OUTCOMES = frozenset(("completed", "failed"))
STEPS = frozenset(("repair", "escalated"))
DID_NOT_FIT = frozenset(("budget_night", "budget_month", "budget_endpoint_night", "budget_endpoint_month"))


def asked_too_often(seen: Seen) -> Iterator[str]:
    """Each record of a run with more outcomes than steps, or with a step taken twice. What a provider lost has no outcome."""
    outcomes: Counter[InRun] = Counter()
    steps: dict[InRun, Counter[str]] = defaultdict(Counter)
    for entry in seen.entries:
        key = (entry["run_id"], entry["record_id"])
        if entry["event"] in OUTCOMES:
            outcomes[key] += 1
        elif entry["event"] == "released" and entry["reason"] in STEPS:
            steps[key][entry["reason"]] += 1
    for key, found in steps.items():
        yield from (f"record {key[1]} was given back as {step} {times} times" for step, times in found.items() if times > 1)
    for key, times in outcomes.items():
        if times > 1 + steps[key].total():
            yield f"record {key[1]} has {times} outcomes in {key[0]}, and was given back {steps[key].total()} times"


def escalated_wrongly(seen: Seen) -> Iterator[str]:
    """What was given back for the cloud had failed inside just before, and its decision lets it out."""
    last: dict[InRun, Entry] = {}
    lanes: dict[InRun, tuple[str, ...]] = {}
    for entry in seen.entries:
        key = (entry["run_id"], entry["record_id"])
        if entry["event"] == "decided":
            lanes[key] = tuple(entry["lanes"] or ())
        if entry["event"] == "released" and entry["reason"] == "escalated":
            before = last.get(key)
            if before is None or (before["event"], before["lane"], before["intent_id"]) != ("failed", "local", entry["intent_id"]):
                yield f"record {key[1]} was escalated, and no answer from inside had failed"
            elif "cloud" not in lanes.get(key, ()):
                yield f"record {key[1]} was escalated, and may not leave"
        if entry["record_id"] is not None:
            last[key] = entry


def sent_after_a_stop(seen: Seen, job: tuple[str, ...]) -> Iterator[str]:
    """With `on_budget: stop`: a record that did not fit and no stop with it, and each hand-over of what was cleared after a stop.

    What had been given back for the cloud by then may go, once.
    """
    if "on_budget: stop" not in job:
        return
    dates = {entry["run_id"]: entry["logical_date"] for entry in seen.entries if entry["event"] == "run_started"}
    stopped: dict[str, int] = {}
    unfit: set[str] = set()
    cleared: dict[str, int] = {}
    waiting: set[InRun] = set()
    for entry in seen.entries:
        key, event, date = (entry["run_id"], entry["record_id"]), entry["event"], dates.get(entry["run_id"], "")
        if event == "stopped":
            stopped.setdefault(date, entry["seq"])
        elif event in {"held", "assigned"} and entry["reason"] in DID_NOT_FIT:
            unfit.add(date)
        elif event == "cleared":
            cleared[entry["clearance_id"]] = entry["seq"]
        elif event == "released" and entry["reason"] == "escalated":
            waiting.add(key)
        elif event == "submitting" and entry["lane"] != "local" and not is_look(entry["run_id"]):
            if date in stopped and cleared[entry["clearance_id"]] > stopped[date] and key not in waiting:
                yield f"record {key[1]} was cleared for a provider after the night had stopped"
            if date in unfit - stopped.keys():
                yield f"record {key[1]} was sent after one that did not fit, and nothing says that the night had stopped"
            waiting.discard(key)
    yield from (
        f"a record did not fit the budget of {date}, and nothing says that the night has stopped" for date in unfit - stopped.keys()
    )
