"""What a provider reports of itself, taken with care. Pure.

It goes into the ledger, and a provider may say anything, the text it was sent included (invariant 5). So a model is the one that was
asked for, with the date or number of its version at the most; a count is a plausible whole number; anything else is nothing.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

from sinks.errors import EndpointError

TORN_LINE = "torn_line"
"""The code of a result line that cannot be read."""

_PEEK = 1024
_LARGEST_REFUSAL = 1 << 16
_MOST_TOKENS = 10**12  # more is no count, and does not fit the ledger
_VERSION = re.compile(r"(?:-latest|-preview|[-@:](?:\d{3,4}|20\d{6}|20\d\d-[01]\d-[0-3]\d)(?:-preview)?)?")


def refuse_markup(results: IO[bytes], name: str) -> None:
    """Raise EndpointError where a page, or an error, lies in place of result lines: as lines, all rows would be lost, and paid again."""
    results.seek(0)
    begin = results.read(_PEEK).removeprefix(codecs.BOM_UTF8).lstrip()
    results.seek(0)
    page = begin.startswith(b"<")
    if page or (begin.startswith(b"{") and _is_refusal(results.read(_LARGEST_REFUSAL))):
        what = "a page" if page else "an error"
        msg = f"endpoint {name}: {what} came in place of results; run again when whatever stands in between lets them through"
        raise EndpointError(msg)
    results.seek(0)


def _is_refusal(content: bytes) -> bool:
    """Whether all of a small file is one error in the form of the APIs, and no row of any."""
    try:
        tree = json.loads(content.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and bool(tree.get("error")) and not tree.keys() & {"custom_id", "recordId"}


def result_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a result file that say something, split at newlines only (text may hold U+2028), without byte order mark and CR."""
    for number, raw in enumerate(lines):
        line = (raw.removeprefix(codecs.BOM_UTF8) if number == 0 else raw).strip(b" \t\r\n")
        if line:
            yield line


def result_tree(line: bytes, id_key: str) -> tuple[str, dict[str, Any]] | None:
    """A result line's own id and its tree; None for a line that is torn or has none."""
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    row_id = tree.get(id_key) if isinstance(tree, dict) else None
    return (row_id, tree) if isinstance(row_id, str) else None


def model_name(value: object, asked: str) -> str | None:
    """`gpt-4o-2024-08-06`, where `gpt-4o` was asked for."""
    known = isinstance(value, str) and asked and value.startswith(asked) and _VERSION.fullmatch(value, len(asked))
    return str(value) if known else None


def token_count(value: object) -> int | None:
    """A number of tokens, if it is one; some servers have only floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def says_something(error: object) -> bool:
    """Whether there is an error: some servers write an empty one beside an answer."""
    return any(error.values()) if isinstance(error, dict) else bool(error)


def unpacked(value: object) -> dict[str, Any]:
    """A JSON object, which some servers give as a text, or an empty one in place of anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return mapping(value)


def mapping(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
