"""National identity, tax and health-insurance numbers of other countries: Presidio's recognizers that are off by default.

All give NATIONAL_ID. A check digit stands behind nearly all of them; where nine or eleven plain digits
would pass it by chance, or there is none, a word nearby must say what the number is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detectors.detector import NOTHING, Detector, entity_kind
from detectors.document import Evidence, EvidenceKind
from detectors.normalized import Normalized
from detectors.pattern import digits_of, luhn
from detectors.presidio import PresidioDetector, predefined
from detectors.screen import Screen

NAME = "national_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One country's number. words: of which one stands near it; none where its shape and check digit are enough."""

    name: str
    recognizer: str
    entity: str
    shape: str
    digits: int
    words: str = ""
    refuse: Callable[[str], bool] | None = None


def _not_luhn(value: str) -> bool:
    return not luhn(digits_of(value))


KINDS = (
    Kind(name="ca_sin", recognizer="CaSinRecognizer", entity="CA_SIN", shape=r"[1-79]\d{2}[- ]?\d{3}[- ]?\d{3}", digits=9,
         words="sin insurance canada canadian nas", refuse=_not_luhn),
    Kind(name="au_tfn", recognizer="AuTfnRecognizer", entity="AU_TFN", shape=r"\d{3} ?\d{3} ?\d{3}", digits=9, words="tfn file australian"),
    Kind(name="au_medicare", recognizer="AuMedicareRecognizer", entity="AU_MEDICARE", shape=r"[2-6]\d{3} ?\d{5} ?\d", digits=10,
         words="medicare irn"),
    Kind(name="in_aadhaar", recognizer="InAadhaarRecognizer", entity="IN_AADHAAR", shape=r"\d{4}[- :]?\d{4}[- :]?\d{4}", digits=12,
         words="aadhaar aadhar uidai uid"),
    Kind(name="in_pan", recognizer="InPanRecognizer", entity="IN_PAN", shape=r"[A-Za-z]{3}[ABCFGHJLPTabcfghjlpt][A-Za-z]\d{4}[A-Za-z]",
         digits=4, words="pan permanent"),
    Kind(name="sg_nric", recognizer="SgFinRecognizer", entity="SG_NRIC_FIN", shape=r"[STFGM]\d{7}[A-Z]", digits=7,
         words="nric fin singapore"),
    Kind(name="es_nif", recognizer="EsNifRecognizer", entity="ES_NIF", shape=r"\d{7,8}-?[A-Z]", digits=7, words="dni nif spain spanish"),
    Kind(name="es_nie", recognizer="EsNieRecognizer", entity="ES_NIE", shape=r"[XYZ]\d{7}-?[A-Z]", digits=7, words="nie spain spanish"),
    Kind(name="it_fiscal_code", recognizer="ItFiscalCodeRecognizer", entity="IT_FISCAL_CODE",
         shape=r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", digits=1),
    Kind(name="pl_pesel", recognizer="PlPeselRecognizer", entity="PL_PESEL", shape=r"\d{11}", digits=11, words="pesel"),
    Kind(name="fi_hetu", recognizer="FiPersonalIdentityCodeRecognizer", entity="FI_PERSONAL_IDENTITY_CODE",
         shape=r"\d{6}[-+A-FYXWVU]\d{3}[0-9A-Y]", digits=9, words="hetu finnish finland identity personal"),
    Kind(name="se_personnummer", recognizer="SePersonnummerRecognizer", entity="SE_PERSONNUMMER", shape=r"(?:\d{2})?\d{6}[-+]?\d{4}",
         digits=10, words="personnummer swedish sweden identity personal"),
    Kind(name="kr_rrn", recognizer="KrRrnRecognizer", entity="KR_RRN", shape=r"\d{6}-?[1-4]\d{6}", digits=13,
         words="rrn korean korea resident"),
    Kind(name="th_tnin", recognizer="ThTninRecognizer", entity="TH_TNIN", shape=r"[1-9]\d{12}", digits=13, words="thai thailand tnin"),
    Kind(name="tr_kimlik", recognizer="TrNationalIdRecognizer", entity="TR_NATIONAL_ID", shape=r"[1-9]\d{10}", digits=11,
         words="kimlik tckn turkish turkey tc"),
    Kind(name="za_id", recognizer="ZaIdNumberRecognizer", entity="ZA_ID_NUMBER", shape=r"\d{10}[0-2][89]\d", digits=13,
         words="id identity rsa african"),
    Kind(name="ng_nin", recognizer="NgNinRecognizer", entity="NG_NIN", shape=r"\d{11}", digits=11, words="nin nimc nigeria nigerian"),
    Kind(name="de_tax_id", recognizer="DeTaxIdRecognizer", entity="DE_TAX_ID", shape=r"[1-9]\d{10}", digits=11,
         words="steuer steuerid steueridentifikationsnummer idnr german germany"),
    Kind(name="uk_driving_licence", recognizer="UkDrivingLicenceRecognizer", entity="UK_DRIVING_LICENCE",
         shape=r"[A-Z9]{5}\d[0156]\d[0-3]\d{2}[A-Z9]{2}[A-Z0-9][A-Z]{2}", digits=5),
)  # fmt: skip


class NationalNumbers:
    """All of them at once: which are looked for at all is settled by the words and digits of a text."""

    name = NAME
    version = "1"
    cost = 3
    provides: frozenset[EvidenceKind] = frozenset({entity_kind("NATIONAL_ID")})
    screen = Screen(digits=min(kind.digits for kind in KINDS))

    def __init__(self) -> None:
        self._kinds = tuple((kind, frozenset(kind.words.split()), _recognizer(kind)) for kind in KINDS)

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Ask the recognizers whose words occur."""
        return [self._look(text) for text in texts]

    def _look(self, text: Normalized) -> Evidence:
        evidence = NOTHING
        for kind, words, recognizer in self._kinds:
            if text.most_digits >= kind.digits and (not words or not words.isdisjoint(text.vocabulary) or not words.isdisjoint(text.label)):
                found = recognizer.detect([text])[0]
                evidence = evidence.merge(found) if found.findings or found.failures else evidence
        return evidence


def _recognizer(kind: Kind) -> PresidioDetector:
    return PresidioDetector(
        name=NAME,
        recognizer=predefined(kind.recognizer),
        entities={kind.entity: "NATIONAL_ID"},
        candidates=rf"(?<![\w-])(?:{kind.shape})(?![\w-])",
        digits=kind.digits,
        context=kind.words.split(),
        needs_context=bool(kind.words),
        refuse=kind.refuse,
    )


def detector() -> Detector:
    """NATIONAL_ID."""
    return NationalNumbers()
