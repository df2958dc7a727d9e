"""The loader: every fault is an error that names the file, the line, the key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY, load_policy
from policies.model import Lane
from policies.prices import DEFAULT_PRICES, load_prices
from policies.registry import load_rulebook
from policies.rules import AllOf, AnyOf, EntityFound, TopicIs

GOOD = """\
version: 2026-11-22
classes:
  PHI:
    basis: "45 CFR 160.103"
    all:
      - {topic: health, at_least: 0.5}
      - any_entity: [PERSON, US_SSN]
  PII:
    basis: "2 CFR 200.1"
    covered_by: [PHI]
    entity: US_SSN
routes:
  - when: [PHI, UNSCANNABLE]
    lanes: [local]
  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""

FAULTS = {
    # name: (text replaced, replacement, line, what the message says)
    "unknown key": ("version:", "colour: red\nversion:", 1, "colour: unknown key; expected one of version"),
    "unknown class key": ('    basis: "45 CFR 160.103"', '    basis: "x"\n    colour: red', 5, "classes.PHI.colour: unknown key"),
    "unknown route key": ("lanes: [local]\n", "lanes: [local]\n    lane: cloud\n", 15, "routes[0].lane: unknown key"),
    "duplicate key": ("default: held", "default: held\ndefault: held", 18, "default: duplicate key; it is first given in line 17"),
    "duplicate class": ("  PII:\n", "  PHI:\n", 8, "classes.PHI: duplicate key"),
    "missing default": ("default: held\n", "", 1, "default: expected this key"),
    "other default": ("default: held", "default: local", 17, "default: expected `held`, the only default there is, found 'local'"),
    "missing basis": ('    basis: "45 CFR 160.103"\n', "", 3, "classes.PHI.basis: expected this key"),
    "empty basis": ('"45 CFR 160.103"', '" "', 4, "classes.PHI.basis: expected the legal basis"),
    "empty all": (
        "all:\n      - {topic: health, at_least: 0.5}\n      - any_entity: [PERSON, US_SSN]",
        "all: []",
        5,
        "expected a list of at least one condition, found an empty list",
    ),
    "empty any_entity": ("[PERSON, US_SSN]", "[]", 7, "any_entity: expected a list of at least one entity"),
    "entity twice": ("[PERSON, US_SSN]", "[PERSON, PERSON]", 7, "expected each entity in capitals once"),
    "entity in lower case": ("entity: US_SSN", "entity: us_ssn", 11, "entity: expected an entity in capitals, found 'us_ssn'"),
    "no condition": ("    entity: US_SSN\n", "", 8, "exactly one of topic, entity"),
    "two conditions": ("    entity: US_SSN", "    entity: US_SSN\n    marker: x", 8, "it has entity and marker"),
    "not": ("entity: US_SSN", "not: {entity: US_SSN}", 8, "exactly one of topic, entity"),
    "threshold above one": (
        "at_least: 0.5",
        "at_least: 50",
        6,
        "at_least: expected a number above 0 and at most 1, found a whole number '50'",
    ),
    "threshold zero": ("at_least: 0.5", "at_least: 0", 6, "at_least: expected a number above 0"),
    "threshold as text": ("at_least: 0.5", 'at_least: "0.5"', 6, "at_least: expected a number above 0"),
    "threshold not a number": ("at_least: 0.5", "at_least: .nan", 6, "at_least: expected a number above 0"),
    "threshold missing": (", at_least: 0.5", "", 6, "at_least: expected this key"),
    "count zero": ("entity: US_SSN", "entity: US_SSN\n    count: 0", 12, "count: expected a whole number of at least 1"),
    "class in lower case": ("  PHI:", "  phi:", 3, "classes.phi: expected a class name in capitals"),
    "rule for CLEAN": ("routes:", "  CLEAN:\n    basis: x\n    entity: X\nroutes:", 14, "classes.CLEAN.entity: expected no condition here"),
    "rule for UNSCANNABLE": ("routes:", "  UNSCANNABLE: {basis: x, marker: y}\nroutes:", 12, "expected no condition here"),
    "no classes": (GOOD[GOOD.index("  PHI") : GOOD.index("routes")], "", 2, "classes: expected a table of data classes, found nothing"),
    "covered by nothing known": ("covered_by: [PHI]", "covered_by: [NPI]", 10, "covered_by: expected other classes of this policy"),
    "covered by itself": ("covered_by: [PHI]", "covered_by: [PII]", 10, "covered_by: expected other classes of this policy"),
    "no routes": (GOOD[GOOD.index("routes") : GOOD.index("default")], "routes: []\n", 12, "routes: expected a list of at least one route"),
    "unknown class in a route": ("when: [PII]", "when: [PIII]", 15, "routes[1].when: unknown class PIII; expected one of PHI, PII"),
    "unknown lane": ("lanes: [local]\n", "lanes: [local, mars]\n", 14, "lanes[1]: expected lane, local or cloud, found 'mars'"),
    "no lanes": ("lanes: [local]\n", "lanes: []\n", 14, "lanes: expected a list of at least one lane"),
    "unknown fact": ("{dpa: true}", "{dpaa: true}", 15, "cloud_requires.dpaa: unknown key; expected one of baa, dpa"),
    "fact of the wrong type": ("{dpa: true}", "{dpa: 1}", 15, "dpa: expected true or false, found a whole number '1'"),
    "yes is not true": ("{dpa: true}", "{dpa: yes}", 15, "dpa: expected true or false, found true or false 'yes'"),
    "requirements without cloud": (
        "lanes: [local]\n",
        "lanes: [local]\n    cloud_requires: {baa: true}\n",
        15,
        "expected no cloud_requires",
    ),
    "a freer route first": (
        "  - when: [PHI, UNSCANNABLE]\n    lanes: [local]\n  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}",
        "  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}\n  - when: [PHI, UNSCANNABLE]\n    lanes: [local]",
        13,
        "routes[0]: permits the cloud to documents with more classes than routes[1]",
    ),
    "a requirement lost": (
        "{when: [CLEAN], lanes: [cloud, local]}",
        "{when: [CLEAN], lanes: [cloud], cloud_requires: {baa: true}}",
        15,
        "drops the",
    ),
    "unknown evidence": ("default:", "evidence: some\ndefault:", 17, "evidence: expected one of planned, complete, found 'some'"),
    "an alias": ("[PERSON, US_SSN]", "&ids [PERSON, US_SSN]", 7, "expected no anchor or alias"),
    "a second document": ("default: held", "default: held\n---\nx: 1", 18, "expected YAML"),
    "a tag": ("version: 2026-11-22", "version: 2026-11-22\nner: !!python/name:os.system x", 2, "ner: expected the name of a pipeline"),
    "broken YAML": ("[PERSON, US_SSN]", "[PERSON, US_SSN", 8, "expected YAML"),
    "a list": (GOOD, "- a\n", 1, "expected a table, found a list"),
    "empty": (GOOD, "", 1, "expected a table, found an empty file"),
    "only a comment": (GOOD, "# nothing\n", 1, "expected a table, found an empty file"),
}


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new", "line", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_refused_with_file_line_and_expectation(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(PolicyFileError) as caught:
        load_policy(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_a_covering_class_must_not_be_freer(tmp_path: Path) -> None:
    text = GOOD.replace("[PHI, UNSCANNABLE]", "[PII, UNSCANNABLE]").replace(
        "when: [PII], lanes: [local, cloud]", "when: [PHI], lanes: [local, cloud]"
    )
    path = write(tmp_path, text)
    with pytest.raises(PolicyFileError, match=r":8: classes\.PII\.covered_by: expected PHI to have the same route or an earlier one"):
        load_policy(path)


@pytest.mark.parametrize(
    ("data", "said"), [(b"version: \xff\n", ":1: expected UTF-8"), (b"a: \x00", ":1: expected YAML")], ids=["bytes", "control"]
)
def test_bytes_that_are_no_yaml_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(data)
    with pytest.raises(PolicyFileError, match=said):
        load_policy(path)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match="expected a readable file"):
        load_policy(tmp_path / "absent.yaml")
    huge = write(tmp_path, "#" * (1 << 20) + "\n")
    with pytest.raises(PolicyFileError, match="expected at most"):
        load_policy(huge)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    deep = "{any: [" * 12 + "{marker: x}" + "]}" * 12
    path = write(tmp_path, GOOD.replace("    entity: US_SSN", f"    any: [{deep}]"))
    with pytest.raises(PolicyFileError, match="expected at most 8 levels"):
        load_policy(path)


