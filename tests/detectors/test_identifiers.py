import pytest

import detectors
from detectors.detector import BELIEVED, DetectorSet
from detectors.document import Document, Finding
from detectors.scan import scan


@pytest.fixture(scope="module")
def loaded() -> DetectorSet:
    return detectors.load()


def findings(loaded: DetectorSet, text: str, metadata: dict[str, str] | None = None) -> tuple[Finding, ...]:
    document = Document(record_id="r", text=text, source="s", metadata=metadata or {})
    return next(scan([document], loaded)).findings


HITS = [
    ("EMAIL_ADDRESS", "write to jane.roe@example.org today", "jane.roe@example.org"),
    ("URL", "see https://portal.example.org/x?id=1 now", "https://portal.example.org/x?id=1"),
    ("IP_ADDRESS", "login from 203.0.113.77 failed", "203.0.113.77"),
    ("IP_ADDRESS", "login from 2001:db8:85a3:0:0:8a2e:370:7334 failed", "2001:db8:85a3:0:0:8a2e:370:7334"),
    ("US_SSN", "it is 123-45-6789 as said", "123-45-6789"),
    ("US_SSN", "SSN: 123 45 6789", "123 45 6789"),
    ("US_SSN", "social security number is 123456789", "123456789"),
    ("US_SSN", "SSN xxx-xx-6789", "xxx-xx-6789"),
    ("US_SSN", "SSN 000-12-3456 (as typed)", "000-12-3456"),
    ("US_ITIN", "ITIN 912-78-1234 on file", "912-78-1234"),
    ("CREDIT_CARD", "paid with 4539 1488 0343 6467", "4539 1488 0343 6467"),
    ("CREDIT_CARD", "card number 2395286334599325 is lost", "2395286334599325"),
    ("CREDIT_CARD", "credit card ending in **** **** **** 4242", "**** **** **** 4242"),
    ("IBAN_CODE", "pay to GB82 WEST 1234 5698 7654 32 now", "GB82 WEST 1234 5698 7654 32"),
    ("IBAN_CODE", "my iban is gb42nawi04454264788619", "gb42nawi04454264788619"),
    ("ABA_ROUTING_NUMBER", "Routing: 269362327", "269362327"),
    ("ABA_ROUTING_NUMBER", "wire through bank 021000021 please", "021000021"),
    ("US_BANK_NUMBER", "checking account 000123456789", "000123456789"),
    ("ACCOUNT_NUMBER", "Account number: 636374928219", "636374928219"),
    ("ACCOUNT_NUMBER", "acct. no. 4417-8822-19", "4417-8822-19"),
    ("LOAN_NUMBER", "Loan #: LN-204518 is past due", "LN-204518"),
    ("POLICY_NUMBER", "Policy No. HO-12345678", "HO-12345678"),
    ("MEDICAL_RECORD_NUMBER", "MRN: 00261694", "00261694"),
    ("MEDICAL_RECORD_NUMBER", "Patient ID H218158", "H218158"),
    ("HEALTH_PLAN_NUMBER", "member ID BGD468398374", "BGD468398374"),
    ("US_MBI", "Medicare 1EG4-TE5-MK73", "1EG4-TE5-MK73"),
    ("US_NPI", "provider NPI 1234567893", "1234567893"),
    ("DEA_NUMBER", "DEA AB1234563", "AB1234563"),
    ("US_DRIVER_LICENSE", "Driver's License: D1234567", "D1234567"),
    ("US_PASSPORT", "passport no. 512345678", "512345678"),
    ("VIN", "car 1HGCM82633A004352 sold", "1HGCM82633A004352"),
    ("DEVICE_ID", "pacemaker serial number PX-4471902", "PX-4471902"),
    ("DEVICE_ID", "adapter 00:1B:44:11:3A:B7 up", "00:1B:44:11:3A:B7"),
    ("DEVICE_ID", "implant (01)00844588003288(17)141120(21)1234AB", "(01)00844588003288(17)141120(21)1234AB"),
    ("PHONE_NUMBER", "call (415) 555-0132 today", "(415) 555-0132"),
    ("PHONE_NUMBER", "Tel 420.361.6080", "420.361.6080"),
    ("PHONE_NUMBER", "reach us +44 20 7946 0958 now", "+44 20 7946 0958"),
    ("PHONE_NUMBER", "mobile: 0341 8387176", "0341 8387176"),
    ("STREET_ADDRESS", "at 742 Evergreen Terrace, Springfield", "742 Evergreen Terrace"),
    ("STREET_ADDRESS", "7032 Harmon Canyon, North Nicholas", "7032 Harmon Canyon"),
    ("STREET_ADDRESS", "send to P.O. Box 4417", "P.O. Box 4417"),
    ("ZIP", "Springfield, OR 97477", "OR 97477"),
    ("DATE_OF_BIRTH", "DOB: 03/14/1962", "03/14/1962"),
    ("DATE_OF_BIRTH", "born on March 14, 1962 in town", "March 14, 1962"),
    ("DATE_TIME", "seen on 2026-03-14 again", "2026-03-14"),
    ("UK_NHS", "NHS number 943 476 5919", "943 476 5919"),
    ("UK_NINO", "her NI number AB 12 34 56 C", "AB 12 34 56 C"),
]


