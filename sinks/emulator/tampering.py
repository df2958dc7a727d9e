"""Results that are not as they should be: rows missing, double, foreign or odd, and files torn or in another dress. Pure.

Rows are touched in the order of the file; those that a fault needs an answer in are taken among the ones that have one.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sinks.emulator.faults import Fault
from sinks.emulator.jobs import Tree
from sinks.emulator.rowforms import FORMS, RowForm
from sinks.emulator.work import ResultRow

_NULS = 64


def tamper_rows(fault: Fault | None, provider: str, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows with a planned row fault in them."""
    kept = list(rows)
    if fault is None:
        return kept
    count, form = max(fault.rows, 1), FORMS[provider]
    answered = [index for index, row in enumerate(kept) if row.kind == "succeeded"][:count]
    if fault.fault == "missing_row":
        return kept[count:]
    more: dict[str, Callable[[], list[ResultRow]]] = {
        "duplicate_row": lambda: kept[:count],
        "foreign_row": lambda: [_foreign(kept[index], number, form) for number, index in enumerate(answered, start=1)],
        "conflicting_row": lambda: [_changed(kept[index], lambda tree: form.say(tree, "Something else.")) for index in answered],
        "both_files": lambda: [replace(_changed(kept[index], form.error_body), kind="errored") for index in answered],
    }
    if fault.fault in more:
        return kept + more[fault.fault]()
    if (change := _row_changes(form).get(fault.fault)) is not None:
        for index in answered:
            kept[index] = _changed(kept[index], change)
    return kept


def tamper_bytes(fault: Fault | None, content: bytes) -> bytes:
    """The file with a planned fault of its bytes."""
    if fault is None:
        return content
    changes: dict[str, Callable[[], bytes]] = {
        "torn_line": lambda: _torn(content),
        "blank_lines": lambda: b"\n\n" + content.replace(b"\n", b"\n\n"),
        "bom": lambda: codecs.BOM_UTF8 + content,
        "crlf": lambda: content.replace(b"\n", b"\r\n"),
        "nul_bytes": lambda: content + bytes(_NULS),
        "zero_bytes": lambda: b"",
    }
    change = changes.get(fault.fault)
    return change() if change is not None else content


def _row_changes(form: RowForm) -> dict[str, Callable[[Tree], None]]:
    return {
        "error_body": form.error_body,
        "no_choices": form.no_choices,
        "no_usage": form.no_usage,
        "status_zero": form.status_zero,
        "body_string": form.body_string,
        "refusal": lambda tree: form.finish(tree, "refusal"),
        "content_filter": lambda tree: form.finish(tree, "content_filter"),
        "length": lambda tree: form.finish(tree, "length"),
        "invalid_json": lambda tree: form.say(tree, '{"unfinished": '),
        "empty_output": lambda tree: form.say(tree, ""),
        "line_separator": lambda tree: form.say(tree, f"{form.said(tree)}\u2028\u2029\x85"),
        "nul": lambda tree: form.say(tree, f"{form.said(tree)}\x00"),
    }


def _changed(row: ResultRow, change: Callable[[Tree], None]) -> ResultRow:
    tree: Any = json.loads(row.line)
    change(tree)
    # As UTF-8, not as escapes: some of these faults are about what a reader makes of the bytes.
    return replace(row, line=json.dumps(tree, ensure_ascii=False).encode() + b"\n")


def _foreign(row: ResultRow, number: int, form: RowForm) -> ResultRow:
    row_id = f"foreign-{number}"
    changed = _changed(row, lambda tree: tree.update({form.identity: row_id}))
    return replace(changed, row_id=row_id)


def _torn(content: bytes) -> bytes:
    """The file without the second half of its last line."""
    start = content.rfind(b"\n", 0, max(len(content) - 1, 0)) + 1
    return content[: start + (len(content) - start) // 2]
