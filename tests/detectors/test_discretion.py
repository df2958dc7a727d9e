import pytest

from detectors.detector import EachText
from detectors.markers import discretion, private_contact, relation
from detectors.normalize import normalize

CONSUMER = next(detector for detector in relation.detectors() if detector.name == "marker_consumer")
FOOTER = "\n\nThis message may be confidential. If you are not the intended recipient do not forward it, and delete this message."


def raised(detector: object, text: str) -> bool:
    assert isinstance(detector, EachText)
    return bool(detector.look(normalize(text)).markers)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Please don't show them the second sheet.", id="forbidden-telling"),
        pytest.param("Never mention the rebate to the dealer.", id="never"),
        pytest.param("Nobody outside the kiln crew has the numbers.", id="circle"),
        pytest.param("Keep this between us for now.", id="keep"),
        pytest.param("The tablet is not yet announced.", id="unannounced"),
        pytest.param("For directors only.", id="only"),
    ],
)
def test_measures_of_secrecy(text: str) -> None:
    assert raised(discretion.detector(), text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Don't forget to share your photos with us.", id="invitation"),
        pytest.param("The recipient shall not mention the other party in advertisements.", id="contract"),
        pytest.param("Lunch?" + FOOTER, id="footer"),
        pytest.param("We did not discuss the weather.", id="report"),
        pytest.param("Tell everybody about the fair.", id="no-negation"),
    ],
)
def test_no_measures(text: str) -> None:
    assert not raised(discretion.detector(), text)


def test_private_contact_is_not_a_signature() -> None:
    assert raised(private_contact.detector(), "Deliver it to my home, 12 Kiln Close, and ring me first.")
    assert not raised(private_contact.detector(), "Kind regards\nL. Karnes\nKarnes Upholstery, 14 Wharf Street\nPhone 555-0100")


def test_consumer_is_somebody_in_the_singular() -> None:
    assert raised(CONSUMER, "She owes two payments.")
    assert not raised(CONSUMER, "The company recorded higher interest income.")