@pytest.mark.parametrize(("entity", "text", "value"), [pytest.param(*hit, id=f"{hit[0]}-{index}") for index, hit in enumerate(HITS)])
def test_hits(loaded: DetectorSet, entity: str, text: str, value: str) -> None:
    found = [finding for finding in findings(loaded, text) if finding.entity == entity]
    assert value in {text[finding.start : finding.end] for finding in found}
    assert all(BELIEVED <= finding.score <= 1 for finding in found)


NEAR_MISSES = [
    ("EMAIL_ADDRESS", "meet @ noon, a@b, user@localhost"),
    ("US_SSN", "part 123-45-67890 or 1123-45-6789"),
    ("US_SSN", "never issued: 000-12-3456, 666-12-3456, 912-12-3456, 123-00-4567, 123-45-0000"),
    ("US_SSN", "call 123 45 6789 widgets"),
    ("CREDIT_CARD", "order 4539148803436468 shipped"),
    ("CREDIT_CARD", "test card 4111 1111 1111 1111 and 4242424242424242, amex 378282246310005"),
    ("CREDIT_CARD", "card number 0000 0000 0000 0000"),
    ("IBAN_CODE", "reference GB82 WEST 1234 5698 7654 33 failed"),
    ("IBAN_CODE", "is there any more that they said with them"),
    ("ABA_ROUTING_NUMBER", "invoice 021000021 for tiles"),
    ("ACCOUNT_NUMBER", "on account of 2026 and the 12 others"),
    ("ACCOUNT_NUMBER", "accounts receivable rose 12 percent"),
    ("LOAN_NUMBER", "a loan of $5,000 over 36 months"),
    ("MEDICAL_RECORD_NUMBER", "Mr. 5 and the chart of 2019"),
    ("US_MBI", "model 1EG4-TE5-MK7"),
    ("US_NPI", "ticket 1234567893 closed"),
    ("US_NPI", "provider NPI 1234567890"),
    ("DEA_NUMBER", "part AB1234567"),
    ("VIN", "hash 1HGCM82633A004353 differs"),
    ("VIN", "12345678901234567"),
    ("US_PASSPORT", "passport control opens at 6"),
    ("US_DRIVER_LICENSE", "license fees rose 12 percent"),
    ("IP_ADDRESS", "version 1.2.3.4.5, time 12:30:45, host 127.0.0.1"),
    ("PHONE_NUMBER", "between 1990-1995 and 2001-2006, total 1234567890"),
    ("STREET_ADDRESS", "in 2026 Road works cost 12 million"),
    ("ZIP", "it took 97477 steps"),
    ("DATE_OF_BIRTH", "a star is born on stage"),
    ("UK_NHS", "order 943 476 5919 shipped"),
    ("UK_NINO", "part QQ 12 34 56 C and BG 12 34 56 A"),
    ("DEVICE_ID", "serial killer drama of 2019"),
]


@pytest.mark.parametrize(("entity", "text"), [pytest.param(*miss, id=f"{miss[0]}-{index}") for index, miss in enumerate(NEAR_MISSES)])
def test_near_misses(loaded: DetectorSet, entity: str, text: str) -> None:
    assert [finding for finding in findings(loaded, text) if finding.entity == entity] == []


TABLE = "name,ssn,account,dob,balance\nJane Roe,123456789,44178822,03/14/1962,120.50\nOmar Diaz,987654321,55178822,04/15/1971,9.00\n"


def test_a_header_is_the_label_of_its_column(loaded: DetectorSet) -> None:
    found = {(finding.entity, TABLE[finding.start : finding.end]) for finding in findings(loaded, TABLE)}
    assert {
        ("PERSON", "Omar Diaz"),
        ("US_SSN", "987654321"),
        ("ACCOUNT_NUMBER", "55178822"),
        ("DATE_OF_BIRTH", "04/15/1971"),
    } <= found


@pytest.mark.parametrize(
    ("name", "value", "entity"),
    [
        pytest.param("ssn", "123456789", "US_SSN", id="ssn"),
        pytest.param("account_number", "44178822", "ACCOUNT_NUMBER", id="account"),
        pytest.param("customer_name", "jane roe", "PERSON", id="name"),
        pytest.param("from", "Jane Roe <jane@example.org>", "EMAIL_ADDRESS", id="sender"),
    ],
)
def test_metadata_fields_are_labels_and_are_scanned(loaded: DetectorSet, name: str, value: str, entity: str) -> None:
    found = [finding for finding in findings(loaded, "Nothing here.", {name: value}) if finding.entity == entity]
    assert [finding.part for finding in found][:1] == [f"metadata.{name}"]


OBFUSCATED = {
    "zero-width": "SSN 123\u200b-45\u200b-67\u200b89",
    "spaced": "SSN: 1 2 3  4 5  6 7 8 9",
    "base64": "MTIzLTQ1LTY3ODk=",
    "homoglyph-label": "\u0405\u0405N 123456789",
    "spelled": "social security: one two three four five six seven eight nine",
    "percent": "?id=123%2D45%2D6789",
    "line-broken": "SSN 123-45-\n  6789",
    "full-width": "\uff11\uff12\uff13-\uff14\uff15-\uff16\uff17\uff18\uff19",
}


@pytest.mark.parametrize("text", OBFUSCATED.values(), ids=OBFUSCATED.keys())
def test_an_obfuscated_number_is_found(loaded: DetectorSet, text: str) -> None:
    assert "US_SSN" in {finding.entity for finding in findings(loaded, text)}