def test_a_good_policy_says_what_it_says(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, GOOD))
    assert policy.version == "2026-11-22"
    assert list(policy.classes) == ["PHI", "PII"]
    assert policy.classes["PHI"].condition == AllOf((TopicIs("health", 0.5), EntityFound(frozenset({"PERSON", "US_SSN"}))))
    assert policy.classes["PII"].covered_by == ("PHI",)
    assert [route.lanes for route in policy.routes] == [(Lane.LOCAL,), (Lane.LOCAL, Lane.CLOUD), (Lane.CLOUD, Lane.LOCAL)]
    assert policy.routes[1].cloud_requires == {"dpa": True}
    assert (policy.evidence, policy.source) == ("planned", GOOD)
    assert policy.kinds == {"topic:health", "entity:PERSON", "entity:US_SSN"}


def test_optional_keys_are_read(tmp_path: Path) -> None:
    text = GOOD.replace("entity: US_SSN", "any: [{entity: US_SSN, count: 3, at_least_score: 0.9}, {declared: PII}]")
    policy = load_policy(write(tmp_path, text.replace("default:", "evidence: complete\nner: en_core_web_lg\ndefault:")))
    assert (policy.evidence, policy.ner) == ("complete", "en_core_web_lg")
    condition = policy.classes["PII"].condition
    assert isinstance(condition, AnyOf)
    assert condition.conditions[0] == EntityFound(frozenset({"US_SSN"}), 0.9, 3)


def test_the_hash_covers_policy_registry_and_prices_byte_for_byte(tmp_path: Path) -> None:
    path, registry, prices = write(tmp_path, GOOD), tmp_path / "endpoints.yaml", tmp_path / "prices.yaml"
    registry.write_text("a: 1\n")
    prices.write_text("b: 1\n")
    hashes = [load_policy(path).hash, load_policy(path, registry=registry).hash, load_policy(path, registry=registry, prices=prices).hash]
    write(tmp_path, GOOD + "# a comment\n")
    hashes.append(load_policy(path).hash)
    registry.write_text("a: 1 \n")
    hashes.append(load_policy(path, registry=registry, prices=prices).hash)
    prices.write_text("b: 2\n")
    hashes.append(load_policy(path, registry=registry, prices=prices).hash)
    assert len(set(hashes)) == len(hashes)
    assert load_policy(path).hash == load_policy(path).hash


def test_the_rulebook_hashes_the_registry_and_the_prices_it_read() -> None:
    rules = load_rulebook(DEFAULT_POLICY)
    assert rules.policy.hash == load_policy(DEFAULT_POLICY, registry=DEFAULT_REGISTRY, prices=DEFAULT_PRICES).hash
    assert "emulator" in rules.registry
    assert rules.prices == load_prices(DEFAULT_PRICES)
