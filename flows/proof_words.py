"""A proven record in the words of people who read no JSON: one line for each entry, and what follows from all of them.

Pure, and made from proven entries alone, so that who checks a proof makes the same words again: those in the file are not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WORDS = 1
"""Which wording this is. A proof says its own, so that one that was made in other words still holds years later."""
DIGITS = 8
MOST_FOUND = 12
LOCAL = "local"

LIMITS = (
    "Proven: each entry shown here is in the log that the checkpoint signs, as it was written. Who pins the key need believe nobody.",
    "Not proven: that the log holds no other entry about the record. No proof of a few entries can say that; the whole ledger can.",
    "Not proven: that what was written is true. Times are those of the host that wrote them.",
    "Not in a ledger: what the detectors overlooked, and what a provider did with a text.",
    "Digests of texts and payloads are keyed: whether a text is the one that was decided on or sent, the holder of the HMAC key can check.",
)

Entry = Mapping[str, Any]


def summary_of(entries: Sequence[Entry], policies: Sequence[Entry], *, record_id: str, ledger: str, size: int, segment: int) -> list[str]:
    """The summary of a record whose entries are proven."""
    texts = {entry.get("policy_hash"): entry["seq"] for entry in policies}
    lines = [
        f"Record {record_id}: {_counted(len(entries), 'entry', 'entries')} of {size} in {ledger}, as signed with segment {segment}.",
        *(f"{entry['at'][:19].replace('T', ' ')} UTC, entry {entry['seq']}: {told(entry)}" for entry in entries),
        _where(entries),
        *_known(entries),
        *(_policy(name, texts) for name in sorted({entry["policy_hash"] for entry in entries if entry.get("policy_hash")})),
    ]
    return [printable(line) for line in lines]


def told(entry: Entry) -> str:
    """What one entry says, in a sentence."""
    tell = _TOLD.get(entry["event"])
    words = tell(entry) if tell else _plainly(entry)
    return words if entry["actor"] == "waybill" else f"{words} By {entry['actor']}."


def printable(text: str) -> str:
    """What steers a terminal, or turns the writing round, is shown and not obeyed."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _decided(entry: Entry) -> str:
    lanes = " or ".join(entry.get("lanes") or ()) or "none, it is held"
    found = _found(entry.get("evidence") or ())
    by = f"rule {entry.get('rule', 'not stated')} of policy {_cut(entry, 'policy_hash')}, detectors {_cut(entry, 'detectors_hash')}"
    words = f"decided: {_classes(entry)}. Permitted lanes: {lanes}; {by}. Found: {found}."
    if entry.get("cloud_requires"):
        words += f" A cloud endpoint must have {', '.join(entry['cloud_requires'])}."
    return words + (" Partial: the scan stopped early, the classes are a lower bound." if entry.get("partial") is not False else "")


def _found(evidence: Sequence[Entry]) -> str:
    most: dict[str, int] = {}  # several detectors may count the same
    for one in evidence:
        most[one["entity"]] = max(one["count"], most.get(one["entity"], 0))
    words = [f"{count} × {entity}" for entity, count in most.items()]
    more = [f"and {len(words) - MOST_FOUND} more kinds"] if len(words) > MOST_FOUND else []
    return ", ".join([*words[:MOST_FOUND], *more]) or "nothing that counts"


def _assigned(entry: Entry) -> str:
    return (
        f"assigned to {_endpoint(entry)}, by the strategy {entry.get('strategy', 'not stated')}: {entry.get('reason', 'no reason stated')}."
    )


def _cleared(entry: Entry) -> str:
    return (
        f"cleared once for {_endpoint(entry)}: {_payload(entry)}, clearance {_cut(entry, 'clearance_id')}, attempt {entry.get('attempt')}."
    )


def _submitting(entry: Entry) -> str:
    return f"handed over to {_endpoint(entry)}: {_payload(entry)}, spending clearance {_cut(entry, 'clearance_id')}."


def _of_hand_over(words: str) -> Callable[[Entry], str]:
    def tell(entry: Entry) -> str:
        job = entry.get("provider_job_id")
        return f"{words} ({entry.get('endpoint', 'endpoint not stated')}{f', its job {job}' if job else ''})."

    return tell


def _completed(entry: Entry) -> str:
    return f"a result came from {_endpoint(entry)}, model {entry.get('model', 'not stated')}, with digest {_cut(entry, 'result_digest')}."


def _failed(entry: Entry) -> str:
    return f"failed at {_endpoint(entry)}: {entry.get('error_code', 'no code stated')}."


def _held(entry: Entry) -> str:
    return f"held: {entry.get('reason', 'no reason stated')}. Nothing was handed over."


def _judged(entry: Entry) -> str:
    return f"a model inside ({entry.get('model', 'not stated')}) was asked, and said: {_classes(entry)}."


