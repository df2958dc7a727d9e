"""Whether a night kept what was promised: nothing lost, nothing doubled, nothing received that was not cleared. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.seen import Created, Seen
from tests.chaos.story import Text

SETTLING = {"completed": "completed", "failed": "failed", "held": "held"}
STATES = frozenset(
    (
        "decided",
        "assigned",
        "cleared",
        "submitting",
        "submitted",
        "ambiguous",
        "rejected",
        "cancelled",
        "completed",
        "failed",
        "held",
        "released",
    )
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A hand-over as the ledger tells it: its records in the order of its rows, with the digests that were cleared.

    jobs: every one that it names; of an ARN, the last part.
    """

    intent_id: str
    lane: str
    records: tuple[str, ...]
    payloads: tuple[str, ...]
    clearances: tuple[str, ...]
    first_seq: int
    jobs: frozenset[str]
    open: bool


def judge(seen: Seen, documents: Mapping[str, Text], *, by_hand: bool = True) -> Findings:
    """All checks. by_hand: hand-overs in doubt wait for a person (`on_ambiguous: hold`); otherwise none may be left."""
    intents = list(_intents(seen))
    return Findings(
        records=len(documents),
        faults=seen.injected,
        lost=tuple(_lost(seen, documents)),
        duplicated=(*_twice_in_results(seen), *_twice_in_ledger(seen), *_created_twice(seen, intents)),
        uncleared=(*_not_cleared(seen, intents), *_restricted_received(seen, documents)),
        other=(
            *_left_in_spool(seen, intents),
            *(f"a canary lies in {name}" for name in seen.leaks),
            *_results_unlike_ledger(seen),
            *(() if by_hand else _in_doubt(seen)),
        ),
    )


def _lost(seen: Seen, documents: Mapping[str, Text]) -> Iterator[str]:
    """Each document has a row in the results, and its record an end in the ledger."""
    told = {row["source"] for row in seen.results}
    yield from (f"{name} has neither a result nor a row that says why" for name in documents if name not in told)
    for record_id, entry in _last(seen).items():
        if entry["event"] not in {*SETTLING, "ambiguous"}:
            yield f"record {record_id} ends as {entry['event']}"


def _in_doubt(seen: Seen) -> Iterator[str]:
    for record_id, entry in _last(seen).items():
        if entry["event"] == "ambiguous":
            yield f"record {record_id} is in doubt, and nothing is wrong at the provider any more"


def _results_unlike_ledger(seen: Seen) -> Iterator[str]:
    """A row says what the ledger says."""
    ends = {record_id: SETTLING.get(entry["event"], "held") for record_id, entry in _last(seen).items()}
    for row in seen.results:
        if ends.get(row["record_id"]) != row["status"]:
            yield f"record {row['record_id']} is {row['status']} in the results and {ends.get(row['record_id'])} in the ledger"


def _twice_in_results(seen: Seen) -> Iterator[str]:
    for name, count in Counter(row["source"] for row in seen.results).items():
        if count > 1:
            yield f"{name} has {count} rows in the results"


def _twice_in_ledger(seen: Seen) -> Iterator[str]:
    for record_id, count in Counter(entry["record_id"] for entry in seen.entries if entry["event"] == "completed").items():
        if count > 1:
            yield f"record {record_id} was completed {count} times"


def _created_twice(seen: Seen, intents: list[Intent]) -> Iterator[str]:
    """One batch for an intent; and one that the ledger does not name is none that was followed by another with the same records.

    Twins are left out: the provider's own fault made two of one request.
    """
    of = {intent.intent_id[:12]: intent for intent in intents}
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
        elif jobs[0].job_id not in intent.jobs and (later := _sent_again(intent, intents)):
            yield f"the batch of intent {name} is in no entry, and intent {later[:12]} carried its records again"


def _sent_again(intent: Intent, intents: list[Intent]) -> str:
    mine = set(intent.records)
    return next((other.intent_id for other in intents if other.first_seq > intent.first_seq and mine & set(other.records)), "")


