"""`ner` and `participants`: what a policy may say of the detectors, and how it is refused otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.ner_choice import BUNDLED, NerChoice, Transformers
from detectors.participants import NOBODY, Directory
from policies import detection
from policies.errors import PolicyFileError
from policies.load import parse_policy
from policies.policy import Policy
from policies.yaml_value import Source

RULES = """\
version: 1
classes:
  PII: {basis: "2 CFR 200.1", entity: US_SSN}
routes:
  - {when: [PII, UNSCANNABLE], lanes: [local]}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""


def policy(keys: str, name: str = "/rules/policy.yaml") -> Policy:
    return parse_policy(Source(name=name, data=(RULES + keys).encode()))


@pytest.mark.parametrize(
    ("keys", "choice"),
    [
        pytest.param("ner: none\n", None, id="none"),
        pytest.param("ner: bundled\n", BUNDLED, id="bundled"),
        pytest.param("ner: en_core_web_lg\n", "en_core_web_lg", id="installed"),
        pytest.param("ner: /models/ward\n", "/models/ward", id="path"),
        pytest.param("ner: ./models/ward\n", "/rules/models/ward", id="path-beside-the-policy"),
        pytest.param("ner: ~/ward\n", str(Path("~/ward").expanduser()), id="path-at-home"),
        pytest.param("ner: {transformers: obi/deid_bert}\n", Transformers(model="obi/deid_bert"), id="transformer"),
        pytest.param(
            "ner: {transformers: ./deid, spacy: en_core_web_sm}\n",
            Transformers(model="/rules/deid", spacy="en_core_web_sm"),
            id="transformer-with-its-tokens",
        ),
    ],
)
def test_the_model_that_names_entities(keys: str, choice: NerChoice | None) -> None:
    assert policy(keys).ner == choice


@pytest.mark.parametrize(("exists", "choice"), [(True, BUNDLED), (False, None)], ids=["built", "not-built"])
def test_without_the_key_the_bundled_model_is_used_where_it_is(
    monkeypatch: pytest.MonkeyPatch, *, exists: bool, choice: str | None
) -> None:
    monkeypatch.setattr(detection, "bundled_exists", lambda: exists)
    assert policy("").ner == choice


def test_the_directory_of_counsel_is_read_in_lower_case() -> None:
    keys = "participants:\n  counsel:\n    addresses: [OFosse@varnholm.example]\n    domains: [Firm.example]\n    names: [Olympia Fosse]\n"
    assert policy(keys).participants.counsel == Directory(
        addresses=frozenset({"ofosse@varnholm.example"}), domains=frozenset({"firm.example"}), names=frozenset({"olympia fosse"})
    )
    assert policy("").participants == NOBODY
    assert len({policy(keys).participants.digest, policy(keys.replace("Firm", "Other")).participants.digest, NOBODY.digest}) == 3


FAULTS = {
    "a list for a model": ("ner: [a]", "ner: expected the name of a pipeline, a path, `bundled`, `none`"),
    "a number for a model": ("ner: 3", "ner: expected the name of a pipeline"),
    "no transformer": ("ner: {spacy: a}", "ner.transformers: expected this key"),
    "unknown key of a model": ("ner: {transformers: a, torch: b}", "ner.torch: unknown key"),
    "nobody": ("participants: {counsel: {}}", "participants.counsel: expected at least one of addresses, domains, names"),
    "no counsel": ("participants: {}", "participants.counsel: expected this key"),
    "others": ("participants: {counsel: {names: [A B]}, clients: {names: [C D]}}", "participants.clients: unknown key"),
    "no list": ("participants: {counsel: {domains: firm.example}}", "domains: expected a list of at least one domain"),
    "no address": ("participants: {counsel: {addresses: [firm.example]}}", "addresses[0]: expected e-mail address"),
    "no domain": ("participants: {counsel: {domains: [firm]}}", "domains[0]: expected domain"),
    "one name": ("participants: {counsel: {names: [Olympia]}}", "names[0]: expected full name"),
    "twice": ("participants: {counsel: {domains: [a.example, a.example]}}", "expected each domain"),
}


@pytest.mark.parametrize(("keys", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_refused_with_its_line(keys: str, said: str) -> None:
    with pytest.raises(PolicyFileError) as refused:
        policy(keys)
    assert str(refused.value).startswith("/rules/policy.yaml:8: ")
    assert said in str(refused.value)
