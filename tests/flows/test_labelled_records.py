"""The record form: what is read, what is filled in, what is refused in one line without quoting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.errors import JobError
from flows.labelled_records import LabelledSpan, Tier, check_files, read_records

SECRET = "zanzibar-4471"
KNOWN = frozenset({"PHI", "NPI", "CLEAN"})


def written(folder: Path, *lines: dict[str, Any] | str | bytes) -> Path:
    path = folder / "bank letters.jsonl"
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode() for line in lines)
    )
    return path


def record(**given: Any) -> dict[str, Any]:
    return {"id": "a-1", "text": f"hello {SECRET}", "labels": []} | given


def test_what_is_left_out_is_filled_in(tmp_path: Path) -> None:
    path = written(tmp_path, record(), "", record(id=7, labels=["PHI"], extra={"x": 1}))
    first, second = read_records(path)
    assert (first.source, first.tier, first.lang, first.spans, first.template, first.kind) == (
        "bank letters",
        Tier.CORE,
        "en",
        (),
        None,
        None,
    )
    assert (second.line, second.record_id, second.labels) == (3, "7", {"PHI"})
    assert SECRET not in repr(first)


def test_everything_that_is_given_is_read(tmp_path: Path) -> None:
    given = record(
        spans=[{"start": 0, "end": 5, "type": "NAME"}],
        source="forms",
        tier="hard_negative",
        lang="de-AT",
        label_quality="provenance",
        meta={"template": 3, "kind": "near_miss"},
    )
    (read,) = read_records(written(tmp_path, given))
    assert read.spans == (LabelledSpan(start=0, end=5, type="NAME"),)
    assert (read.tier, read.lang, read.english, read.label_quality, read.kind) == (
        Tier.HARD_NEGATIVE,
        "de-AT",
        False,
        "provenance",
        "near_miss",
    )
    assert read.cluster == "forms#3"


def test_a_record_without_template_is_its_own_cluster(tmp_path: Path) -> None:
    path = written(tmp_path, record(), record(), record(meta={"template": 0}), record(meta={"template": "0"}))
    clusters = [one.cluster for one in read_records(path)]
    assert len(set(clusters[:2])) == 2
    assert clusters[2] == clusters[3]


def test_documents_for_spans_only_have_no_label(tmp_path: Path) -> None:
    (read,) = read_records(written(tmp_path, record(tier="spans_only", labels=["spans_only"])))
    assert read.labels == frozenset()


BAD = {
    "not JSON": (b'{"id": "a", "text": "' + SECRET.encode(), "expected one JSON object on the line"),
    "not an object": (json.dumps([SECRET]), "expected an object"),
    "not UTF-8": (b'{"id": "a", "text": "' + SECRET.encode() + b'\xff", "labels": []}', "expected one JSON object on the line"),
    "no id": ({"text": SECRET, "labels": []}, "id: expected this key, found none"),
    "no labels": ({"id": "a", "text": SECRET}, "labels: expected this key, found none"),
    "text is a number": (record(text=5), "text: expected a valid string"),
    "labels are a text": (record(labels=SECRET), "labels: expected a valid array"),
    "label in small letters": (record(labels=[SECRET]), "labels: expected data classes in capitals"),
    "CLEAN is no label": (record(labels=["CLEAN"]), "labels: expected an empty list for a clean document"),
    "unknown tier": (record(tier=SECRET), "tier: expected one of core, hard_negative"),
    "span past the end": (record(spans=[{"start": 0, "end": 500, "type": SECRET}]), "spans: expected 0 <= start < end"),
    "span without type": (record(spans=[{"start": 0, "end": 2}]), "spans.0.type: expected this key"),
    "meta is a list": (record(meta=[SECRET]), "meta: expected an object"),
}


@pytest.mark.parametrize(("line", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_and_not_quoted(line: Any, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, record(), line, record())
    with pytest.raises(JobError) as caught:
        check_files([path], KNOWN)
    assert str(caught.value).startswith(f"{path}:2: {said}")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_of_several_is_told_with_how_many_more(tmp_path: Path) -> None:
    path = written(tmp_path, "x", record(), "y", "z")
    with pytest.raises(JobError, match=r":1: expected one JSON object.*\(and 2 more\)$"):
        check_files([path], KNOWN)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="expected a readable file of JSON lines"):
        check_files([tmp_path / "none.jsonl"], KNOWN)


@pytest.mark.parametrize("tier", ["core", "ambiguous"])
def test_a_label_that_is_no_class_is_refused(tmp_path: Path, tier: str) -> None:
    path = written(tmp_path, record(labels=["NPI"]), record(labels=["PHI", "PHII"], tier=tier))
    with pytest.raises(JobError) as caught:
        check_files([path], KNOWN)
    assert str(caught.value) == f"{path}:2: labels: PHII is no class of this policy; expected some of NPI, PHI"


def test_a_class_that_the_policy_declares_is_taken(tmp_path: Path) -> None:
    check_files([written(tmp_path, record(labels=["HOUSE"]), record(labels=["spans_only"], tier="spans_only"))], KNOWN | {"HOUSE"})
