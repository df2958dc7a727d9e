from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sinks.errors import SchemaUnsatisfiedError
from sinks.extraction.extract import extract_fields
from sinks.extraction.fields import label_phrases
from sinks.extraction.values import dates, numbers

STATEMENT = """Copper Lane Credit Union
ACCOUNT STATEMENT

Customer: Ines Calder          Date: January 15, 2024
Account number: 98805897    Routing: 104889156
Date of birth: 12/03/1984
E-mail: ines.calder@example.org
Closing balance: $6,920.04
Overdraft approved: no
Enclosures:
- fee table
- change of terms
"""

NOTE = """Patient name: Tomás Reyes
MRN: 4471-22
Admitted on 3 March 2024, discharged on 9 March 2024. Weight 71.5 kg.
Medications: aspirin, metformin; insulin
No follow-up required.
Attending: Dr. Ada Quill
"""


def schema(**properties: Any) -> dict[str, Any]:
    return optional(**properties) | {"required": list(properties)}


def optional(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "name", "part", "expected"),
    [
        pytest.param(STATEMENT, "customer_name", {"type": "string"}, "Ines Calder", id="label by synonym"),
        pytest.param(STATEMENT, "accountNumber", {"type": "string"}, "98805897", id="camel case, next label cut off"),
        pytest.param(STATEMENT, "x", {"type": "string", "title": "Account number"}, "98805897", id="by title"),
        pytest.param(STATEMENT, "statement_date", {"type": "string", "format": "date"}, "2024-01-15", id="date"),
        pytest.param(STATEMENT, "dob", {"type": "string", "format": "date"}, "1984-12-03", id="date by abbreviation"),
        pytest.param(STATEMENT, "closing_balance", {"type": "number"}, 6920.04, id="money"),
        pytest.param(STATEMENT, "amount", {"type": "number"}, 6920.04, id="money by synonym"),
        pytest.param(STATEMENT, "email", {"type": "string", "format": "email"}, "ines.calder@example.org", id="e-mail"),
        pytest.param(STATEMENT, "overdraft_approved", {"type": "boolean"}, False, id="stated no"),
        pytest.param(
            STATEMENT, "enclosures", {"type": "array", "items": {"type": "string"}}, ["fee table", "change of terms"], id="bullets"
        ),
        pytest.param(STATEMENT, "document_type", {"enum": ["letter", "account_statement"]}, "account_statement", id="enum by keyword"),
        pytest.param(STATEMENT, "document_type", {"enum": ["poem", "other"]}, "other", id="enum's catch-all"),
        pytest.param(STATEMENT, "kind", {"const": "statement"}, "statement", id="const"),
        pytest.param(NOTE, "patient", {"type": "string"}, "Tomás Reyes", id="patient"),
        pytest.param(NOTE, "mrn", {"type": "string"}, "4471-22", id="reference"),
        pytest.param(NOTE, "discharged_on", {"type": "string", "format": "date"}, "2024-03-09", id="date in a sentence"),
        pytest.param(NOTE, "weight", {"type": "number"}, 71.5, id="number in a sentence"),
        pytest.param(
            NOTE, "medications", {"type": "array", "items": {"type": "string"}}, ["aspirin", "metformin", "insulin"], id="list on a line"
        ),
        pytest.param(NOTE, "follow_up_required", {"type": "boolean"}, False, id="denied"),
        pytest.param("Signed by both. Urgent.", "is_urgent", {"type": "boolean"}, True, id="mentioned"),
        pytest.param(NOTE, "physician", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "Dr. Ada Quill", id="anyOf with null"),
        pytest.param("Re: the lease\n\nWe sign in May.", "subject", {"type": "string"}, "the lease", id="Re line"),
        pytest.param("Dear Ms Calder,\nAll is well.", "recipient", {"type": "string"}, "Ms Calder", id="addressee"),
        pytest.param("Pages: 12 of 40", "pages", {"type": "integer"}, 12, id="integer"),
        pytest.param("Score: 7.5\nScore: 8", "score", {"type": "integer"}, 8, id="first value of the right type"),
        pytest.param("Grade: 200\nGrade: 3", "grade", {"type": "integer", "maximum": 5}, 3, id="first value within bounds"),
    ],
)
def test_finds(text: str, name: str, part: dict[str, Any], expected: object) -> None:
    form = schema(**{name: part})
    found = extract_fields(form, text)
    assert found == {name: expected}
    Draft202012Validator(form).validate(found)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({"type": ["string", "null"]}, {"policy_holder": None}, id="null where allowed"),
        pytest.param({"type": "string"}, {}, id="left out where optional"),
        pytest.param({"type": "array", "items": {"type": "string"}}, {}, id="optional list"),
        pytest.param({"type": "boolean"}, {}, id="an unmentioned boolean is unknown, not false"),
    ],
)
def test_what_is_missing_is_not_made_up(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert extract_fields(optional(policy_holder=part), "Nothing of the kind stands here.") == expected


def test_a_required_list_may_be_empty() -> None:
    assert extract_fields(schema(parties={"type": "array", "items": {"type": "string"}}), "Nobody here.") == {"parties": []}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        pytest.param(schema(policy_holder={"type": "string", "format": "date"}), "schema_unsatisfied", id="required and missing"),
        pytest.param(schema(x={"enum": ["poem", "novel"]}), "schema_unsatisfied", id="no enum member is named"),
        pytest.param(
            {"type": "object", "properties": {"size": {"$ref": "http://192.0.2.1/a.json"}}}, "schema_unsatisfied", id="remote reference"
        ),
        pytest.param({"type": "object", "properties": {"a": {"type": "strnig"}}}, "schema_invalid", id="no schema"),
    ],
)
def test_says_when_it_cannot(form: dict[str, Any], code: str) -> None:
    with pytest.raises(SchemaUnsatisfiedError) as caught:
        extract_fields(form, "A letter without any such thing.\nSize: three")
    assert caught.value.code == code
    assert "letter" not in str(caught.value)


