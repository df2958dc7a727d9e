"""`waybill policy diff`: both policies on the evidence of past nights; where it cannot tell, it says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from policies.load import DEFAULT_POLICY
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

CANARY = "quetzalcoatl-7719"
RULES = """version: 1
evidence: complete
classes:
  NPI: {basis: house rule, any_entity: [US_SSN, CREDIT_CARD]}
  PII: {basis: house rule, any_entity: [EMAIL_ADDRESS]}
routes:
  - {when: [NPI, UNSCANNABLE], lanes: [local]}
  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""
PLANNED = RULES.replace("evidence: complete\n", "")
STRICTER = RULES.replace(
    "UNSCANNABLE], lanes: [local]}\n  - {when: [PII], lanes: [local, cloud], cloud_requires: {dpa: true}}",
    "UNSCANNABLE, PII], lanes: [local]}",
)
REGISTRY = """version: 1
endpoints:
  inside: {lane: local, engine: extractive, provider: built-in, model: lexrank}
  outside: {lane: cloud, engine: openai_batch, provider: somebody, model: m, base_url: "https://api.example.test", secret: OUTSIDE_KEY,
            facts: {dpa: true, training_use: false}, evidence_link: "https://example.test/terms", review_by: 2030-01-01}
"""
DAY = datetime(2026, 10, 5, 2, tzinfo=UTC)


def night(run: str, policy: str, at: datetime = DAY) -> list[Entry]:
    digest = "0" * 63 + ("1" if policy == RULES else "2")
    return [
        Entry(event=Event.POLICY_REGISTERED, at=at, policy_hash=digest, policy_text=policy),
        Entry(event=Event.RUN_STARTED, at=at, run_id=run, job="job", logical_date="2026-10-05", policy_hash=digest),
    ]


def record(
    name: str,
    found: dict[str, int],
    classes: tuple[str, ...],
    *,
    run: str = "one",
    lane: str | None = "cloud",
    family: str | None = None,
    policy: str = RULES,
    tokens: int | None = None,
    cost: str | None = None,
    partial: bool = False,
    rule: str = "routes[2]",
) -> list[Entry]:
    about: dict[str, Any] = {"at": DAY, "run_id": run, "record_id": f"r{name}"}
    endpoint = {"cloud": "outside", "local": "inside"}.get(lane or "")
    entries = [
        Entry(
            event=Event.DECIDED,
            data_classes=classes,
            partial=partial,
            evidence=tuple(EvidenceCount(entity=entity, count=count, max_score=0.9, detector="d") for entity, count in found.items()),
            rule=rule,
            lanes=(lane,) if lane else (),
            policy_hash="0" * 63 + ("1" if policy == RULES else "2"),
            detectors_hash="then",
            document_hmac=f"h{name}",
            family=family,
            **about,
        )
    ]
    if endpoint:
        entries.append(Entry(event=Event.ASSIGNED, lane=lane, endpoint=endpoint, strategy="cloud_first", reason="preferred", **about))
    if tokens is not None:
        paid = Decimal(cost) if cost else None
        entries.append(Entry(event=Event.COMPLETED, lane=lane, endpoint=endpoint, tokens_in=tokens, tokens_out=0, cost_usd=paid, **about))
    return entries


class Asked:
    """The answer to one comparison."""

    def __init__(self, cli: Callable[..., Any], folder: Path, ledger: Path, old: str, new: str, *options: str) -> None:
        (folder / "endpoints.yaml").write_text(REGISTRY)
        names = []
        for name, text in (("old", old), ("new", new)):
            (folder / f"{name}.yaml").write_text(text)
            names.append(folder / f"{name}.yaml")
        asked = ("policy", "diff", *names, "--ledger", ledger, "--registry", folder / "endpoints.yaml", *options)
        said = cli(*asked, "--format", "json")
        assert CANARY not in said.out + said.err
        self.rows = [json.loads(line) for line in said.out.splitlines()]
        self.totals = said.err
        self.shown = cli(*asked).out

    def moves(self) -> dict[tuple[str, str, str], int]:
        counted: dict[tuple[str, str, str], int] = {}
        for row in self.rows:
            key = (row["change"], row["lane_old"], row["lane_new"])
            counted[key] = counted.get(key, 0) + row["records"]
        return counted


