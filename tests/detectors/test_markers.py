import pytest

import detectors
from detectors.detector import DetectorSet
from detectors.document import Document
from detectors.scan import scan

FOOTER = (
    "\n\nThis e-mail and any attachments may contain privileged and confidential information and attorney work product. If you are not the "
    "intended recipient, notify the sender and delete this message.\n"
)
CODE = "import os\n\ndef mix(a, b):\n    total = a + b;\n    return total\n\nclass Mixer(object):\n    size = 4\n"


@pytest.fixture(scope="module")
def loaded() -> DetectorSet:
    return detectors.load()


def markers(loaded: DetectorSet, text: str, metadata: dict[str, str] | None = None) -> frozenset[str]:
    return next(scan([Document(record_id="r", text=text, source="s", metadata=metadata or {})], loaded)).markers


RAISED = [
    ("privilege_header", "ATTORNEY-CLIENT PRIVILEGED AND CONFIDENTIAL\n\nThe lease has two weak clauses."),
    ("privilege_header", "Subject: Privileged & confidential - attorney-client privilege\n\nSee below."),
    ("work_product", "Attorney work product, in anticipation of litigation.\nWhat the crane driver remembers."),
    ("counsel_participant", "From: Jane Roe\nTo: Omar Diaz (Wray, Tolland & Birk LLP)\nSubject: lease\n\nHi"),
    ("counsel_participant", "From: jroe@harborlaw.com\nTo: odiaz@example.org\n\nDraft attached."),
    ("counsel_participant", "Ring when you can.\n\nIngrid Vaskor\nDeputy General Counsel\n"),
    ("counsel_participant", "To: Odile Brandt (Maddox Quill & Partners)\n\nHello"),
    ("advice", "Having read the lease twice, my legal advice is that you refuse the deposit."),
    ("advice", "Are we exposed if the ferry contract lapses, and what should we tell the port?"),
    ("proprietary_header", "# PROPRIETARY AND CONFIDENTIAL. Unauthorized copying of this file is prohibited.\n" + CODE),
    ("confidential_marking", "STRICTLY CONFIDENTIAL\nThe floor plan follows"),
    ("confidential_marking", "The supplier list (company confidential) stays in this building."),
    ("board_material", "Minutes of the executive committee, Thursday\nAttendees: Ilse Kern\nItem 1: the sale of the yard was agreed."),
    ("unreleased_financials", "Third-quarter earnings, unaudited, for insiders until Thursday: sales fell by a tenth; the embargo holds."),
    ("roadmap", "Product roadmap, confidential: the Plover line launches in autumn 2031 at a price of 74 a month."),
    ("secret_formula", "Proprietary recipe. Glaze 7: fire at 1180 C, hold 40 minutes; 12 percent ash."),
    ("source_code", CODE),
    ("open_licence", "Licensed under the Apache License, Version 2.0"),
    ("privilege_disclaimer", "Lunch on Friday?" + FOOTER),
    ("published_document", "FOR IMMEDIATE RELEASE\nHarbor Tools opens a store."),
    ("customer_relation", "Thank you for your payment on your loan."),
    ("person_table", "name,balance\nJane Roe,10\n"),
    ("finance_table", "name,balance\nJane Roe,10\n"),
    ("health_table", "patient | diagnosis | ward\nJane Roe | asthma | 4\n"),
    ("sensitivity_label", "Sensitivity: Company-Confidential\n\nHello"),
]


@pytest.mark.parametrize(("marker", "text"), [pytest.param(*case, id=f"{case[0]}-{index}") for index, case in enumerate(RAISED)])
def test_raised(loaded: DetectorSet, marker: str, text: str) -> None:
    assert marker in markers(loaded, text)


