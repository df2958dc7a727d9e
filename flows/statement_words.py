"""A statement in words: the answer first, then what it rests on, then everything that could make it larger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.proof_words import printable
from flows.review_bounds import told

DIGITS = 8
MOST_SHOWN = 20

STATED_LIMITS = (
    "Proven: the ledger's key signed this statement, and the checkpoints that it names are of one log, the earlier a prefix of the later.",
    "Stated, and to be checked only with the ledger: the counts. Whoever has a copy asks the same question again, as of the same entry.",
    "A hand-over counts whatever came of it: the text had left. A lane that nobody stated counts as the cloud.",
    "Not known from a ledger: what no detector, second look, look-back or reviewer recognised; only a review sample bounds it.",
    "Not in a ledger: what passed it by, and what a provider did with what it was handed.",
)

_WORDS: Mapping[str, str] = {
    "lookback": "look-backs",
    "reviewed": "reviews",
    "decided": "another decision about the same text",
    "judged": "second looks",
    "rescanned": "their results",
    "overridden": "people who raised it",
}
_WHY: Mapping[str, str] = {
    "no_record": "no record stated",
    "no_endpoint": "no endpoint stated",
    "no_decision": "no decision before it",
    "no_classes": "a decision that states no class",
    "decided_again": "decided again after its clearance",
}


def statement_text(question: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """The lines that are signed along with the numbers."""
    name = question["data_class"]
    lines = [
        _asked(question, answer),
        _then(name, answer),
        _now(name, answer),
        _unknown(answer),
        _partial(name, answer),
        _looked(answer),
        *([] if question["lane"] == "local" else told(answer["review_samples"])),
        *_cautions(name, answer),
        _verified(answer),
        _in_force("Policies", [(one["policy_hash"], one["hand_overs"]) for one in answer["policies"]]),
        _in_force("Detectors", [(one["detectors_hash"], one["hand_overs"]) for one in answer["detectors"]]),
    ]
    return [printable(line) for line in lines]


def record_lines(answer: Mapping[str, Any]) -> list[str]:
    """The records of the class, one a line, as far as a terminal should show them."""
    records = answer["records"]
    lines = [printable(_record(one)) for one in records[:MOST_SHOWN]]
    left = len(records) - len(lines) + answer["records_not_listed"]
    return [*lines, f"… and {left:,} more; --out FILE has them"] if left else lines


def _record(one: Mapping[str, Any]) -> str:
    sent = ", ".join(f"{hand['endpoint'] or 'endpoint not stated'} {hand['at'][:10]} (entry {hand['entry']})" for hand in one["sent"][:3])
    more = f" and {len(one['sent']) - 3} more times" if len(one["sent"]) > 3 else ""  # noqa: PLR2004 - as many as were named
    said = ", ".join(f"{word['event']} {word['at'][:10]} (entry {word['entry']})" for word in one["said_by"][:3])
    then = "decided then" if one["decided_then"] else "not decided then"
    return f"{one['record_id']}  sent: {sent}{more}; {then}{f'; said by: {said}' if said else ''}"


def _asked(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    until = f"{question['until']}, not included" if question["until"] else "the last entry"
    days = f"{question['since'] or 'the first entry'} up to {until} (UTC)"
    where = f"the lane {question['lane']}" + (f", endpoint {question['endpoint']}" if question["endpoint"] else "")
    return f"{question['data_class']} and {where}; hand-overs from {days}; as of entry {answer['as_of']['entries']:,}."


def _then(name: str, answer: Mapping[str, Any]) -> str:
    then, all_of_them = answer["as_decided_then"], answer["handed_over"]
    return (
        f"As decided then: {then['records']:,} of {all_of_them['records']:,} records handed over were {name} "
        f"({then['hand_overs']:,} of {all_of_them['hand_overs']:,} hand-overs)."
    )


def _now(name: str, answer: Mapping[str, Any]) -> str:
    now = answer["as_known_now"]
    by = ", ".join(f"{_WORDS[word]} {count:,}" for word, count in now["records_by_word"].items())
    return f"As known now: {now['further_records']:,} further records are {name}. Records by who says so, decided then or not: {by}."


def _unknown(answer: Mapping[str, Any]) -> str:
    unknown = answer["unknown"]
    if not unknown["hand_overs"]:
        return "Unknown: 0 hand-overs; each has a decision that states classes and was in force when it was cleared."
    why = ", ".join(f"{_WHY[name]} {count:,}" for name, count in unknown["by_reason"].items() if count)
    return f"UNKNOWN, and not counted as a no: {unknown['hand_overs']:,} hand-overs ({why})."


def _partial(name: str, answer: Mapping[str, Any]) -> str:
    partial = answer["partial_evidence"]
    if not partial["hand_overs"]:
        return "Partial evidence: 0 hand-overs; the scan of each went as far as its policy asks."
    return (
        f"PARTIAL EVIDENCE: {partial['hand_overs']:,} hand-overs ({partial['records']:,} records) rest on a scan that stopped early. "
        f"Their classes are a lower bound: they may be {name} too."
    )


def _looked(answer: Mapping[str, Any]) -> str:
    looked = answer["looked_back"]
    return (
        f"Looked back at: {looked['judged']:,} of {looked['texts']:,} texts were judged again, {looked['not_judged']:,} could not be, "
        f"{looked['never']:,} never were."
    )


def _cautions(name: str, answer: Mapping[str, Any]) -> list[str]:
    now, handed = answer["as_known_now"], answer["handed_over"]
    lines = []
    if now["lowered_by_approval"]:
        lines.append(
            f"LOWERED: of {now['lowered_by_approval']:,} records {name} was taken off by a signed approval; they are in no count above."
        )
    if now["reviews_in_doubt"]:
        lines.append(f"IN DOUBT: of {now['reviews_in_doubt']:,} texts a reviewer could not tell.")
    if handed["without_clearance"]:
        lines.append(f"WITHOUT CLEARANCE: {handed['without_clearance']:,} hand-overs spend no clearance that the ledger holds.")
    return lines


def _verified(answer: Mapping[str, Any]) -> str:
    found = answer["verification"]
    how = "every entry recomputed" if found["deep"] else "files and signatures"
    pinned = "by a pinned key" if found["key_pinned"] else "key not pinned, so self-consistent only"
    return f"Verified before: intact, {found['entries']:,} entries in {found['segments']:,} segments ({how}; {pinned})."


def _in_force(what: str, found: Sequence[tuple[str, int]]) -> str:
    return f"{what} in force: {', '.join(f'{name[:DIGITS]} ({count:,} hand-overs)' for name, count in found) or 'none'}."