@pytest.fixture
def ask(cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Asked]:
    """Commit entries to a ledger, and compare two policies on it."""

    def asked(entries: list[Entry], old: str, new: str, *options: str) -> Asked:
        ledger = Ledger.open(tmp_path / "ledger")
        ledger.commit(entries)
        return Asked(cli, tmp_path, ledger.path, old, new, *options)

    return asked


THREE = [
    *record("clean", {}, ("CLEAN",), tokens=1000, cost="0.001"),
    *record("mail", {"EMAIL_ADDRESS": 2}, ("PII",), tokens=2000, cost="0.002", rule="routes[1]"),
    *record("number", {"US_SSN": 1}, ("NPI",), lane="local", tokens=3000, rule="routes[0]"),
]


def test_records_lanes_and_cost(ask: Callable[..., Asked]) -> None:
    found = ask([*night("one", RULES), *THREE], RULES, STRICTER)
    assert found.moves() == {("moved", "cloud", "local"): 1, ("same", "cloud", "cloud"): 1, ("same", "local", "local"): 1}
    (moved,) = [row for row in found.rows if row["change"] == "moved"]
    assert (moved["classes_old"], moved["classes_new"], moved["endpoint_old"], moved["endpoint_new"]) == (
        ["PII"],
        ["PII"],
        "outside",
        "inside",
    )
    assert (moved["rule_old"], moved["rule_new"]) == ("routes[1]", "routes[0]")
    assert moved["cost_old"] == pytest.approx(0.002)
    assert moved["cost_new"] is None  # nobody knows what the endpoint inside costs
    assert "1 would have gone elsewhere" in found.totals
    assert "unknown under NEW" in found.totals
    assert "unknown" in found.shown


def test_what_would_have_been_paid_outside_follows_from_what_was(ask: Callable[..., Asked]) -> None:
    found = ask([*night("one", RULES), *THREE], RULES, RULES.replace("any_entity: [US_SSN, CREDIT_CARD]", "any_entity: [CREDIT_CARD]"))
    (moved,) = [row for row in found.rows if row["change"] == "moved"]
    assert (moved["lane_old"], moved["lane_new"], moved["cost_old"]) == ("local", "cloud", None)
    assert moved["cost_new"] == pytest.approx(0.003)


def test_held_costs_nothing_and_an_endpoint_without_the_facts_is_no_place_to_go(ask: Callable[..., Asked]) -> None:
    newer = RULES.replace("lanes: [local, cloud], cloud_requires: {dpa: true}", "lanes: [cloud], cloud_requires: {baa: true}")
    found = ask([*night("one", RULES), *THREE], RULES, newer)
    (moved,) = [row for row in found.rows if row["change"] == "moved"]
    assert (moved["lane_new"], moved["endpoint_new"], moved["cost_new"]) == ("held", None, 0.0)


def test_a_family_goes_together(ask: Callable[..., Asked]) -> None:
    family = [
        *record("cover", {}, ("CLEAN",), family="f1"),
        *record("letter", {"PHONE_NUMBER": 1}, ("CLEAN",), family="f1"),
        *record("alone", {}, ("CLEAN",)),
    ]
    newer = RULES.replace("any_entity: [EMAIL_ADDRESS]", "any_entity: [EMAIL_ADDRESS, PHONE_NUMBER]")
    found = ask([*night("one", RULES), *family], RULES, newer.replace("[local, cloud], cloud_requires: {dpa: true}", "[local]"))
    # Whether PHONE_NUMBER was asked for at all is not on record: where one was found it was; for the others nobody can say.
    assert found.moves() == {("cannot tell", "cloud", "?"): 3}
    stricter = RULES.replace("EMAIL_ADDRESS]", "EMAIL_ADDRESS, CREDIT_CARD]").replace(
        "[local, cloud], cloud_requires: {dpa: true}", "[local]"
    )
    assert ask([], RULES, stricter).moves() == {("same", "cloud", "cloud"): 3}


