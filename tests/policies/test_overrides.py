"""Overrides: raising is free, lowering needs the policy, an approver's signature over this very thing, and a day that has not come."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from detectors.document import Evidence, Finding, Judgement
from policies.decide import decide
from policies.errors import PolicyFileError
from policies.load import parse_policy
from policies.model import Lane
from policies.overrides import LoweringRules, Override, OverrideError, Statement, check_lowering, in_force, public_key, raised
from policies.yaml_value import Source
from tests.policies.random_policy import examples

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
APPROVER, STRANGER = Ed25519PrivateKey.from_private_bytes(b"a" * 32), Ed25519PrivateKey.from_private_bytes(b"s" * 32)
RULES = LoweringRules(classes=frozenset({"PHI", "NPI"}), approvers={"mara": APPROVER.public_key().public_bytes_raw()}, max_days=90)
STATEMENT = Statement(
    ledger="waybill/00112233aabbccdd",
    record_id="r" + "0" * 24,
    document_hmac="d" * 32,
    data_class="PHI",
    reason="misread_form",
    expires=date(2026, 12, 22),
)

POLICY = """
version: 2026-11-22
evidence: complete
classes:
  PHI: {basis: "45 CFR 160.103", any: [{entity: MRN}]}
  NPI: {basis: "15 USC 6809", any: [{entity: IBAN}]}
  CREDENTIALS: {basis: "house rule", any: [{entity: KEY}]}
routes:
  - {when: [PHI, NPI, CREDENTIALS, UNSCANNABLE], lanes: [local]}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""
ALLOWED = """
overrides:
  lower:
    classes: [PHI, NPI]
    approvers: [{name: mara, key: "KEY"}]
    max_days: 90
""".replace("KEY", base64.b64encode(RULES.approvers["mara"]).decode())


def approved(statement: Statement = STATEMENT, *, key: Ed25519PrivateKey = APPROVER, seq: int = 1, at: datetime = NOW) -> Override:
    return Override(
        seq=seq,
        override_id=statement.override_id,
        record_id=statement.record_id,
        data_class=statement.data_class,
        lowers=True,
        reason=statement.reason,
        at=at,
        document_hmac=statement.document_hmac,
        expiry=datetime(statement.expires.year, statement.expires.month, statement.expires.day, tzinfo=UTC),
        approval="mara " + base64.b64encode(key.sign(statement.text().encode())).decode(),
    )


def raising(data_class: str, seq: int) -> Override:
    return Override(
        seq=seq, override_id=f"o{seq}", record_id=STATEMENT.record_id, data_class=data_class, lowers=False, reason="seen", at=NOW
    )


def counts(*overrides: Override, rules: LoweringRules | None = RULES, text: str = STATEMENT.document_hmac, now: datetime = NOW) -> set[str]:
    found = in_force(overrides, rules, ledger=STATEMENT.ledger, document_hmac=text, now=now)
    return {one.data_class for one in found}


def policy(extra: str = ALLOWED) -> str:
    return POLICY + extra


def load(text: str) -> object:
    return parse_policy(Source(name="policy.yaml", data=text.encode()))


def test_the_statement_has_one_form() -> None:
    assert STATEMENT.text() == (
        "waybill override v1\n"
        "ledger waybill/00112233aabbccdd\n"
        "record r000000000000000000000000\n"
        "document dddddddddddddddddddddddddddddddd\n"
        "lower PHI\n"
        "reason misread_form\n"
        "expires 2026-12-22\n"
    )


def test_an_approved_lowering_counts_until_its_day() -> None:
    assert check_lowering(approved(), RULES, ledger=STATEMENT.ledger, now=NOW) == "mara"
    assert counts(approved()) == {"PHI"}
    last = datetime(2026, 12, 21, 23, 59, 59, tzinfo=UTC)
    assert counts(approved(), now=last) == {"PHI"}
    assert counts(approved(), now=last + timedelta(seconds=1)) == set()


