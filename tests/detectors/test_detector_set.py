import importlib
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import detectors
from detectors import registry
from detectors.detector import EachText, marker_kind
from detectors.document import Document, Evidence
from detectors.errors import ConfigurationError
from detectors.scan import scan

HEAVY = ("spacy", "presidio_analyzer", "phonenumbers", "py3langid", "names", "detect_secrets", "numpy", "duckdb", "prefect")
EXPECTED_ENTITIES = {
    "PERSON", "EMAIL_ADDRESS", "PHONE_NUMBER", "US_SSN", "US_ITIN", "CREDIT_CARD", "IBAN_CODE", "ABA_ROUTING_NUMBER", "US_BANK_NUMBER",
    "ACCOUNT_NUMBER", "LOAN_NUMBER", "POLICY_NUMBER", "MEDICAL_RECORD_NUMBER", "HEALTH_PLAN_NUMBER", "US_MBI", "US_NPI", "DEA_NUMBER",
    "US_DRIVER_LICENSE", "US_PASSPORT", "VIN", "DEVICE_ID", "IP_ADDRESS", "URL", "STREET_ADDRESS", "ZIP", "DATE_OF_BIRTH", "DATE_TIME",
    "UK_NHS", "UK_NINO", "CREDENTIAL", "NATIONAL_ID", "LICENSE_PLATE", "CERTIFICATE_NUMBER", "BIOMETRIC_ID", "UNIQUE_CODE",
    "BED_NUMBER", "INITIALS", "AGE_OVER_89", "CRYPTO_WALLET",
}  # fmt: skip
EXPECTED_TOPICS = {"health", "care", "personal_finance", "legal_advice", "business_secrecy"}
EXPECTED_MARKERS = {
    "privilege_header", "work_product", "counsel_participant", "advice", "proprietary_header", "confidential_marking", "board_material",
    "unreleased_financials", "roadmap", "secret_formula", "source_code", "open_licence", "privilege_disclaimer", "published_document",
    "person_table", "finance_table", "health_table", "customer_relation", "sensitivity_label",
    "consumer", "secrecy_measure", "private_contact",
}  # fmt: skip


def plugin() -> EachText:
    return EachText(name="plugin", provides=frozenset({marker_kind("plugged")}), look=lambda _: Evidence(markers=frozenset({"plugged"})))


def broken_plugin() -> EachText:
    raise RuntimeError


def name_thief() -> EachText:
    return EachText(name="person", provides=frozenset({marker_kind("x")}), look=lambda _: Evidence())


def register(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    entry = metadata.EntryPoint(name="extra", value=f"{__name__}:{function}", group=detectors.ENTRY_POINTS)
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules[plugin.__module__])
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == detectors.ENTRY_POINTS else [])


def test_every_promised_kind_is_provided() -> None:
    expected = (
        {f"entity:{n}" for n in EXPECTED_ENTITIES} | {f"topic:{n}" for n in EXPECTED_TOPICS} | {f"marker:{n}" for n in EXPECTED_MARKERS}
    )
    assert detectors.load().kinds == expected


@pytest.mark.parametrize("family", ["identifiers", "markers", "topics"])
def test_no_detector_is_left_out_of_the_registry(family: str) -> None:
    folder = Path(detectors.__file__).with_name(family)
    modules = [importlib.import_module(f"detectors.{family}.{path.stem}") for path in folder.glob("[a-z]*.py")]
    made = {module.__name__ for module in modules if makes_detectors(module)}
    assert made
    assert made <= {module.__name__ for module in vars(registry).values() if isinstance(module, ModuleType)}


def makes_detectors(module: ModuleType) -> bool:
    """Whether it has a factory that needs nothing; what takes an argument is put in by `load`, such as the counsel directory."""
    factory = getattr(module, "detectors", None) or getattr(module, "detector", None)
    return inspect.isfunction(factory) and factory.__module__ == module.__name__ and not inspect.signature(factory).parameters


def test_a_module_in_the_registry_that_makes_nothing_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "listed_in_error", ModuleType("listed_in_error"), raising=False)
    with pytest.raises(AttributeError, match="listed_in_error"):
        detectors.load()


def test_detectors_are_ordered_by_cost_and_named_once() -> None:
    loaded = detectors.load().detectors
    assert [detector.cost for detector in loaded] == sorted(detector.cost for detector in loaded)
    assert len({detector.name for detector in loaded}) == len(loaded)


def test_importing_and_loading_is_light() -> None:
    script = f"import sys, detectors; detectors.load(); print([name for name in {HEAVY!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert answer.stdout.strip() == "[]"


def test_the_hash_is_stable_and_covers_sources_versions_and_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = detectors.load().hash
    assert plain == detectors.load().hash
    other = tmp_path / "extra.py"
    other.write_text("x = 1\n")
    with monkeypatch.context() as patch:
        patch.setattr(detectors, "_sources", lambda root: [root / "scan.py"])
        fewer = detectors.load().hash
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", lambda _: "0")
        versions = detectors.load().hash
    register(monkeypatch, "plugin")
    assert len({plain, fewer, versions, detectors.load().hash}) == 4


def test_a_plugin_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "plugin")
    loaded = detectors.load()
    assert "plugged" in next(scan([Document(record_id="r", text="hello there", source="s")], loaded)).markers


@pytest.mark.parametrize("function", ["broken_plugin", "name_thief"])
def test_a_bad_plugin_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    register(monkeypatch, function)
    with pytest.raises(ConfigurationError, match="uninstall"):
        detectors.load()


def test_a_pipeline_that_is_not_installed_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"en_nowhere_lg.*install it"):
        detectors.load(ner="en_nowhere_lg")


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Xanthippe"}, {"label": "GPE", "pattern": "Brumley"}])
    nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def test_a_configured_pipeline_names_entities_anywhere_in_a_long_text(pipeline: Path) -> None:
    loaded = detectors.load(ner=str(pipeline))
    text = "the walk was long and nobody minded it much. " * 900 + "then Xanthippe went to Brumley"
    found = next(scan([Document(record_id="r", text=text, source="s")], loaded)).findings
    named = {(finding.entity, text[finding.start : finding.end]) for finding in found if finding.detector == "named_entities"}
    assert named == {("PERSON", "Xanthippe"), ("LOCATION", "Brumley")}
    assert "entity:ORGANIZATION" in loaded.kinds


def test_the_hash_covers_the_pipeline(pipeline: Path) -> None:
    before = detectors.load(ner=str(pipeline)).hash
    (pipeline / "meta.json").write_text("{}")
    assert len({before, detectors.load(ner=str(pipeline)).hash, detectors.load().hash}) == 3


def test_a_pipeline_without_entities_fails_the_document_not_the_night(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    spacy.blank("en").to_disk(tmp_path / "empty")
    loaded = detectors.load(ner=str(tmp_path / "empty"))
    assert next(scan([Document(record_id="r", text="hello there", source="s")], loaded)).failures == {"detector_error:named_entities"}