def test_definitions_are_followed() -> None:
    form = schema(kind={"$ref": "#/$defs/Kind"}) | {"$defs": {"Kind": {"type": "string", "enum": ["INVOICE", "LETTER"]}}}
    assert extract_fields(form, "Invoice 12 of May") == {"kind": "INVOICE"}


def test_a_date_of_birth_is_not_the_date() -> None:
    form = optional(date={"type": "string", "format": "date"})
    assert extract_fields(form, "Date of birth: 1984-12-03\nName: Ines Calder") == {}
    assert extract_fields(form, "Born 1984-12-03.\nWritten 2024-02-01.") == {"date": "2024-02-01"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2024-02-29", ["2024-02-29"], id="ISO"),
        pytest.param("2023-02-29", [], id="no such day"),
        pytest.param("March 4th, 2024 and 4 Mar 2024", ["2024-03-04", "2024-03-04"], id="words"),
        pytest.param("15 de enero de 2021", ["2021-01-15"], id="Spanish"),
        pytest.param("03/04/2024", ["2024-03-04"], id="month first"),
        pytest.param("23/04/2024", ["2024-04-23"], id="only day first is possible"),
        pytest.param("3.4.2024", ["2024-04-03"], id="points: day first"),
        pytest.param("1/28/22 and 1/28/84", ["2022-01-28", "1984-01-28"], id="two-digit years"),
        pytest.param("613-15-3904", [], id="not in a number"),
    ],
)
def test_dates(text: str, expected: list[str]) -> None:
    assert list(dates(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$1,234.50", [1234.5], id="thousands"),
        pytest.param("1.234,50 €", [1234.5], id="European"),
        pytest.param("(1,200)", [-1200.0], id="accountant's minus"),
        pytest.param("-$709.16", [-709.16], id="minus"),
        pytest.param("4.5 million", [4_500_000.0], id="scale"),
        pytest.param("Q3 of ABC12", [], id="not inside words"),
        pytest.param("12%", [12.0], id="per cent"),
        pytest.param("paid 2024-05-01", [], id="not a date"),
    ],
)
def test_numbers(text: str, expected: list[float]) -> None:
    assert list(numbers(text)) == expected


def test_labels_go_from_exact_to_vague() -> None:
    phrases = label_phrases("invoice_date")
    assert phrases[:2] == ("invoice date", "date of invoice")
    assert phrases[-1] == "date"


@pytest.mark.parametrize("unit", [" ", "\n", "12", "a@", "a-1", "Aa ", "Name: ", "(", "1,", "Date "], ids=repr)
def test_hostile_texts_end(unit: str) -> None:
    form = optional(
        name={"type": "string"},
        date={"type": "string", "format": "date"},
        amount={"type": "number"},
        email={"type": "string"},
    )
    assert isinstance(extract_fields(form, unit * 100_000 + "x"), dict)
