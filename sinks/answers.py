"""Judging what a lane gives back: which row answers which record, and whether an answer is a result. Pure.

Invariants kept here:
- Rows are joined by id, never by order. Each sent id ends in exactly one of answered, failed, missing (invariant 6).
- An answer that fails its check is a failed row with a code, never a result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from sinks.request import Prompt, TaskKind
from sinks.shard import LaneResult

UNKNOWN_ROW = "unknown_row"
CONFLICT = "conflicting_rows"
MISSING = "missing_row"

UNPROCESSED = frozenset({"batch_expired", "batch_cancelled", "rate_limited", "provider_unavailable", "engine_unavailable"})
"""Codes of rows that the provider never ran: as missing as a row without a line, and to be sent again."""

NEVER_BEGUN = frozenset({"batch_expired", "batch_cancelled"})
"""Of these, the ones that stand for rows which no provider counts as done."""

SCHEMA_FAILURES = frozenset({"invalid_json", "schema_violation"})
"""Codes of answers that did not keep to the job's schema, and may with another try."""

Check = Callable[[str], str | None]
"""An output to an error code, or None when it is a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The outcome of one job, by row id. strays: how many lines belong to no row, by code. never_run: missing rows that cost nothing.

    texts: rows with a text in their answer, whatever came of it. lines: rows that were answered or refused in any way, strays included,
    but for those that the provider never ran. costs: of answered and failed rows, in US dollars (`sinks/pricing.py`); of a row that is not
    in it, or is None there, nobody can say.
    """

    answered: Mapping[str, LaneResult] = field(repr=False)
    failed: Mapping[str, LaneResult] = field(repr=False)
    missing: Mapping[str, str]
    strays: Mapping[str, int]
    never_run: frozenset[str] = frozenset()
    texts: int = 0
    lines: int = 0
    costs: Mapping[str, Decimal | None] = field(default_factory=dict)

    @property
    def foreign(self) -> bool:
        """Whether all that came back belongs to somebody else."""
        return bool(self.strays.get(UNKNOWN_ROW)) and self.lines == sum(self.strays.values()) and not self.never_run

    @property
    def conflicting(self) -> tuple[str, ...]:
        """Rows that came back more than once, and differently."""
        return tuple(row_id for row_id, code in self.missing.items() if code == CONFLICT)


def sort_out(results: Iterable[LaneResult], row_ids: Sequence[str], prompt: Prompt) -> Answers:
    """Give every sent row its one outcome. A row that came back twice and differently is believed neither time: it is missing."""
    check = checker(prompt)
    first: dict[str, LaneResult] = {}
    conflicting: set[str] = set()
    strays: Counter[str] = Counter()
    sent = frozenset(row_ids)
    for result in results:
        if result.row_id not in sent:
            strays[UNKNOWN_ROW if result.row_id else result.error_code or UNKNOWN_ROW] += 1
        elif first.setdefault(result.row_id, result) != result:
            conflicting.add(result.row_id)
    judged = {row_id: judge(first[row_id], check) for row_id in row_ids if row_id in first and row_id not in conflicting}
    missing = {row_id: CONFLICT if row_id in conflicting else MISSING for row_id in row_ids if row_id not in judged}
    missing |= {row_id: result.error_code for row_id, result in judged.items() if result.error_code in UNPROCESSED}
    unrun = sum(result.error_code in NEVER_BEGUN for result in first.values())
    return Answers(
        answered={row_id: result for row_id, result in judged.items() if result.error_code is None},
        failed={row_id: result for row_id, result in judged.items() if result.error_code is not None and row_id not in missing},
        missing=missing,
        strays=dict(strays),
        never_run=frozenset(
            row_id for row_id, result in judged.items() if result.error_code in UNPROCESSED and not (result.tokens_in or result.tokens_out)
        ),
        texts=sum(result.error_code is None for result in first.values()),
        lines=len(first) - unrun + sum(strays.values()),
    )


def judge(result: LaneResult, check: Check) -> LaneResult:
    """The result, or the failed row it really is."""
    if result.error_code is not None:
        return replace(result, output=None)
    if result.output is None:
        code: str | None = "empty_output"
    elif result.finish_reason == "length":
        code = "max_tokens"
    elif result.finish_reason == "content_filter":
        code = "content_filter"
    else:
        code = check(result.output)
    return result if code is None else replace(result, output=None, error_code=code)


def checker(prompt: Prompt) -> Check:
    """What an output of this task must be."""
    if prompt.kind is TaskKind.SUMMARIZE or prompt.schema is None:
        return lambda output: None if output.strip() else "empty_output"
    # An empty registry: a schema's $ref to the outside is an error, not a download.
    validator = Draft202012Validator(dict(prompt.schema), registry=Registry())

    def check(output: str) -> str | None:
        try:
            tree = json.loads(output, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return "invalid_json"
        try:
            return None if validator.is_valid(tree) else "schema_violation"
        except (Unresolvable, SchemaError):
            return "schema_unusable"
        except (RecursionError, OverflowError):  # nested or large beyond what can be compared: one such answer must not stop the others
            return "schema_violation"

    return check


def _refuse_constant(name: str) -> float:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)
