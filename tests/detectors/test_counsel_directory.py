"""Counsel by the policy's directory: who is listed counts as a participant; who is only spoken of does not."""

from __future__ import annotations

import pytest

import detectors
from detectors.document import Document
from detectors.participants import Directory, Participants
from detectors.scan import scan
from policies.decide import decide
from policies.load import DEFAULT_POLICY, load_policy, parse_policy
from policies.model import Lane
from policies.yaml_value import Source

LISTED = Participants(
    counsel=Directory(
        addresses=frozenset({"ofosse@varnholm.example"}),
        domains=frozenset({"tolliverbrisk.example"}),
        names=frozenset({"olympia fosse", "jean-luc d'arby"}),
    )
)
SENTENCE = "the long question that we discussed at lunch in the old town"


def raised(text: str, **metadata: str) -> bool:
    found = next(scan([Document(record_id="r", text=text, source="s", metadata=metadata)], detectors.load(participants=LISTED)))
    return "counsel_participant" in found.markers


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        pytest.param("see below", {"from": "O. Fosse <OFosse@Varnholm.example>"}, id="address-in-from"),
        pytest.param("see below", {"cc": "Bram <b@varnholm.example>, rv@tolliverbrisk.example"}, id="domain-in-cc"),
        pytest.param("see below", {"to": "rv@mail.tolliverbrisk.example"}, id="below-the-domain"),
        pytest.param("see below", {"bcc": "Fosse, Olympia"}, id="surname-first"),
        pytest.param("hello\n\n-----\nFrom: Bram\nTo: grete@x.example,\n ofosse@varnholm.example\n\nhello", {}, id="folded-header-in-text"),
        pytest.param("> From: Jean-Luc D'Arby\n> hello", {}, id="quoted-header"),
        pytest.param(
            "You can let him go, but not this week, since it would look like punishment.\n\nOlympia Fosse\n+1 207", {}, id="signature"
        ),
        pytest.param("hello\n\nO.\nofosse@varnholm.example", {}, id="address-in-signature"),
        pytest.param("To: of\u200bosse@v\u0430rnholm.example\n\nhello", {}, id="disguised"),
    ],
)
def test_a_listed_participant_counts(text: str, metadata: dict[str, str]) -> None:
    assert raised(text, **metadata)


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        pytest.param("see below", {"from": "fosse@varnholm.example"}, id="other-address"),
        pytest.param("see below", {"from": "x@nottolliverbrisk.example"}, id="other-domain"),
        pytest.param("see below", {"subject": f"{SENTENCE} about rv@tolliverbrisk.example and the harbour"}, id="subject"),
        pytest.param("The speech that Olympia Fosse gave at the opening of the new harbour was well received by all.", {}, id="spoken-of"),
        pytest.param("Olympia\nFosse", {}, id="two-lines"),
    ],
)
def test_others_do_not(text: str, metadata: dict[str, str]) -> None:
    assert not raised(text, **metadata)


def test_the_default_policy_holds_advice_of_a_listed_person_back() -> None:
    text = "Bram, in my opinion they have no claim, and I would not sign their letter. Our exposure is small.\n\nOlympia Fosse"
    written = DEFAULT_POLICY.read_text(encoding="utf-8")
    listing = "participants: {counsel: {names: [Olympia Fosse]}}\n"
    plain = load_policy(DEFAULT_POLICY)
    policy = parse_policy(Source(name="p", data=(listing + written).encode()))
    assert policy.participants.counsel.names == {"olympia fosse"}
    assert policy.hash != plain.hash
    loaded = detectors.load(participants=policy.participants)
    assert loaded.hash != detectors.load().hash
    found = next(scan([Document(record_id="r", text=text, source="s")], loaded))
    assert "counsel_participant" in found.markers
    decision = decide("r", found, policy, loaded.hash)
    assert "PRIVILEGED" in decision.data_classes
    assert Lane.CLOUD not in decision.lanes
