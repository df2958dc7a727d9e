"""Which operations there are, which faults, and which fault makes sense where.

Operations are `PROVIDER.OBJECTS.VERB` for requests, `PROVIDER.lifecycle.STATE` for a batch that enters a state, and
`PROVIDER.results` for the results of a batch, once each. A name without a provider is OpenAI's.
"""

from __future__ import annotations

from sinks.errors import EmulatorError

OPENAI, ANTHROPIC, BEDROCK = "openai", "anthropic", "bedrock"

_VERBS = {
    OPENAI: {
        "files.create": "other",
        "files.list": "list",
        "files.retrieve": "other",
        "files.delete": "other",
        "files.content": "content",
        "batches.create": "create",
        "batches.list": "list",
        "batches.retrieve": "retrieve",
        "batches.cancel": "cancel",
    },
    ANTHROPIC: {
        "batches.create": "create",
        "batches.list": "list",
        "batches.retrieve": "retrieve",
        "batches.cancel": "cancel",
        "batches.results": "content",
        "batches.delete": "other",
    },
    BEDROCK: {
        "jobs.create": "create",
        "jobs.list": "list",
        "jobs.get": "retrieve",
        "jobs.stop": "cancel",
        "retention.get": "other",
        "logging.get": "other",
        "s3.put": "object",
        "s3.get": "content",
        "s3.head": "object",
        "s3.delete": "object",
        "s3.list": "object",
    },
}
STATES = {
    OPENAI: ("validating", "in_progress", "finalizing"),
    ANTHROPIC: ("in_progress",),
    BEDROCK: ("Submitted", "Validating", "Scheduled", "InProgress"),
}
"""The states that a batch goes through before its end."""

STOPPING = {OPENAI: "cancelling", ANTHROPIC: "canceling", BEDROCK: "Stopping"}
"""The state between a cancel and its end."""

OPERATIONS: dict[str, str] = {
    **{f"{provider}.{verb}": kind for provider, verbs in _VERBS.items() for verb, kind in verbs.items()},
    **{f"{provider}.lifecycle.{state}": "lifecycle" for provider, states in STATES.items() for state in (*states, STOPPING[provider])},
    **{f"{provider}.results": "results" for provider in _VERBS},
}
"""Each operation and what kind it is."""

TRANSPORT = ("drop_before", "drop_after", "drop_middle", "status", "html", "slow", "slow_body", "credentials")
JSON_TRANSPORT = (*TRANSPORT, "extra_fields")
"""Faults of a request; those of one with a JSON answer."""

CREATE = ("duplicate", "quota", "skew")
LIST = ("lag", "repeat_page", "skip_page", "state", "skew")
RETRIEVE = ("gone", "state", "skew")
CANCEL = ("gone", "ignored", "race")
LIFECYCLE = ("stuck", "expire", "fail", "quota", "early_output")
ROWS = (
    "missing_row",
    "duplicate_row",
    "conflicting_row",
    "foreign_row",
    "both_files",
    "error_body",
    "no_choices",
    "refusal",
    "content_filter",
    "length",
    "invalid_json",
    "empty_output",
    "status_zero",
    "body_string",
    "no_usage",
    "line_separator",
    "nul",
)
"""Faults of single rows of the results."""

CONTENT = ("torn_line", "blank_lines", "bom", "crlf", "nul_bytes", "zero_bytes")
"""Faults of a results file's bytes, for good (`PROVIDER.results`) or of one download."""

PUBLISHED = ("all_errors", "wrong_counts", "no_file", "empty_file_id", "no_manifest")
"""Faults of what is said about the results, or of their presence."""

_KINDS: dict[str, tuple[str, ...]] = {
    "create": (*JSON_TRANSPORT, *CREATE),
    "list": (*JSON_TRANSPORT, *LIST),
    "retrieve": (*JSON_TRANSPORT, *RETRIEVE),
    "cancel": (*JSON_TRANSPORT, *CANCEL),
    "content": (*TRANSPORT, "gone", "retention", *CONTENT),
    "other": JSON_TRANSPORT,
    "object": TRANSPORT,
    "lifecycle": LIFECYCLE,
    "results": (*ROWS, *CONTENT, *PUBLISHED),
}
_ONLY: dict[str, tuple[str, ...]] = {
    "both_files": (OPENAI,),
    "status_zero": (OPENAI,),
    "body_string": (OPENAI,),
    "empty_file_id": (OPENAI,),
    "no_manifest": (BEDROCK,),
    "early_output": (BEDROCK,),
    "fail": (OPENAI, BEDROCK),
    "content_filter": (OPENAI, BEDROCK),
}
_ONLY_AT = {
    "bedrock.s3.get": (*TRANSPORT, *CONTENT),
    **{f"{provider}.lifecycle.{state}": ("stuck",) for provider, state in STOPPING.items()},
    "openai.files.list": (*JSON_TRANSPORT, "repeat_page", "skip_page"),
    "openai.lifecycle.validating": ("stuck", "expire", "fail", "quota"),
    "bedrock.lifecycle.Validating": ("stuck", "expire", "fail", "quota"),
    "bedrock.lifecycle.InProgress": ("stuck", "expire", "fail", "early_output"),
}
KINDS = tuple(dict.fromkeys(kind for kinds in _KINDS.values() for kind in kinds))


def operation(name: str) -> str:
    """The full name of an operation. Raises EmulatorError for an unknown one."""
    full = name if name.partition(".")[0] in _VERBS else f"{OPENAI}.{name}"
    if full not in OPERATIONS:
        raise EmulatorError(f"unknown operation {name!r}; expected one of {', '.join(OPERATIONS)}")
    return full


def kinds_at(full: str) -> tuple[str, ...]:
    """The faults that make sense at an operation."""
    provider = full.partition(".")[0]
    found = _ONLY_AT.get(full) or tuple(kind for kind in _KINDS[OPERATIONS[full]] if provider in _ONLY.get(kind, _VERBS))
    if OPERATIONS[full] == "lifecycle" and full not in _ONLY_AT:
        found = tuple(kind for kind in found if kind not in {"quota", "early_output"})
    return found


def check(at: str, kind: str) -> str:
    """The full name of the operation. Raises EmulatorError when there is no such operation or fault, or not this one there."""
    full = operation(at)
    if kind not in KINDS:
        raise EmulatorError(f"unknown fault {kind!r}; expected one of {', '.join(KINDS)}")
    if kind not in kinds_at(full):
        raise EmulatorError(f"fault {kind!r} does nothing at {full}; expected one of {', '.join(kinds_at(full))}")
    return full