def _not_cleared(seen: Seen, intents: list[Intent]) -> Iterator[str]:
    """Each row that arrived is one of an intent, with the very payload that was cleared for its record, decided for the cloud before."""
    of = {intent.intent_id[:12]: intent for intent in intents}
    decided, cleared = _decisions(seen), _clearances(seen)
    for row in seen.received:
        name, ordinal = row.row_id[:12], row.row_id[12:].removeprefix("-")  # Bedrock's have no dash
        intent = of.get(name)
        if intent is None or not ordinal.isdigit() or int(ordinal) >= len(intent.records):
            yield f"row {row.row_id} belongs to no hand-over"
            continue
        place = int(ordinal)
        record_id, payload, clearance = intent.records[place], intent.payloads[place], intent.clearances[place]
        if row.payload_hmac != payload:
            yield f"row {row.row_id} is not what was handed over"
        elif cleared.get((record_id, clearance), ("", 0))[0] != payload or cleared[record_id, clearance][1] > intent.first_seq:
            yield f"row {row.row_id} was not cleared"
        elif "cloud" not in max((pair for pair in decided[record_id] if pair[0] < intent.first_seq), default=(0, ()))[1]:
            yield f"row {row.row_id} is of a record that may not leave"


def _restricted_received(seen: Seen, documents: Mapping[str, Text]) -> Iterator[str]:
    """By the words themselves, in every byte that arrived: nothing of a document that must stay inside."""
    inside = {text.canary.encode(): name for name, text in documents.items() if text.restricted}
    found = {canary for body in seen.raw for canary in _CANARY.findall(body)}
    yield from (f"words of {inside[canary]} were received" for canary in sorted(found & inside.keys()))


def _left_in_spool(seen: Seen, intents: list[Intent]) -> Iterator[str]:
    still = {intent.intent_id for intent in intents if intent.open}
    yield from (f"{name} lies in the spool, and its hand-over has ended" for name in seen.spool if name.partition(".")[0] not in still)


def _last(seen: Seen) -> dict[str, dict[str, Any]]:
    """The latest state of each record; what is said of an intent without a record holds for all its records."""
    members: dict[str, list[str]] = defaultdict(list)
    last: dict[str, dict[str, Any]] = {}
    for entry in seen.entries:
        if entry["event"] not in STATES:
            continue
        if entry["event"] == "submitting":
            members[entry["intent_id"]].append(entry["record_id"])
        if entry["record_id"] is not None:
            last[entry["record_id"]] = entry
        elif entry["intent_id"] is not None:
            for record_id in members[entry["intent_id"]]:
                if last[record_id]["intent_id"] == entry["intent_id"] and last[record_id]["event"] not in SETTLING:
                    last[record_id] = {**entry, "intent_id": entry["intent_id"]}
    return last


def _intents(seen: Seen) -> Iterator[Intent]:
    handed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    about: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in seen.entries:
        if entry["intent_id"] is not None:
            about[entry["intent_id"]].append(entry)
            if entry["event"] == "submitting":
                handed[entry["intent_id"]].append(entry)
    for intent_id, rows in handed.items():
        events = [
            entry["event"]
            for entry in about[intent_id]
            if entry["event"] in {"submitting", "submitted", "ambiguous", "rejected", "job_ended"}
        ]
        yield Intent(
            intent_id=intent_id,
            lane=rows[0]["lane"],
            records=tuple(row["record_id"] for row in rows),
            payloads=tuple(row["payload_hmac"] for row in rows),
            clearances=tuple(row["clearance_id"] for row in rows),
            first_seq=rows[0]["seq"],
            jobs=frozenset(entry["provider_job_id"].rpartition("/")[2] for entry in about[intent_id] if entry["provider_job_id"]),
            open=events[-1] in {"submitting", "submitted", "ambiguous"},
        )


def _clearances(seen: Seen) -> dict[tuple[str, str], tuple[str, int]]:
    return {
        (entry["record_id"], entry["clearance_id"]): (entry["payload_hmac"], entry["seq"])
        for entry in seen.entries
        if entry["event"] == "cleared"
    }


def _decisions(seen: Seen) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    found: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
    for entry in seen.entries:
        if entry["event"] == "decided":
            found[entry["record_id"]].append((entry["seq"], tuple(entry["lanes"] or ())))
    return found
