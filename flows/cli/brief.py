"""What a person is shown of a ledger's answer: the columns that tell the story, ids cut short, sources by name where that is asked for.

`--format json`, `csv` and `parquet` give every column in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

RECORD_DIGITS = 9
"""So much of a record id is shown, the leading `r` included; commands take that much too, where it names one record."""
ID_DIGITS = 8

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "egress": ("at", "record", "source", "classes", "endpoint", "bytes", "intent", "rule", "policy", "hand_over"),
    "held": ("day", "record", "source", "classes", "reason", "endpoint", "still_held"),
    "held now": ("since", "record", "source", "classes", "reason", "endpoint"),
    "document": ("time", "event", "what", "actor"),
}

SPARE = ("intent", "policy", "rule", "bytes", "endpoint")
"""What is dropped where it is narrow, in this order."""


def brief(question: str, table: Any, names: Mapping[str, Any]) -> Any:
    """The table as a person reads it; an answer that is short already stays as it is. names: of records, by id."""
    if question not in COLUMNS:
        return table
    import pyarrow as pa  # noqa: PLC0415 - heavy; `--help` must stay instant

    rows = [_row(entry, names) for entry in table.to_pylist()]
    columns = [column for column in COLUMNS[question] if column != "source" or names]
    return pa.table(
        {column: pa.array([row[column] for row in rows], pa.int64() if column == "bytes" else pa.string()) for column in columns}
    )


def _row(entry: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    name = names.get(entry["record_id"])
    moment = entry.get("since") or entry.get("at")
    return {
        "day": str(entry["day"]) if "day" in entry else None,
        "since": f"{moment:%Y-%m-%d %H:%M}" if moment else None,
        "at": f"{moment:%Y-%m-%d %H:%M}" if moment else None,
        "time": f"{moment:%Y-%m-%d %H:%M:%S}" if moment else None,
        "record": _cut(entry["record_id"], RECORD_DIGITS),
        "source": None if name is None else name.source + (f" #{name.source_id}" if name.source_id else ""),
        "classes": classes_of(entry),
        "endpoint": entry.get("endpoint"),
        "rule": entry.get("rule"),
        "bytes": entry.get("payload_bytes"),
        "intent": _cut(entry.get("intent_id"), ID_DIGITS),
        "policy": _cut(entry.get("policy_hash"), ID_DIGITS),
        "hand_over": entry.get("hand_over"),
        "reason": entry.get("reason"),
        "still_held": None if entry.get("still_held") is None else "yes" if entry["still_held"] else "no",
        "event": entry.get("event"),
        "what": told(entry) if "event" in entry else None,
        "actor": entry.get("actor"),
    }


def classes_of(entry: Mapping[str, Any]) -> str:
    """The classes; `+?` where the scan stopped early, because there may be more."""
    return ", ".join(entry.get("data_classes") or ()) + (" +?" if entry.get("partial") else "")


def told(entry: Mapping[str, Any]) -> str:
    """What one entry says, in a line."""
    tell = _TOLD.get(entry["event"])
    if tell is not None:
        return tell(entry)
    said = dict.fromkeys(entry[name] for name in ("endpoint", "error_code", "reason", "detail_code", "state", "provider_job_id"))
    return ", ".join(value for value in said if value and value != entry["event"])


def _decided(entry: Mapping[str, Any]) -> str:
    lanes = " or ".join(entry["lanes"] or ()) or "held"
    return f"{classes_of(entry) or 'no class'} → {lanes}, by {entry['rule']} of policy {_cut(entry['policy_hash'], ID_DIGITS)}"


def _changed(entry: Mapping[str, Any]) -> str:
    return f"{entry['before'] or '·'} → {entry['after'] or '·'}: {entry['reason'] or ''}"


_TOLD: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "decided": _decided,
    "assigned": lambda entry: f"{entry['endpoint']} ({entry['lane']}): {entry['reason']}",
    "cleared": lambda entry: f"{entry['payload_bytes']} bytes to {entry['endpoint']}, clearance {_cut(entry['clearance_id'], ID_DIGITS)}",
    "submitting": lambda entry: f"to {entry['endpoint']}, attempt {entry['attempt']}, clearance {_cut(entry['clearance_id'], ID_DIGITS)}",
    "completed": lambda entry: f"{entry['result_file']} row {entry['result_row']}, by {entry['model'] or entry['endpoint']}",
    "overridden": _changed,
    "rescanned": _changed,
    "reviewed": _changed,
    "lookback": _changed,
}


def _cut(value: str | None, digits: int) -> str | None:
    return None if value is None else value[:digits]
