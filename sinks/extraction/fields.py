"""JSON Schema → fields: what each top-level property may hold, and under which labels a document may state it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
_GENERIC = frozenset(
    {"name", "number", "no", "id", "date", "value", "text", "code", "type", "list", "total", "amount", "status", "is", "has", "the"}
)
_MOST_DESCRIPTION_WORDS = 4

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "account": ("account number", "account no", "acct"),
    "account number": ("account no", "account", "acct", "a/c"),
    "address": ("street address", "mailing address"),
    "amount": ("amount due", "total", "total due", "amount payable", "balance", "sum", "payment", "price", "cost"),
    "assessment": ("impression", "diagnosis"),
    "attendees": ("present", "participants", "in attendance", "attending", "members present"),
    "author": ("from", "by", "prepared by", "written by", "signed"),
    "balance": ("closing balance", "ending balance", "outstanding balance", "current balance"),
    "birth date": ("date of birth", "dob", "born"),
    "client": ("customer", "re"),
    "company": ("organization", "organisation", "firm", "institution", "employer"),
    "customer": ("client", "account holder", "borrower", "applicant", "dear"),
    "date": ("dated", "date of", "as of", "effective date", "sent"),
    "date of birth": ("dob", "birth date", "born"),
    "deadline": ("due date", "due by", "due", "no later than", "by"),
    "decision": ("resolution", "approved", "resolved"),
    "decisions": ("resolutions", "approved", "resolved"),
    "diagnosis": ("discharge diagnosis", "principal diagnosis", "impression", "assessment", "dx"),
    "dob": ("date of birth", "birth date", "born"),
    "doctor": ("physician", "attending", "provider", "clinician"),
    "due date": ("payment due", "due by", "payable by", "due", "deadline"),
    "email": ("e-mail", "email address", "mail"),
    "employer": ("company", "organization"),
    "income": ("gross income", "annual income", "stated annual income", "salary", "wages"),
    "institution": ("bank", "hospital", "credit union", "clinic"),
    "interest rate": ("apr", "annual percentage rate", "rate", "interest"),
    "invoice number": ("invoice no", "invoice #", "invoice"),
    "items": ("line items", "agenda", "contents"),
    "loan amount": ("requested amount", "amount requested", "principal", "loan of", "amount"),
    "medical record number": ("mrn", "record number", "medical record"),
    "medications": ("discharge medications", "current medications", "medication", "prescriptions", "rx", "medicines"),
    "mrn": ("medical record number", "medical record", "record number", "record no"),
    "organization": ("organisation", "company", "firm", "institution"),
    "participants": ("present", "attendees", "in attendance"),
    "parties": ("between", "party"),
    "patient": ("patient name", "name", "pt"),
    "patient name": ("patient", "name", "pt", "re"),
    "phone": ("telephone", "tel", "phone number", "mobile", "cell"),
    "physician": ("attending", "doctor", "provider", "attending physician"),
    "premium": ("monthly premium", "annual premium"),
    "procedure": ("operation", "title of operation", "procedures"),
    "rate": ("interest rate", "apr"),
    "recipient": ("to", "attention", "attn", "dear"),
    "reference": ("ref", "our reference", "reference number", "case no"),
    "sender": ("from", "by", "signed"),
    "ssn": ("social security number", "social security no", "social security"),
    "subject": ("re", "regarding", "title", "matter"),
    "title": ("subject", "re", "heading"),
    "topic": ("subject", "re", "regarding"),
    "total": ("amount due", "total due", "grand total", "balance due", "amount"),
    "vendor": ("supplier", "seller", "from", "company"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One property. types: JSON types it may have. choices: the members of its enum. phrases: labels, the likeliest first."""

    name: str
    types: frozenset[str]
    phrases: tuple[str, ...]
    required: bool
    format: str = ""
    choices: tuple[Any, ...] = ()
    items: Field | None = None
    max_length: int | None = None
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def nullable(self) -> bool:
        """Whether a missing value may be stated as null."""
        return "null" in self.types

    def speaks_of(self, *keywords: str) -> bool:
        """Whether the property's own name or title has one of these words."""
        return any(keyword in phrase.split() for phrase in self.phrases[:2] for keyword in keywords)


def read_fields(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The top-level properties of an object schema, in order."""
    required = frozenset(schema.get("required", ()))
    return tuple(_field(name, part, schema, required=name in required) for name, part in schema.get("properties", {}).items())


def _field(name: str, part: Mapping[str, Any], root: Mapping[str, Any], *, required: bool) -> Field:
    merged, types = _flatten(part, root)
    choices = tuple(merged.get("enum", ())) + ((merged["const"],) if "const" in merged else ())
    types = types or frozenset(_JSON_TYPES[type(choice)] for choice in choices) or frozenset({"string"})
    return Field(
        name=name,
        types=types,
        phrases=label_phrases(name, str(merged.get("title", "")), str(merged.get("description", ""))),
        required=required,
        format=str(merged.get("format", "")),
        choices=choices,
        items=_field(name, merged["items"], root, required=False) if isinstance(merged.get("items"), Mapping) else None,
        max_length=merged.get("maxLength"),
        schema=part,
    )


def _flatten(part: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """A property's keywords and types with `$ref` into `$defs` followed and the branches of anyOf/oneOf laid together."""
    merged = dict(part)
    reference = merged.pop("$ref", "")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        merged = {**root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {}), **merged}
    declared = merged.get("type", ())
    types = {declared} if isinstance(declared, str) else set(declared)
    for branch in (*merged.pop("anyOf", ()), *merged.pop("oneOf", ())):
        inner, inner_types = _flatten(branch, root)
        types |= inner_types
        merged = {**{key: value for key, value in inner.items() if key != "type"}, **merged}
    return merged, frozenset(types)


def label_phrases(name: str, title: str = "", description: str = "") -> tuple[str, ...]:
    """The labels under which a document may state a property: its names, their synonyms, then less and less exact ones."""
    spoken = [_spoken(name), _spoken(title)]
    if len(description.split()) <= _MOST_DESCRIPTION_WORDS:
        spoken.append(_spoken(description))
    spoken = [phrase for phrase in spoken if phrase]
    exact = [phrase.removeprefix("is ").removeprefix("has ") for phrase in spoken]
    related = [synonym for phrase in exact for synonym in SYNONYMS.get(phrase, ())]
    turned = [f"{last} of {rest}" for rest, _, last in (phrase.rpartition(" ") for phrase in exact) if rest and last in _GENERIC]
    parts = [part for phrase in exact for part in (phrase.rpartition(" ")[0], phrase.rpartition(" ")[2]) if part]
    distant = [synonym for part in parts if part not in _GENERIC for synonym in SYNONYMS.get(part, ())]
    specific = [part for part in parts if part not in _GENERIC]
    generic = [part for part in parts if part in _GENERIC and part not in {"is", "has", "the"}]
    return tuple(dict.fromkeys([*exact, *turned, *related, *specific, *distant, *generic]))


def _spoken(name: str) -> str:
    """`patientName`, `patient_name`, `Patient name.` → `patient name`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-.:/]+", " ", spaced).lower().split())