NOT_RAISED = [
    ("privilege_header", "Lunch on Friday?" + FOOTER),
    ("work_product", "Lunch on Friday?" + FOOTER),
    ("confidential_marking", "Lunch on Friday?" + FOOTER),
    ("privilege_header", "Counsel handed a privilege log to the clerk on the judge's order."),
    ("work_product", "The opinion discusses the work product doctrine at length."),
    ("advice", "This newsletter is not legal advice."),
    (
        "counsel_participant",
        "The city council met; counsel for the bakery told the judge that the list came too late, and the judge agreed with that.",
    ),
    ("confidential_marking", "He kept it confidential for years and then told everyone in a long and widely read book."),
    ("board_material", "The board approved the plan, the newspaper said."),
    ("unreleased_financials", "Revenue rose to 88 million in the second quarter, says the company's press release."),
    ("roadmap", "Our public roadmap says that version 4 ships in March."),
    ("secret_formula", "Roast the peppers at 210 C for 25 minutes; a recipe for four."),
    ("source_code", "We met at noon. The weather was fine; nobody minded."),
    ("person_table", "Lunch, then coffee\nand cake, they said\n"),
    ("person_table", "product name,price\nhammer,4\n"),
    ("sensitivity_label", "Sensitivity: Non-Confidential\n\nHello"),
    ("customer_relation", "The shop has many visitors."),
]


@pytest.mark.parametrize(("marker", "text"), [pytest.param(*case, id=f"{case[0]}-{index}") for index, case in enumerate(NOT_RAISED)])
def test_not_raised(loaded: DetectorSet, marker: str, text: str) -> None:
    assert marker not in markers(loaded, text)


def test_a_footer_cancels_only_what_stands_in_it(loaded: DetectorSet) -> None:
    found = markers(loaded, "PRIVILEGED AND CONFIDENTIAL\n\nWe advise you to settle." + FOOTER)
    assert {"privilege_header", "privilege_disclaimer"} <= found


def test_a_licence_below_a_proprietary_header_cancels_nothing(loaded: DetectorSet) -> None:
    found = markers(loaded, "# Proprietary and confidential\n# Parts under the MIT License\n" + CODE)
    assert {"proprietary_header", "open_licence"} <= found


@pytest.mark.parametrize(
    ("metadata", "marker"),
    [
        pytest.param({"msip_labels": "Confidential \\ Finance"}, "sensitivity_label", id="msip"),
        pytest.param({"sensitivity": "restricted"}, "sensitivity_label", id="sensitivity"),
        pytest.param({"from": "A. Hale <hale@harborlaw.com>"}, "counsel_participant", id="sender"),
        pytest.param({"subject": "Privileged and confidential"}, "privilege_header", id="subject"),
        pytest.param({"patient_name": "x"}, "person_table", id="column"),
    ],
)
def test_metadata(loaded: DetectorSet, metadata: dict[str, str], marker: str) -> None:
    assert marker in markers(loaded, "Hello there.", metadata)


def test_pieces_of_a_digest_do_not_make_one_paper(loaded: DetectorSet) -> None:
    apart = (
        "Revenue rose in the quarter.\n\n"
        + "Rain fell on the hills and the river. " * 60
        + "\n\nThe embargo on fruit ended; a draft was read."
    )
    together = "Draft: revenue for the quarter, under embargo."
    assert "unreleased_financials" not in markers(loaded, apart)
    assert "unreleased_financials" in markers(loaded, together)


def test_a_privilege_that_is_discussed_is_no_header(loaded: DetectorSet) -> None:
    prose = "Harlow claims the attorney-client privilege. The privilege protects what is said in confidence to a lawyer for legal advice."
    assert not markers(loaded, prose) & {"privilege_header", "advice"}
    assert "privilege_header" in markers(
        loaded, "Hello Ann,\n\nThis note is privileged and confidential, so please keep it to yourself.\n\nBo"
    )


@pytest.mark.parametrize("phrase", ["Privileged and confidential. ", "attorney-client privileged\n", "may be confidential "])
def test_a_phrase_without_end_is_looked_at_once(loaded: DetectorSet, phrase: str) -> None:
    found = markers(loaded, phrase * 4_000)
    assert "privilege_header" in found or phrase.startswith("may")
