"""Whether a night kept what was promised: nothing lost, doubled or received that was not cleared, and no budget exceeded. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.money import limits, overspent
from tests.chaos.recounting import (
    SETTLING,
    Intent,
    answers,
    clearances,
    completions,
    decided_texts,
    decisions,
    intents,
    last_states,
    latest_run,
)
from tests.chaos.seen import Created, Seen, document_hmac
from tests.chaos.steps import asked_too_often, escalated_wrongly, sent_after_a_stop
from tests.chaos.story import Story

IN_FLIGHT = frozenset({"submitting", "submitted", "ambiguous"})
_CANARY = re.compile(rb"quetzalcoatl-\d{4}(?:-letter)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong, each in words without text. other: no loss, but not as promised either."""

    records: int
    faults: int
    lost: tuple[str, ...] = ()
    duplicated: tuple[str, ...] = ()
    uncleared: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything is."""
        return bool(self.lost or self.duplicated or self.uncleared or self.other)


def judge(seen: Seen, told: Story) -> Findings:
    """All checks. Where a person is to decide on hand-overs in doubt (`on_ambiguous: hold`), some may be left; otherwise none."""
    handed = list(intents(seen))
    return Findings(
        records=sum(1 for _ in told.versions),
        faults=seen.injected,
        lost=tuple(_lost(seen, told)),
        duplicated=(*_twice_in_results(seen), *_twice_in_ledger(seen), *_created_twice(seen, handed), *asked_too_often(seen)),
        uncleared=(*_not_cleared(seen, handed), *_restricted_received(seen, told)),
        other=(
            *_left_in_spool(seen, handed),
            *(f"a canary lies in {name}" for name in seen.leaks),
            *_results_unlike_ledger(seen),
            *(() if told.by_hand else _in_doubt(seen)),
            *overspent(seen.entries, limits(told.job)),
            *escalated_wrongly(seen),
            *sent_after_a_stop(seen, told.job),
        ),
    )


def _lost(seen: Seen, told: Story) -> Iterator[str]:
    """Each document has a row in the results, for the text that it has now, and its record an end in the ledger."""
    texts, rows = decided_texts(seen), defaultdict(set)
    for row in seen.results:
        rows[row["source"]].add((row["run_id"], row["record_id"]))
    for name, text in told.documents.items():
        if name not in rows:
            yield f"{name} has neither a result nor a row that says why"
        elif text.since and not any(texts.get(key) == document_hmac(text.content, seen.secret) for key in rows[name]):
            yield f"{name} has no row since it is another text"
    latest = latest_run(seen)
    for (run_id, record_id), entry in last_states(seen).items():
        ended = entry["event"] in {*SETTLING, "ambiguous"}
        # What a killed night had begun, and nobody went on with, is the later run's to do; what it had sent is not.
        if entry["event"] in IN_FLIGHT - {"ambiguous"} or (run_id == latest and not ended):
            yield f"record {record_id} ends as {entry['event']} in {run_id}"


def _in_doubt(seen: Seen) -> Iterator[str]:
    for (_, record_id), entry in last_states(seen).items():
        if entry["event"] == "ambiguous":
            yield f"record {record_id} is in doubt, and nothing is wrong at the provider any more"


def _results_unlike_ledger(seen: Seen) -> Iterator[str]:
    """A row says what the ledger says."""
    ends = {key: SETTLING.get(entry["event"], "held") for key, entry in last_states(seen).items()}
    for row in seen.results:
        in_ledger = ends.get((row["run_id"], row["record_id"]))
        if in_ledger != row["status"]:
            yield f"record {row['record_id']} is {row['status']} in the results and {in_ledger} in the ledger"


def _twice_in_results(seen: Seen) -> Iterator[str]:
    for (run_id, name), count in Counter((row["run_id"], row["source"]) for row in seen.results).items():
        if count > 1:
            yield f"{name} has {count} rows in the results of {run_id}"


def _twice_in_ledger(seen: Seen) -> Iterator[str]:
    """One result of a record in a run. And one of each text that was paid for, on whichever day: what has not changed is not sent again.

    What a killed run has left with an engine inside is asked anew by the next day's, in any lane; not once there is an answer.
    """
    results = Counter(key for key, _, _ in completions(seen))
    yield from (
        f"record {record_id} was completed {count} times in {run_id}" for (run_id, record_id), count in results.items() if count > 1
    )
    for (record_id, _), found in answers(seen).items():
        paid = [one for one in found if one.lane == "cloud"]
        if len(paid) > 1 or any(one.asked > first.came for first in paid for one in found):
            yield f"record {record_id} was completed {len(found)} times for the same text, and paid for"


def _created_twice(seen: Seen, handed: list[Intent]) -> Iterator[str]:
    """One batch for an intent; and one that the ledger does not name is none that was followed by another with the same records.

    Twins are left out: the provider's own fault made two of one request.
    """
    of = {intent.intent_id[:12]: intent for intent in handed}
    made: dict[str, list[Created]] = defaultdict(list)
    for job in seen.created:
        if not job.twin:
            made[job.intent].append(job)
    for name, jobs in made.items():
        intent = of.get(name)
        if len(jobs) > 1:
            yield f"intent {name} was created {len(jobs)} times"
        if intent is None:
            yield f"a batch was created for {name}, of which the ledger knows nothing"
        elif jobs[0].job_id not in intent.jobs and (later := _sent_again(intent, handed)):
            yield f"the batch of intent {name} is in no entry, and intent {later[:12]} carried its records again"


def _sent_again(intent: Intent, handed: list[Intent]) -> str:
    mine = set(intent.records)
    later = (other for other in handed if other.run_id == intent.run_id and other.first_seq > intent.first_seq)
    return next((other.intent_id for other in later if mine & set(other.records)), "")


def _not_cleared(seen: Seen, handed: list[Intent]) -> Iterator[str]:
    """Each row that arrived is one of an intent, with the very payload that was cleared for its record, decided for the cloud before."""
    of = {intent.intent_id[:12]: intent for intent in handed}
    decided, cleared = decisions(seen), clearances(seen)
    for row in seen.received:
        name, ordinal = row.row_id[:12], row.row_id[12:].removeprefix("-")  # Bedrock's have no dash
        intent = of.get(name)
        if intent is None or not ordinal.isdigit() or int(ordinal) >= len(intent.records):
            yield f"row {row.row_id} belongs to no hand-over"
            continue
        place = int(ordinal)
        record_id, payload, clearance = intent.records[place], intent.payloads[place], intent.clearances[place]
        before = (one for one in decided[intent.run_id, record_id] if one[0] < intent.first_seq)
        _, lanes, policy = max(before, default=(0, (), ""))
        if row.payload_hmac != payload:
            yield f"row {row.row_id} is not what was handed over"
        elif cleared.get((record_id, clearance), ("", 0))[0] != payload or cleared[record_id, clearance][1] > intent.first_seq:
            yield f"row {row.row_id} was not cleared"
        elif "cloud" not in lanes:
            yield f"row {row.row_id} is of a record that may not leave"
        elif policy == row.outdated:
            yield f"row {row.row_id} was decided under a policy that had been replaced when it left"


def _restricted_received(seen: Seen, told: Story) -> Iterator[str]:
    """By the words themselves, in every byte that arrived: nothing of a text that must stay inside."""
    inside = {text.canary.encode(): name for name, text in told.versions if text.restricted}
    found = {canary for body in seen.raw for canary in _CANARY.findall(body)}
    yield from (f"words of {inside[canary]} were received" for canary in sorted(found & inside.keys()))


def _left_in_spool(seen: Seen, handed: list[Intent]) -> Iterator[str]:
    still = {intent.intent_id for intent in handed if intent.open}
    yield from (f"{name} lies in the spool, and its hand-over has ended" for name in seen.spool if name.partition(".")[0] not in still)