@pytest.mark.parametrize(
    ("override", "code"),
    [
        pytest.param(approved(key=STRANGER), "not_approved", id="another key"),
        pytest.param(replace(approved(), record_id="r" + "1" * 24), "not_approved", id="another record"),
        pytest.param(replace(approved(), document_hmac="e" * 32), "not_approved", id="another text"),
        pytest.param(replace(approved(), data_class="NPI"), "not_approved", id="another class"),
        pytest.param(replace(approved(), reason="because"), "not_approved", id="another reason"),
        pytest.param(replace(approved(), expiry=datetime(2027, 1, 1, tzinfo=UTC)), "not_approved", id="another day"),
        pytest.param(replace(approved(), expiry=datetime(2026, 12, 22, 6, tzinfo=UTC)), "not_approved", id="an hour"),
        pytest.param(replace(approved(), override_id="0" * 16), "not_approved", id="another id"),
        pytest.param(replace(approved(), approval=""), "not_approved", id="no signature"),
        pytest.param(replace(approved(), approval="mara !!!!"), "not_approved", id="no base64"),
        pytest.param(approved(replace(STATEMENT, document_hmac="")), "not_approved", id="no text"),
        pytest.param(approved(replace(STATEMENT, ledger="waybill/ffffffffffffffff")), "not_approved", id="another ledger"),
        pytest.param(approved(at=datetime(2026, 9, 1, tzinfo=UTC)), "too_long", id="too long"),
        pytest.param(approved(replace(STATEMENT, expires=date(2026, 11, 22))), "expired", id="expired"),
        pytest.param(replace(approved(), expiry=None), "expired", id="without a day"),
        pytest.param(approved(replace(STATEMENT, data_class="PRIVILEGED")), "not_allowed", id="class not allowed"),
        pytest.param(approved(replace(STATEMENT, data_class="UNSCANNABLE")), "never_lowered", id="UNSCANNABLE"),
        pytest.param(approved(replace(STATEMENT, data_class="CREDENTIALS")), "never_lowered", id="CREDENTIALS"),
    ],
)
def test_a_lowering_that_is_not_this_one_is_refused(override: Override, code: str) -> None:
    with pytest.raises(OverrideError) as refused:
        check_lowering(override, RULES, ledger=STATEMENT.ledger, now=NOW)
    assert refused.value.code == code
    assert counts(override) == set()


def test_what_the_policy_allowed_once_counts_no_more() -> None:
    assert counts(approved(), rules=None) == set()
    assert counts(approved(), rules=replace(RULES, classes=frozenset({"NPI"}))) == set()
    assert counts(approved(), rules=replace(RULES, approvers={"ines": STRANGER.public_key().public_bytes_raw()})) == set()
    assert counts(approved(), rules=replace(RULES, max_days=7)) == set()


def test_a_rule_that_lists_what_is_never_lowered_still_does_not() -> None:
    everything = replace(RULES, classes=frozenset({"UNSCANNABLE", "CREDENTIALS"}))
    assert counts(approved(replace(STATEMENT, data_class="UNSCANNABLE")), rules=everything) == set()


def test_it_counts_for_this_text_alone() -> None:
    assert counts(approved(), text="e" * 32) == set()


def test_who_came_last_counts() -> None:
    assert counts(approved(seq=1), raising("PHI", 2)) == set()
    assert counts(raising("PHI", 1), approved(seq=2)) == {"PHI"}
    assert counts(approved(seq=1), raising("NPI", 2)) == {"PHI"}
    assert raised([raising("PHI", 1), raising("NPI", 2), raising("PHI", 3), approved()]) == {"PHI": "o3", "NPI": "o2"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        pytest.param(ALLOWED.replace("[PHI, NPI]", "[PHI, UNSCANNABLE]"), "never lowered", id="UNSCANNABLE"),
        pytest.param(ALLOWED.replace("[PHI, NPI]", "[CREDENTIALS]"), "never lowered", id="CREDENTIALS"),
        pytest.param(ALLOWED.replace("max_days: 90", "max_days: 0"), "a number of days", id="no day"),
        pytest.param(ALLOWED.replace("    max_days: 90\n", ""), "mandatory", id="without max_days"),
        pytest.param(ALLOWED.replace('key: "', 'key: "AAAA'), "Ed25519 public key", id="no key"),
        pytest.param("overrides: {lower: {classes: [PHI], approvers: [], max_days: 3}}\n", "at least one approver", id="nobody"),
        pytest.param("overrides: {}\n", "mandatory", id="empty"),
    ],
)
def test_a_policy_that_cannot_mean_it_is_refused(extra: str, message: str) -> None:
    with pytest.raises(PolicyFileError, match=message):
        load(policy(extra))


def test_a_lowering_needs_complete_evidence() -> None:
    with pytest.raises(PolicyFileError, match="evidence: complete"):
        load(policy().replace("evidence: complete", "evidence: planned"))


def test_a_key_is_taken_bare_and_as_openssl_prints_it() -> None:
    key = APPROVER.public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key(base64.b64encode(der).decode()) == public_key(base64.b64encode(der[-32:]).decode()) == key.public_bytes_raw()
    assert public_key(base64.b64encode(der[1:]).decode()) == b""
    assert public_key("no key") == b""


