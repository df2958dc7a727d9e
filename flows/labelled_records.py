"""Labelled documents from JSON Lines: what `waybill eval` measures against.

    {"id": …, "text": …, "labels": ["PHI", …], "spans": [{"start", "end", "type"}], "source": …, "tier": …, "lang": …, "label_quality": …, "meta": {…}}

`id`, `text` and `labels` are mandatory; `labels: []` means clean, and a label is a class that the policy knows. Left out, `spans` is empty,
`tier` is core, `lang` is en, `source` is the file's name. Other keys are allowed and not read. What is wrong is one line with file and line
number; it never quotes the record, but for a label that has the form of a class.
"""  # noqa: E501 - the form is easier to read in one piece

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flows.errors import JobError
from policies.model import CLASS_NAME, CLEAN

ENGLISH = "en"
KIND_KEYS = ("kind", "hard_negative")
"""Where a record's `meta` says which kind of near miss it is."""


class Tier(StrEnum):
    """How far a record's label is to be trusted, and so where it is counted."""

    CORE = "core"
    HARD_NEGATIVE = "hard_negative"
    AMBIGUOUS = "ambiguous"
    SPANS_ONLY = "spans_only"


HEADLINE = frozenset({Tier.CORE, Tier.HARD_NEGATIVE})
"""The tiers whose labels are sure enough to be counted as leak and over-block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSpan:
    """One identifier as a person, or the generator, marked it. type: in the words of its corpus."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRecord:
    """One document with what it is supposed to be. line: counted from 1. template, kind: None where the record names none."""

    file: str
    line: int
    record_id: str
    text: str = field(repr=False)
    labels: frozenset[str]
    source: str
    tier: Tier = Tier.CORE
    lang: str = ENGLISH
    label_quality: str = ""
    template: str | None = None
    kind: str | None = None
    spans: tuple[LabelledSpan, ...] = ()

    @property
    def place(self) -> str:
        """FILE:LINE."""
        return f"{self.file}:{self.line}"

    @property
    def english(self) -> bool:
        """Whether the text is in the language that the detectors read."""
        return self.lang.replace("_", "-").partition("-")[0].lower() == ENGLISH

    @property
    def cluster(self) -> str:
        """What the record is not independent of: its source's template, or only itself."""
        return self.place if self.template is None else f"{self.source}#{self.template}"


class _Span(BaseModel):
    model_config = ConfigDict(strict=True)

    start: Annotated[int, Field(ge=0)]
    end: int
    type: Annotated[str, Field(min_length=1)]


class _Record(BaseModel):
    """The form of a line."""

    model_config = ConfigDict(strict=True, extra="ignore")

    id: str | int
    text: str
    labels: list[str]
    spans: list[_Span] | None = None
    source: str | None = None
    tier: Tier | None = None
    lang: str | None = None
    label_quality: str | None = None
    meta: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _fits(self) -> _Record:
        if self.tier is not Tier.SPANS_ONLY and any(not CLASS_NAME.fullmatch(name) for name in self.labels):
            raise ValueError("labels: expected data classes in capitals, such as PHI")
        if CLEAN in self.labels:
            raise ValueError(f"labels: expected an empty list for a clean document, found {CLEAN}")
        if any(not span.start < span.end <= len(self.text) for span in self.spans or ()):
            raise ValueError("spans: expected 0 <= start < end <= length of the text")
        return self


def check_files(paths: Sequence[Path], known: frozenset[str]) -> None:
    """Read every line of every file once, so that a bad one is known before hours of scanning. known: the classes of the policy.

    Raises JobError with the first bad line and how many more there are.
    """
    mistakes = [mistake for path in paths for mistake in _mistakes(path, known)]
    if mistakes:
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        raise JobError(mistakes[0] + more)


def read_records(path: Path) -> Iterator[LabelledRecord]:
    """The records of one file, lazily, in order. Raises JobError at a bad line."""
    for number, line in _lines(path):
        yield _parsed(path, number, line)


def _mistakes(path: Path, known: frozenset[str]) -> Iterator[str]:
    for number, line in _lines(path):
        try:
            record = _parsed(path, number, line)
        except JobError as error:
            yield str(error)
            continue
        if strange := record.labels - known:  # a misspelt class would be counted as one of its own, and missing from its real one
            expected = ", ".join(sorted(known - {CLEAN}))
            yield f"{record.place}: labels: {min(strange)} is no class of this policy; expected some of {expected}"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if content.strip():
                    yield number, content
    except OSError as error:
        raise JobError(f"{path}: expected a readable file of JSON lines, found none ({error.strerror}); check the path") from None


def _parsed(path: Path, number: int, line: bytes) -> LabelledRecord:
    try:
        row = _Record.model_validate_json(line)
    except ValidationError as error:
        raise JobError(f"{path}:{number}: {_sentence(error)}") from None
    meta = row.meta or {}
    template = meta.get("template")
    return LabelledRecord(
        file=str(path),
        line=number,
        record_id=str(row.id),
        text=row.text,
        labels=frozenset() if row.tier is Tier.SPANS_ONLY else frozenset(row.labels),
        source=row.source or path.stem,
        tier=row.tier or Tier.CORE,
        lang=row.lang or ENGLISH,
        label_quality=row.label_quality or "",
        template=None if template is None else str(template),
        kind=next((meta[key] for key in KIND_KEYS if isinstance(meta.get(key), str) and meta[key]), None),
        spans=tuple(LabelledSpan(start=span.start, end=span.end, type=span.type) for span in row.spans or ()),
    )


def _sentence(error: ValidationError) -> str:
    """What is wrong, in our words: pydantic's messages name types and keys, but those about JSON and enums may quote the input."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(
        str(step) for step in detail["loc"] if step in _Record.model_fields or isinstance(step, int) or step in _Span.model_fields
    )
    if detail["type"] == "json_invalid":
        return "expected one JSON object on the line, found something that is not JSON in UTF-8"
    if detail["type"] == "missing":
        return f"{where}: expected this key, found none; id, text and labels are mandatory"
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "enum":
        return f"{where}: expected one of {', '.join(Tier)}"
    expected = detail["msg"].replace("Input should be", "expected", 1)
    return f"{where}: {expected}" if where else expected
