"""What the entries of a ledger say together: hand-overs with their records, the last state of each record, what was decided and cleared.

By code of its own, which shares nothing with Waybill's. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.seen import Seen

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
SETTLING = {"completed": "completed", "failed": "failed", "held": "held"}
"""How a record may end, and how its row says so."""

Entry = Mapping[str, Any]
InRun = tuple[str, str]
"""A run and a record in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A hand-over as the ledger tells it: its records in the order of its rows, with the digests that were cleared.

    jobs: every one that it names; of an ARN, the last part.
    """

    intent_id: str
    run_id: str
    records: tuple[str, ...]
    payloads: tuple[str, ...]
    clearances: tuple[str, ...]
    first_seq: int
    jobs: frozenset[str]
    open: bool


def is_look(run_id: str) -> bool:
    """Whether a run is one of second looks, which has no results of its own."""
    return ".look-" in run_id


def latest_run(seen: Seen) -> str:
    """The run that was begun last, looks aside."""
    begun = [entry["run_id"] for entry in seen.entries if entry["event"] == "run_started" and not is_look(entry["run_id"])]
    return max(begun, key=begun.index) if begun else ""


def last_states(seen: Seen) -> dict[InRun, Entry]:
    """The latest state of each record of a run; what is said of an intent without a record holds for all its records."""
    members: dict[str, list[InRun]] = defaultdict(list)
    last: dict[InRun, Entry] = {}
    for entry in seen.entries:
        if entry["event"] not in STATES:
            continue
        if entry["event"] == "submitting":
            members[entry["intent_id"]].append((entry["run_id"], entry["record_id"]))
        if entry["record_id"] is not None:
            last[entry["run_id"], entry["record_id"]] = entry
        elif entry["intent_id"] is not None:
            for key in members[entry["intent_id"]]:
                if last[key]["intent_id"] == entry["intent_id"] and last[key]["event"] not in SETTLING:
                    last[key] = {**entry, "intent_id": entry["intent_id"]}
    return last


def intents(seen: Seen) -> Iterator[Intent]:
    """Every hand-over, local ones too."""
    handed: dict[str, list[Entry]] = defaultdict(list)
    about: dict[str, list[Entry]] = defaultdict(list)
    for entry in seen.entries:
        if entry["intent_id"] is not None:
            about[entry["intent_id"]].append(entry)
            if entry["event"] == "submitting":
                handed[entry["intent_id"]].append(entry)
    for intent_id, rows in handed.items():
        ways = {"submitting", "submitted", "ambiguous", "rejected", "job_ended"}
        given_up = [entry for entry in about[intent_id] if entry["event"] == "cancelled" and entry["state"] == "superseded"]
        events = [entry["event"] for entry in about[intent_id] if entry["event"] in ways]
        yield Intent(
            intent_id=intent_id,
            run_id=rows[0]["run_id"],
            records=tuple(row["record_id"] for row in rows),
            payloads=tuple(row["payload_hmac"] for row in rows),
            clearances=tuple(row["clearance_id"] for row in rows),
            first_seq=rows[0]["seq"],
            jobs=frozenset(entry["provider_job_id"].rpartition("/")[2] for entry in about[intent_id] if entry["provider_job_id"]),
            open=not given_up and events[-1] in {"submitting", "submitted", "ambiguous"},
        )


def clearances(seen: Seen) -> dict[tuple[str, str], tuple[str, int]]:
    """Of each record and clearance: the payload, and when it was stated."""
    return {
        (entry["record_id"], entry["clearance_id"]): (entry["payload_hmac"], entry["seq"])
        for entry in seen.entries
        if entry["event"] == "cleared"
    }


def decisions(seen: Seen) -> dict[InRun, list[tuple[int, tuple[str, ...], str]]]:
    """When each record of a run was decided, which lanes were permitted, and under which policy."""
    found: dict[InRun, list[tuple[int, tuple[str, ...], str]]] = defaultdict(list)
    for entry in seen.entries:
        if entry["event"] == "decided":
            found[entry["run_id"], entry["record_id"]].append((entry["seq"], tuple(entry["lanes"] or ()), entry["policy_hash"]))
    return found


def completions(seen: Seen) -> Iterator[tuple[InRun, str, str]]:
    """Every result: the record of a run, the digest of the text that it had been decided on, and the lane."""
    text: dict[InRun, str] = {}
    for entry in seen.entries:
        if entry["event"] == "decided":
            text[entry["run_id"], entry["record_id"]] = entry["document_hmac"]
        elif entry["event"] == "completed":
            key = (entry["run_id"], entry["record_id"])
            yield key, text.get(key, ""), entry["lane"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result of a text: in which lane, and the places in the ledger where it was asked for and where it came."""

    lane: str
    asked: int
    came: int


def answers(seen: Seen) -> dict[tuple[str, str], list[Answer]]:
    """The results of each text, of all runs but those of second looks: by record and the digest of the text."""
    text: dict[InRun, str] = {}
    asked: dict[InRun, int] = {}
    found: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for entry in seen.entries:
        key = (entry["run_id"], entry["record_id"])
        if entry["event"] == "decided":
            text[key] = entry["document_hmac"]
        elif entry["event"] == "submitting":
            asked[key] = entry["seq"]
        elif entry["event"] == "completed" and not is_look(entry["run_id"]):
            found[entry["record_id"], text.get(key, "")].append(Answer(lane=entry["lane"], asked=asked.get(key, 0), came=entry["seq"]))
    return found


def decided_texts(seen: Seen) -> dict[InRun, str]:
    """The digest of the text that each record of a run was last decided on."""
    return {(entry["run_id"], entry["record_id"]): entry["document_hmac"] for entry in seen.entries if entry["event"] == "decided"}