def found(*entities: str, judged: str = "", failures: frozenset[str] = frozenset()) -> Evidence:
    loaded = parse_policy(Source(name="p", data=policy().encode()))
    findings = tuple(Finding(detector="d", entity=name, start=0, end=1, score=1.0) for name in entities)
    judgements = frozenset({Judgement(data_class=judged, model="m")} if judged else ())
    return Evidence(findings=findings, settled=loaded.kinds, judged=judgements, failures=failures)


@pytest.mark.parametrize(
    ("evidence", "classes"),
    [
        pytest.param(found("MRN"), ("CLEAN",), id="alone"),
        pytest.param(found("MRN", "IBAN"), ("NPI",), id="beside another"),
        pytest.param(found("MRN", judged="PHI"), ("CLEAN",), id="a model said so too"),
        pytest.param(found("MRN", judged="NPI"), ("NPI",), id="a model said another"),
        pytest.param(found("MRN", failures=frozenset({"timeout"})), ("UNSCANNABLE",), id="not scanned"),
        pytest.param(replace(found("MRN"), settled=frozenset()), ("PHI", "UNSCANNABLE"), id="scan stopped early"),
        pytest.param(found(), ("CLEAN",), id="nothing to lower"),
    ],
)
def test_only_the_one_class_is_taken_out(evidence: Evidence, classes: tuple[str, ...]) -> None:
    loaded = parse_policy(Source(name="p", data=policy().encode()))
    lowered = in_force([approved()], RULES, ledger=STATEMENT.ledger, document_hmac=STATEMENT.document_hmac, now=NOW)
    decision = decide("r", evidence, loaded, "d", lowered=lowered)
    assert set(decision.data_classes) <= set(classes)
    assert (Lane.CLOUD in decision.lanes) == (classes == ("CLEAN",))
    assert decision.lowered == (lowered if found("MRN").findings == evidence.findings[:1] and evidence.settled else ())


entered = st.builds(
    lambda data_class, lowers, key, days, text, record, ledger, seq, raw: replace(
        approved(
            replace(
                STATEMENT,
                data_class=data_class,
                document_hmac=text,
                record_id=record,
                ledger=ledger,
                expires=NOW.date() + timedelta(days=days),
            ),
            key=key,
            seq=seq,
        ),
        lowers=lowers,
        **({"approval": raw, "record_id": STATEMENT.record_id} if raw is not None else {"record_id": STATEMENT.record_id}),
    ),
    st.sampled_from(["PHI", "NPI", "CREDENTIALS", "UNSCANNABLE", "CLEAN", "PII"]),
    st.booleans(),
    st.just(STRANGER),
    st.integers(-10, 400),
    st.sampled_from(["d" * 32, "e" * 32, ""]),
    st.sampled_from([STATEMENT.record_id, "r" + "1" * 24]),
    st.sampled_from([STATEMENT.ledger, "waybill/ffffffffffffffff"]),
    st.integers(1, 50),
    st.sampled_from([None, "", "mara", "mara " + base64.b64encode(bytes(64)).decode()]),
)
foreign = st.sampled_from(
    [
        replace(approved(replace(STATEMENT, record_id="r" + "1" * 24)), record_id=STATEMENT.record_id),
        replace(approved(replace(STATEMENT, document_hmac="e" * 32)), document_hmac=STATEMENT.document_hmac),
        approved(replace(STATEMENT, ledger="waybill/ffffffffffffffff")),
        approved(replace(STATEMENT, expires=date(2026, 11, 1))),
        replace(approved(replace(STATEMENT, expires=date(2026, 11, 1))), expiry=datetime(2026, 12, 22, tzinfo=UTC)),
        approved(replace(STATEMENT, data_class="CREDENTIALS")),
        replace(approved(), data_class="NPI"),
    ]
)


@examples(150)
@given(
    overrides=st.lists(st.one_of(entered, foreign), max_size=8),
    entities=st.sets(st.sampled_from(["MRN", "IBAN", "KEY"])),
    failed=st.booleans(),
    allowed=st.booleans(),
)
def test_without_a_valid_approval_nothing_makes_lanes_wider(
    *, overrides: list[Override], entities: set[str], failed: bool, allowed: bool
) -> None:
    loaded = parse_policy(Source(name="p", data=policy(ALLOWED if allowed else "").encode()))
    evidence = found(*sorted(entities), failures=frozenset({"timeout"} if failed else ()))
    plain = decide("r", evidence, loaded, "d")
    lowered = in_force(overrides, loaded.lowering, ledger=STATEMENT.ledger, document_hmac=STATEMENT.document_hmac, now=NOW)
    overridden = decide("r", replace(evidence, declared=frozenset(raised(overrides))), loaded, "d", lowered=lowered)
    assert lowered == ()
    assert set(overridden.lanes) <= set(plain.lanes)
