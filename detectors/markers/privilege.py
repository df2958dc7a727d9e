"""Privilege: headings, work product, counsel among the participants, advice asked or given (FRE 502; FRCP 26(b)(3))."""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.markers.footer import in_footer
from detectors.markers.marker import phrase_marker, question_marker
from detectors.normalized import Normalized

HEADER = (
    "attorney client privilege|attorney client privileged|attorney client communication|attorney client communications",
    "attorney client confidential",
    "privileged and confidential|confidential and privileged|privileged confidential|privileged communication|legally privileged",
    "privileged attorney",
    "legal professional privilege|legal advice privilege|subject to privilege|solicitor client|lawyer client|privileged material",
    "privileged memo|under privilege",
    "attorney work product|attorney's eyes only|attorneys eyes only",
)
WORK_PRODUCT = (
    "attorney work product|work product",
    "in anticipation of litigation|anticipation of litigation|prepared for litigation",
    "at the direction of counsel|at counsel's direction|at the request of counsel|at counsel's request|at the direction of legal",
    "prepared for counsel",
    "direction of our attorneys|direction of outside counsel|taken by counsel|requested by counsel",
    "mental impressions|litigation hold notice|case assessment|early case assessment",
)
# "The work product doctrine" is what judgments and articles discuss.
DOCTRINE = re.compile(r"\s*(?:doctrine|protection|rule|privilege|immunity|claims?\b)")
ADVICE = (
    "legal advice|my legal advice|my advice|our advice|advice of counsel|your advice|seek advice|legal opinion|legal position|legal view",
    "we advise|i advise|we would advise|i would advise|we recommend that you|i recommend that you|advise against|we strongly advise",
    "in our opinion|in my opinion|in our view|in my view|you asked for our view|you asked for my view|you asked whether",
    "you asked us whether|our assessment is",
    "need your advice|please advise whether|can you advise|could you advise|can you tell us whether|are we exposed|our exposure",
    "your exposure|are we liable",
    "should we disclose|must we disclose|must we keep|do we have to disclose|are we allowed to|can we legally|is it legal",
    "is this legal|what are our options|legal risk",
    "from a legal standpoint|from a legal perspective|legal question|would we prevail|chances of success|likelihood of success",
    "settlement authority|reserve the right to sue",
)
NOT_ADVICE = re.compile(r"(?:not|nor|no|never|without)(?: \w+){0,4} $|(?:consult|contact|seek)(?: \w+){0,5} $")
HEADER_LINE = re.compile(r"(?mi)^[ \t>]{0,6}(?:from|to|cc|bcc|sent by|reply-to|on behalf of)[ \t]{0,3}:([^\n]{0,2000})")
PARTICIPANT = re.compile(
    r"(?i)\bl\.?l\.?p\b|\besq(?:uire|\.|\b)|\b(?:general|associate|assistant|deputy|senior|corporate|outside|in-house|litigation"
    r"|legal) counsel\b|\bcounsel\b"
    r"|\battorneys?\b|\blaw (?:firm|offices?|group|chambers)\b|[,&] ?[A-Z][\w'-]+ (?:&|and) (?:partners|associates)\b"
    r"|& (?:partners|associates)\b|\blawyers?\b|\bsolicitors?\b|\blegal (?:department|dept|team)\b|@[\w.-]{0,60}(?:law|legal|llp"
    r"|attorney|counsel|solicitor|advocat)[\w-]{0,30}\."
)
SIGNATURE_WORDS = 9
SIGNATURE = re.compile(
    r"(?i)(?:\b(?:general|associate|assistant|deputy|senior|corporate|outside|in-house|litigation|staff|employment"
    r"|regulatory) counsel|\bcounsel"
    r"|\battorney(?:s)?(?: at law)?|\bchief legal officer|\b(?:partner|associate), [^\n]{0,60}\bllp|\bllp|,? esq(?:uire)?\.?"
    r"|\bsolicitor|\bbarrister|\blegal department)"
    r"[ \t.,)]{0,3}$"
)


def detectors() -> tuple[Detector, ...]:
    """privilege_header, work_product, counsel_participant, advice."""
    return (
        phrase_marker("privilege_header", HEADER, counts=lambda text, start, end: not in_footer(text, start, end)),
        phrase_marker("work_product", WORK_PRODUCT, counts=_work_product),
        question_marker("counsel_participant", _counsel),
        phrase_marker("advice", ADVICE, counts=_advice),
    )


def _work_product(text: Normalized, start: int, end: int) -> bool:
    return not in_footer(text, start, end) and DOCTRINE.match(text.lowered, end) is None


def _advice(text: Normalized, start: int, end: int) -> bool:
    """Not "this is not legal advice", and not in a footer."""
    return not in_footer(text, start, end) and NOT_ADVICE.search(text.lowered[max(0, start - 60) : start]) is None


def _counsel(text: Normalized) -> bool:
    if text.label and text.label[-1] in {"from", "to", "cc", "bcc", "sender", "author", "recipients", "reply"}:
        return PARTICIPANT.search(text.text) is not None
    if any(PARTICIPANT.search(match.group(1)) for match in HEADER_LINE.finditer(text.text)):
        return True
    if text.vocabulary.isdisjoint({"counsel", "attorney", "attorneys", "llp", "esq", "esquire", "solicitor", "barrister", "legal"}):
        return False
    return any(_signs(line) for line in text.text.split("\n"))


def _signs(line: str) -> bool:
    """A short line that is a signature or a letterhead: it ends in the office or the firm."""
    line = line.strip(" \t>*-|\r")
    return bool(line) and len(line.split()) <= SIGNATURE_WORDS and SIGNATURE.search(line) is not None
