"""Counting: which document is counted where."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.detector import entity_kind
from detectors.document import Evidence, Finding
from flows.evaluating import measure
from flows.evaluation_outcome import Miss, Outcome, judge, misses
from flows.evaluation_report import as_json, miss_lines, misses_json, tables
from flows.labelled_records import LabelledRecord, LabelledSpan, Tier
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import Decision, Lane

CLOUD = (Lane.CLOUD, Lane.LOCAL)
LOCAL = (Lane.LOCAL,)
POLICY = load_policy(DEFAULT_POLICY)
COUNTER = iter(range(1, 10_000))


def outcome(labels: str = "", lanes: tuple[Lane, ...] = LOCAL, classes: str = "PHI", **given: Any) -> Outcome:
    line = next(COUNTER)
    standard: dict[str, Any] = {
        "file": "a.jsonl", "line": line, "record_id": f"r{line}", "source": "clinic", "tier": Tier.CORE, "lang": "en", "english": True,
        "label_quality": "template", "cluster": f"a.jsonl:{line}", "kind": None, "words": 10, "rule": "routes[0]",
    }  # fmt: skip
    return Outcome(**(standard | {"labels": frozenset(labels.split()), "lanes": lanes, "data_classes": tuple(classes.split())} | given))


def counted(*outcomes: Outcome) -> dict[str, Any]:
    return as_json(measure(outcomes, seconds=2.0, provided=frozenset(), complete=True))


def test_a_leak_is_a_document_that_the_cloud_may_have() -> None:
    leak = counted(outcome("PHI"), outcome("PHI", CLOUD, "CLEAN"), outcome("PHI", ()), outcome("PHI NPI", CLOUD, "PII"))["leak"]
    assert (leak["PHI"]["k"], leak["PHI"]["n"], leak["PHI"]["rate"]) == (2, 4, 0.5)
    assert (leak["NPI"]["k"], leak["NPI"]["n"]) == (1, 1)
    assert leak["PHI"]["upper95"] == pytest.approx(0.9024, abs=1e-4)


def test_a_permitted_cloud_is_a_leak_even_where_local_is_preferred() -> None:
    found = counted(outcome("PHI", (Lane.LOCAL, Lane.CLOUD), "PII"), outcome("", (Lane.LOCAL, Lane.CLOUD), "PII"))
    assert found["leak"]["PHI"]["k"] == 1
    assert found["over_block"]["clinic"]["k"] == 0


def decided(classes: str, lanes: tuple[Lane, ...], **requires: Any) -> Decision:
    return Decision(
        record_id="x", data_classes=(classes,), lanes=lanes, rule="routes[1]", policy_hash="", detectors_hash="", cloud_requires=requires
    )


@pytest.mark.parametrize(
    ("labels", "decision", "leaks", "unguarded"),
    [
        pytest.param("PII", decided("PII", CLOUD, dpa=True, training_use=False), {}, {"PII": 0}, id="as-its-route-says"),
        pytest.param("PII", decided("CLEAN", CLOUD), {}, {"PII": 1}, id="not-seen"),
        pytest.param("PII", decided("PHI", LOCAL), {}, {"PII": 0}, id="kept-inside"),
        pytest.param("PII", decided("X", CLOUD, dpa=True, training_use=False, retention_days=0), {}, {"PII": 0}, id="stricter"),
        pytest.param("PHI PII", decided("PII", CLOUD, dpa=True, training_use=False), {"PHI": 1}, {"PII": 0}, id="with-a-restricted-class"),
        pytest.param("UNSCANNABLE", decided("CLEAN", CLOUD), {"UNSCANNABLE": 1}, {}, id="never-lets-go"),
    ],
)
def test_a_class_that_may_go_to_the_cloud_does_not_leak_there(
    labels: str, decision: Decision, leaks: dict[str, int], unguarded: dict[str, int]
) -> None:
    one = judge(record(labels=frozenset(labels.split())), Evidence(), decision, POLICY, complete=True)
    found = counted(one)
    for entries in (found["leak"], found["tiers"]["core"]["leak"], found["files"]["a.jsonl"]["leak"]):
        assert {name: rate["k"] for name, rate in entries.items()} == leaks
    assert {name: rate["k"] for name, rate in found["without_requirement"].items()} == unguarded
    told = [(Miss.LEAK, name) for name in leaks] + [(Miss.WITHOUT_REQUIREMENT, name) for name, k in unguarded.items() if k]
    assert [(miss, name) for miss, name, _ in misses([one]) if miss is not Miss.WRONG_CLASS] == told


def test_promised_keys() -> None:
    found = counted(outcome("PHI"), outcome())
    assert {"leak", "over_block", "files", "words_per_s", "documents_per_s", "tiers", "spans", "wrong_class"} <= set(found)
    assert {"k", "n", "rate", "upper95", "clusters", "upper95_clustered"} <= set(found["leak"]["PHI"])
    assert (found["words_per_s"], found["documents_per_s"]) == (10.0, 1.0)


def test_a_template_counts_once_and_leaks_when_any_of_its_documents_does() -> None:
    one = [outcome("PHI", cluster="clinic#1") for _ in range(9)] + [outcome("PHI", CLOUD, "CLEAN", cluster="clinic#1")]
    two = [outcome("PHI", cluster="clinic#2") for _ in range(10)]
    rate = counted(*one, *two, outcome("PHI"))["leak"]["PHI"]
    assert (rate["k"], rate["n"], rate["clusters_k"], rate["clusters"]) == (1, 21, 1, 3)
    assert rate["upper95_clustered"] == pytest.approx(0.8646, abs=1e-4)


@pytest.mark.parametrize("tier", [Tier.AMBIGUOUS, Tier.SPANS_ONLY])
def test_tiers_with_unsure_labels_stand_apart(tier: Tier) -> None:
    found = counted(outcome("NPI", CLOUD, "CLEAN", tier=tier), outcome("PHI"), outcome("", LOCAL, tier=tier))
    assert set(found["leak"]) == {"PHI"}
    assert found["over_block"] == {}
    assert found["tiers"][tier]["leak"]["NPI"]["k"] == 1
    assert set(found["files"]["a.jsonl"]["leak"]) == {"PHI"}


def test_over_block_is_told_by_source_by_kind_and_by_what_kept_it() -> None:
    hard = {"tier": Tier.HARD_NEGATIVE}
    found = counted(
        outcome(lanes=CLOUD, classes="CLEAN", source="news"),
        outcome(lanes=LOCAL, classes="PHI NPI", source="news"),
        outcome(lanes=(), classes="", source="news", rule="empty_text"),
        outcome(lanes=LOCAL, source="papers", kind="abstract", **hard),
        outcome(lanes=CLOUD, source="papers", kind="judgment", **hard),
        outcome(lanes=CLOUD, source="mail", **hard),
    )
    assert (found["over_block"]["news"]["k"], found["over_block"]["news"]["n"]) == (2, 3)
    assert found["over_block"]["news"]["kept_as"] == {"NPI": 1, "PHI": 1, "empty_text": 1}
    assert {name: (rate["k"], rate["n"]) for name, rate in found["over_block"]["papers"]["kinds"].items()} == {
        "abstract": (1, 1),
        "judgment": (0, 1),
    }
    assert {name: rate["k"] for name, rate in found["hard_negatives"].items()} == {"abstract": 1, "judgment": 0, "mail": 0}


def test_another_language_counts_as_leak_and_apart_and_never_as_over_block() -> None:
    german = {"lang": "de", "english": False}
    found = counted(outcome("PHI", CLOUD, "CLEAN", **german), outcome(lanes=LOCAL, classes="UNSCANNABLE", **german), outcome("PHI"))
    assert (found["leak"]["PHI"]["k"], found["leak"]["PHI"]["n"]) == (1, 2)
    assert (found["not_english"]["de"]["k"], found["not_english"]["de"]["n"]) == (1, 2)
    assert found["over_block"] == {}


def test_kept_inside_as_another_class_is_no_leak_but_told() -> None:
    found = counted(outcome("NPI", LOCAL, "PHI"), outcome("NPI", LOCAL, "NPI"), outcome("NPI", CLOUD, "CLEAN"))
    assert (found["wrong_class"]["NPI"]["k"], found["wrong_class"]["NPI"]["n"]) == (1, 3)
    assert found["leak"]["NPI"]["k"] == 1


def test_sources_and_label_qualities_have_rows_of_their_own() -> None:
    leak = counted(outcome("PHI", CLOUD, "CLEAN"), outcome("PHI", source="ward", label_quality="human"))["leak"]["PHI"]
    assert {name: (rate["k"], rate["n"]) for name, rate in leak["sources"].items()} == {"clinic": (1, 1), "ward": (0, 1)}
    assert {name: rate["k"] for name, rate in leak["label_quality"].items()} == {"template": 1, "human": 0}


def record(**given: Any) -> LabelledRecord:
    standard: dict[str, Any] = {
        "file": "a.jsonl",
        "line": 3,
        "record_id": "r3",
        "text": "Ada Stone paid.",
        "labels": frozenset({"NPI"}),
        "source": "bank",
    }
    return LabelledRecord(**(standard | given))


EVIDENCE = Evidence(
    findings=tuple(Finding(detector="d", entity="PERSON", start=0, end=9, score=0.9) for _ in range(2)),
    topics={"health": 0.01, "personal_finance": 0.31},
    markers=frozenset({"consumer"}),
    failures=frozenset({"limit_findings"}),
)
DECISION = Decision(record_id="x", data_classes=("CLEAN",), lanes=CLOUD, rule="routes[2]", policy_hash="", detectors_hash="")


def test_a_miss_is_told_with_its_evidence_and_without_text() -> None:
    (line,) = miss_lines([judge(record(), EVIDENCE, DECISION, POLICY, complete=True)])
    assert line.split() == [
        "leak", "NPI", "a.jsonl:3", "r3", "by", "routes[2]:", "PERSON×2,", "personal_finance", "0.31,", "consumer,", "limit_findings",
    ]  # fmt: skip
    (tree,) = misses_json([judge(record(), EVIDENCE, DECISION, POLICY, complete=True)])
    assert (tree["miss"], tree["class"], tree["id"], tree["entities"]) == ("leak", "NPI", "r3", {"PERSON": 2})
    assert "Stone" not in line + str(tree)


def test_misses_are_leaks_first_and_only_where_labels_are_sure() -> None:
    found = misses([outcome(lanes=LOCAL), outcome("NPI", LOCAL, "PHI"), outcome("PHI", CLOUD), outcome("PHI", CLOUD, tier=Tier.AMBIGUOUS)])
    assert [miss for miss, _, _ in found] == [Miss.LEAK, Miss.OVER_BLOCK, Miss.WRONG_CLASS]


def test_spans_are_measured_where_they_are_marked_and_all_evidence_was_asked_for() -> None:
    marked = record(spans=(LabelledSpan(start=0, end=9, type="NAME"),))
    provided = frozenset({entity_kind("PERSON")})
    full = measure([judge(marked, EVIDENCE, DECISION, POLICY, complete=True)], seconds=1, provided=provided, complete=True)
    planned = measure([judge(marked, EVIDENCE, DECISION, POLICY, complete=False)], seconds=1, provided=provided, complete=False)
    assert as_json(full)["spans"]["entities"]["PERSON"] == {
        "marked": 1, "found": 1, "recall": 1.0, "recall_any_entity": 1.0, "reported": 1, "right": 1, "precision": 1.0,
    }  # fmt: skip
    assert planned.spans is None
    assert "not measured" in tables(planned)
    assert judge(record(), EVIDENCE, DECISION, POLICY, complete=True).spans is None


def test_tables_say_rates_and_bounds() -> None:
    said = tables(
        measure([outcome("PHI", CLOUD), outcome(), outcome("NPI", tier=Tier.AMBIGUOUS)], seconds=2.0, provided=frozenset(), complete=True)
    )
    assert "1/1  100.00%  100.00%" in said
    assert "ambiguous, leak NPI" in said
    assert said.endswith("3 documents, 30 words in 2.0 s: 2 documents/s, 15 words/s (scan and decision; models were loaded before)")


def test_nothing_at_all_is_measured_as_nothing() -> None:
    found = as_json(measure([], seconds=0.0, provided=frozenset(), complete=True))
    assert (found["leak"], found["over_block"], found["words_per_s"]) == ({}, {}, 0.0)