def test_a_member_raises_its_family(ask: Callable[..., Asked]) -> None:
    family = [*record("cover", {}, ("PII",), family="f1"), *record("letter", {"EMAIL_ADDRESS": 1}, ("PII",), family="f1")]
    found = ask([*night("one", RULES), *family], RULES, STRICTER)
    assert found.moves() == {("moved", "cloud", "local"): 2}


def test_evidence_of_a_planned_night(ask: Callable[..., Asked]) -> None:
    """What was found counts, an unchanged class is as true as it was; for a changed one there is no telling."""
    entries = [
        *night("one", PLANNED),
        *record("clean", {}, ("CLEAN",), policy=PLANNED),
        *record("partial", {"US_SSN": 1}, ("NPI",), policy=PLANNED, partial=True, lane="local"),
        *record("early", {"EMAIL_ADDRESS": 1}, ("PII",), policy=PLANNED, partial=True),
    ]
    found = ask(entries, PLANNED, STRICTER)
    assert found.moves() == {("same", "cloud", "cloud"): 1, ("same", "local", "local"): 1, ("cannot tell", "cloud", "?"): 1}
    assert "1 cannot be told" in found.totals
    assert "cannot be told: 1 (partial evidence)" in found.totals
    wider = PLANNED.replace("any_entity: [EMAIL_ADDRESS]", "any_entity: [EMAIL_ADDRESS, US_SSN]")
    assert ask([], PLANNED, wider).moves()["cannot tell", "cloud", "?"] == 2


def test_a_second_look_is_no_night_and_the_last_decision_counts(ask: Callable[..., Asked]) -> None:
    entries = [
        *record("clean", {"EMAIL_ADDRESS": 1}, ("PII",)),
        *record("clean", {}, ("CLEAN",)),
        *record("clean", {}, ("CLEAN",), run="look", rule="second_look"),
    ]
    assert ask([*night("one", RULES), *entries], RULES, STRICTER).moves() == {("same", "cloud", "cloud"): 1}


def test_a_job_that_has_no_cloud_does_not_get_one(ask: Callable[..., Asked]) -> None:
    entries = record("clean", {}, ("CLEAN",), lane="local")
    entries[1] = Entry(
        event=Event.ASSIGNED,
        at=DAY,
        run_id="one",
        record_id="rclean",
        lane="local",
        endpoint="inside",
        strategy="cloud_first",
        reason="fallback",
    )
    assert ask([*night("one", RULES), *entries], RULES, STRICTER).moves() == {("same", "local", "local"): 1}


@pytest.mark.parametrize(
    ("strategy", "reason", "lane"),
    [
        ("tiered", "tier_small", "local"),
        ("cheapest", "cheapest", "local"),
        ("cloud_first", "overflow", "local"),
        ("local_first", "preferred", "local"),
        ("cloud_first", "preferred", "cloud"),
    ],
    ids=["by tier", "by price", "by a full queue", "inside by its lane", "outside by its lane"],
)
def test_a_record_that_was_weighed_stays_where_it_may(strategy: str, reason: str, lane: str, ask: Callable[..., Asked]) -> None:
    """Its strategy looked at the record itself: a policy that permits both lanes does not say that it would have gone elsewhere."""
    about: dict[str, Any] = {"event": Event.ASSIGNED, "at": DAY, "run_id": "one", "strategy": strategy, "reason": reason}
    clean, mail = record("clean", {}, ("CLEAN",), lane="local"), record("mail", {"EMAIL_ADDRESS": 2}, ("PII",), rule="routes[1]")
    clean[1] = Entry(record_id="rclean", lane="local", endpoint="inside", **about)
    mail[1] = Entry(record_id="rmail", lane="cloud", endpoint="outside", **about)
    moves = ask([*night("one", RULES), *clean, *mail], RULES, STRICTER).moves()
    assert moves["same", lane, lane] >= 1
    assert sum(moves.values()) == 2
    if strategy != "local_first":  # that one would have kept the mail inside all along
        assert moves["moved", "cloud", "local"] == 1