def _looked_back(entry: Entry) -> str:
    then, now = _named(entry.get("before")), _named(entry.get("after"))
    if not entry.get("after"):
        return f"a look-back could not judge it again: {entry.get('reason', 'no reason stated')}."
    return f"a look-back judged it again: {then} then, {now} now ({entry.get('reason', 'no reason stated')})."


def _reviewed(entry: Entry) -> str:
    return (
        f"a person read it again: decided {_named(entry.get('before'))}, found {_named(entry.get('after'))} ({entry.get('reason', '-')})."
    )


def _changed(words: str) -> Callable[[Entry], str]:
    def tell(entry: Entry) -> str:
        return f"{words}: {_named(entry.get('before'))}, then {_named(entry.get('after'))} ({entry.get('reason', 'no reason stated')})."

    return tell


def _plainly(entry: Entry) -> str:
    values = dict.fromkeys(str(entry[name]) for name in ("endpoint", "reason", "detail_code", "state", "result_file") if name in entry)
    return f"{entry['event']}{': ' if values else ''}{', '.join(values)}."


_TOLD: Mapping[str, Callable[[Entry], str]] = {
    "decided": _decided,
    "assigned": _assigned,
    "cleared": _cleared,
    "submitting": _submitting,
    "submitted": _of_hand_over("the hand-over was taken"),
    "ambiguous": _of_hand_over("nobody can tell whether the hand-over was taken"),
    "rejected": _of_hand_over("the hand-over was refused"),
    "cancelled": _of_hand_over("the hand-over was given up"),
    "job_ended": _of_hand_over("the hand-over ended, and its results were taken in"),
    "deleted_remote": _of_hand_over("what the hand-over left at the provider was deleted there"),
    "completed": _completed,
    "failed": _failed,
    "held": _held,
    "judged": _judged,
    "lookback": _looked_back,
    "reviewed": _reviewed,
    "overridden": _changed("a person changed what it is"),
    "rescanned": _changed("its result was found to be more than it"),
}


def _where(entries: Sequence[Entry]) -> str:
    sent = [entry for entry in entries if entry["event"] == "submitting"]
    out = [entry for entry in sent if entry.get("lane") != LOCAL]
    if not sent:
        return "It was never handed over, to the cloud or inside, in any entry shown here."
    to = sorted({entry.get("endpoint", "endpoint not stated") for entry in out})
    when = f" ({', '.join(to)}; first {out[0]['at'][:10]}, last {out[-1]['at'][:10]})" if out else ""
    inside = _counted(len(sent) - len(out), "time", "times")
    return f"Handed over to the cloud: {_counted(len(out), 'time', 'times')}{when}. Handed over inside: {inside}."


def _known(entries: Sequence[Entry]) -> list[str]:
    """What anybody said later that was not decided when it last left."""
    sent = [entry["seq"] for entry in entries if entry["event"] == "submitting" and entry.get("lane") != LOCAL]
    if not sent:
        return []
    decided = [entry for entry in entries if entry["event"] == "decided" and entry["seq"] < sent[-1]]
    if not decided:
        return ["No decision is shown from before it left."]
    then = set(decided[-1].get("data_classes") or ())
    later: dict[str, list[int]] = {}
    for entry in entries:
        if entry["seq"] > decided[-1]["seq"] and entry["event"] in {"decided", "lookback", "reviewed", "judged", "rescanned", "overridden"}:
            for name in {*(entry.get("data_classes") or ()), *re.split(r"[^A-Z0-9_]+", entry.get("after") or "")} - then - {"", "CLEAN"}:
                later.setdefault(name, []).append(entry["seq"])
    said = [f"{name} (entry {', '.join(map(str, numbers))})" for name, numbers in sorted(later.items())]
    was, since = ", ".join(sorted(then)) or "of no class", "; ".join(said) or "nothing"
    return [f"When it last left it was decided to be {was}. Said since, beyond that: {since}."]


def _policy(name: str, texts: Mapping[Any, int]) -> str:
    where = f"its text is in entry {texts[name]}, proven here too" if name in texts else "its text is not in this proof"
    return f"Policy {name[:DIGITS]}: {where}."


def _classes(entry: Entry) -> str:
    return ", ".join(entry.get("data_classes") or ()) or "no class"


def _named(text: str | None) -> str:
    return (text or "nothing").replace("+", ", ")


def _endpoint(entry: Entry) -> str:
    return f"{entry.get('endpoint', 'an endpoint that is not stated')} ({entry.get('lane', 'lane not stated, so it counts as cloud')})"


def _payload(entry: Entry) -> str:
    return f"{entry.get('payload_bytes', 'unknown')} bytes with payload digest {entry.get('payload_hmac', 'not stated')}"


def _cut(entry: Entry, name: str) -> str:
    return (entry.get(name) or "not stated")[:DIGITS] if entry.get(name) else "not stated"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