def test_a_directory_that_nobody_knew_then_cannot_be_told(ask: Callable[..., Asked]) -> None:
    """Who is counsel was not asked of the participants then; what stands on other evidence can be told all the same."""
    newer = RULES.replace("any_entity: [EMAIL_ADDRESS]", "any: [{any_entity: [EMAIL_ADDRESS]}, {marker: counsel_participant}]")
    newer = newer.replace("classes:", "participants: {counsel: {domains: [chambers.test]}}\nclasses:", 1)
    found = ask([*night("one", RULES), *THREE], RULES, newer)
    assert found.moves() == {("cannot tell", "cloud", "?"): 1, ("same", "cloud", "cloud"): 1, ("same", "local", "local"): 1}
    assert "not asked, or not as this policy would" in found.totals


@pytest.mark.parametrize(
    ("options", "records"),
    [(("--since", "2026-10-06"), 0), (("--until", "2026-10-06"), 3), (("--since", "2026-10-05"), 3)],
    ids=["after", "before", "from"],
)
def test_days(options: tuple[str, ...], records: int, ask: Callable[..., Asked]) -> None:
    assert sum(ask([*night("one", RULES), *THREE], RULES, STRICTER, *options).moves().values()) == records


def test_a_policy_by_its_hash(cli: Callable[..., Any], ask: Callable[..., Asked], tmp_path: Path) -> None:
    ask([*night("one", RULES), *THREE], RULES, RULES)
    entry = Entry(event=Event.POLICY_REGISTERED, at=DAY, policy_hash="abcdef12" + "0" * 56, policy_text=STRICTER)
    Ledger.open(tmp_path / "ledger").commit([entry])
    options = ("--ledger", tmp_path / "ledger", "--registry", tmp_path / "endpoints.yaml")
    assert "1 would have gone elsewhere" in cli("policy", "diff", tmp_path / "old.yaml", "abcdef12", *options).out
    for wrong in ("abcdef1", "ffffffff", "no-such.yaml"):
        assert "expected a policy file, or the hash" in cli("policy", "diff", wrong, "abcdef12", *options, code=2).err


def test_a_real_night(finished_night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    with reading(finished_night.ledger, ("policies",)) as reader:
        (digest,) = reader.table("SELECT policy_hash FROM policies")["policy_hash"].to_pylist()
    text = DEFAULT_POLICY.read_text()
    classes = text[: text.index("routes:")]
    stays = "[PHI, NPI, PRIVILEGED, TRADE_SECRET, CREDENTIALS, UNSCANNABLE, PII, CLEAN]"
    (tmp_path / "new.yaml").write_text(classes + f"routes:\n  - {{when: {stays}, lanes: [local]}}\ndefault: held\n")
    said = cli("policy", "diff", digest[:12], tmp_path / "new.yaml", "--ledger", finished_night.ledger, "--format", "json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    moved = [row for row in rows if row["change"] == "moved"]
    assert [(row["endpoint_old"], row["endpoint_new"], row["classes_new"], row["records"]) for row in moved] == [
        ("emulator", "extractive", ["CLEAN"], 3)
    ]
    assert not [row for row in rows if row["change"] == "cannot tell"]
    assert {row["lane_new"] for row in rows if row["change"] == "same"} == {"local", "held"}
    assert sum(row["records"] for row in rows) == 8
