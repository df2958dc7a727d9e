"""Privilege: headings, work product, counsel among the participants, advice asked or given (FRE 502; FRCP 26(b)(3))."""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.lines import LONGEST_HEADING, is_heading, line_of
from detectors.markers.footer import in_footer
from detectors.markers.marker import phrase_marker, question_marker
from detectors.markers.persons import TALKING
from detectors.normalized import WORD, Normalized

HEADER = (
    "attorney client privilege|attorney client privileged|attorney client communication|attorney client communications",
    "attorney client confidential|confidential attorney|attorney confidential|attorney privileged|attorney client",
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
    "common interest material|common interest agreement|common interest privilege|joint defence agreement|joint defense agreement",
    "joint defense privilege|prepared for the defence|prepared for the defense|prepared for trial|memo to file|memorandum to file",
    "mental impressions|litigation hold notice|case assessment|early case assessment",
)
STANDING_WORDS = 14
OPENS = re.compile(r"(?:^|\n)[ \t>*#\[(_=-]{0,12}$")
HEADS = frozenset(("", ".", ":", ";", ",", "\n", "\r", "|", ")", "]", "*", "_", "-", "/"))
"""What may follow a phrase that opens a line and stands for itself."""
SAID_OF_THIS = re.compile(
    r"\b(?:this|these|the following|the attached|the enclosed|what follows|below)\b[^.!?\n]{0,60}$|\b(?:treat|keep|consider|mark|"
    r"marked|regard|"
    r"protected|stamped|labell?ed)\b[^.!?\n]{0,40}$"
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
    "settlement authority|reserve the right to sue|authority to settle|settle for|if they offer",
    "our odds|your odds|our chances|your chances|odds at|strength of our case|weakness in our case|on balance i",
    "come after us|come after you|sue us|can they sue|could they sue|can we sue|on the hook|open us up|expose us",
    "they'd probably win|they would probably win|we'd lose|we would lose|we'd be invalid|we'd be liable|we would be liable",
    "have to hand over|may i talk to|am i allowed|are we obliged|do we have to|what do we have to|what can we say|what should i say",
    "can't recommend|cannot recommend|i recommend that|we recommend that|i would not volunteer|i would not sign|don't sign",
    "let's not raise|don't comment|do not comment|don't answer|do not answer their|don't touch the|not to touch|told them not to",
    "counsel's thinking|counsel thinks|counsel says|legal says|legal thinks|legal's draft|our lawyers|the lawyers think",
    "client says|client said|client should|client wants|our client|advised client|advised the client|call with client|call w client",
    "prudent to advise|advise you that|advise you to|advised you to|i'd advise|my view is",
    "recommend reserve|expect to be found|verdict would|a jury will|a jury would|any tribunal would|the judge will|the judge would",
    "can we live with|indemnify them|please review the attached agreement|please review the contract",
    "legal analysis|legal research|legal strategy|litigation strategy|our arguments|our defences|our defenses|draft answer|draft reply",
    "comments on the brief|comments on the pleading|comments on the draft complaint|draft of the motion|draft brief",
    "how exposed are|are we exposed|should i delete|what happens if they|what happens if we|can we close",
    "can we fire|can we dismiss|can we let",
    "do we need to notify|whether we need to notify|for your advice|per your instruction|worst they can do",
    "a court could|a court would|a court might",
    "without prejudice|make an offer before|his lawyer says|her lawyer says|their lawyer says|before i send this",
    "weak spot|do not reply yourself",
    "design around it|take a license|attorney notes|notes for counsel|barrister's note|counsel's note",
    "solicitor's note|her advice is|his advice is",
    "litigation file|opposing counsel|plaintiff's counsel will|our weak point|they have more to lose",
    "call him as a witness|call her as a witness",
    "honest view|narrow the claim|narrow to the|limitation period",
)
NOT_ADVICE = re.compile(r"(?:not|nor|no|never|without)(?: \w+){0,4} $|(?:consult|contact|seek)(?: \w+){0,5} $")
HEADER_LINE = re.compile(r"(?mi)^[ \t>]{0,6}(?:from|to|cc|bcc|sent by|reply-to|on behalf of)[ \t]{0,3}:([^\n]{0,2000})")
PARTICIPANT = re.compile(
    r"(?i)\bl\.?l\.?p\b|\besq(?:uire|\.|\b)|\b(?:general|associate|assistant|deputy|senior|corporate|outside|in-house|litigation"
    r"|legal) counsel\b|\bcounsel\b"
    r"|\battorneys?\b|\blaw (?:firm|offices?|group|chambers)\b|[,&] ?[A-Z][\w'-]+ (?:&|and) (?:partners|associates)\b"
    r"|& (?:partners|associates)\b|\blawyers?\b|\bsolicitors?\b|\blegal (?:department|dept|team|affairs|services|counsel)\b|\(legal\)|"
    # Law firms by their domains; not lawns, Lawrence or Delaware, and not counselling.
    r"\blegal@|@[\w.-]{0,60}(?:(?<!f)(?<!c)(?<!de)(?<!out)law(?!n|rence|ton|son|ler|suit|i\b)|legal|llp"
    r"|attorney|counsel(?!l?ing|l?or)|solicitor|advocat|barrister)[\w-]{0,30}\."
)
SIDES = TALKING - {"client", "client's"}
SENTENCE = 200
STOP = re.compile(r"[.!?;](?:\s|$)|\n\s*\n")
SALUTATION = re.compile(
    r"(?i)(?:^|\n)[ \t>]{0,4}(?:hi|hello|dear|hey|to)[ \t,:]{1,2}(?:[\w.]{1,20} )?(?:legal|counsel|lawyers?|attorneys?|solicitors?)\b"
)
SALUTATION_REACH = 3_000
SIGNATURE_REACH = 80
SIGNATURE_WORDS = 9
SIGNATURE = re.compile(
    r"(?i)(?:\b(?:general|associate|assistant|deputy|senior|corporate|outside|in-house|litigation|staff|employment"
    r"|regulatory) counsel|\bcounsel"
    r"|\battorney(?:s)?(?: at law)?|\bchief legal officer|\b(?:partner|associate), [^\n]{0,60}\bllp|\bllp|,? esq(?:uire)?\.?"
    r"|\bsolicitor|\bbarrister|\blegal department|\blegal team|\blegal affairs|\(legal\))"
    r"[ \t.,)]{0,3}$"
)


def detectors() -> tuple[Detector, ...]:
    """privilege_header, work_product, counsel_participant, advice."""
    return (
        phrase_marker("privilege_header", HEADER, counts=_standing),
        phrase_marker("work_product", WORK_PRODUCT, counts=_work_product),
        question_marker("counsel_participant", _counsel),
        phrase_marker("advice", ADVICE, counts=_advice),
    )


def _standing(text: Normalized, start: int, end: int) -> bool:
    """A heading, or a line of its own, or said of this paper; not what a judgment or an article discusses, and not a footer."""
    if in_footer(text, start, end):
        return False
    if text.text[start:end].isupper() or is_heading(text, start, end):
        return True
    if OPENS.search(text.text[max(0, start - 40) : start]) and text.text[end : end + 2].strip(" \t")[:1] in HEADS:
        return True
    line = line_of(text.text, start)
    if (
        len(line) <= LONGEST_HEADING
        and len(line.split()) <= STANDING_WORDS
        and line.strip(" \t>*#-[(_=\r").lower().startswith(text.lowered[start:end])
    ):
        return True
    return SAID_OF_THIS.search(text.lowered[max(0, start - 90) : start]) is not None or text.text[start - 1 : start] in {"[", "("}


def _work_product(text: Normalized, start: int, end: int) -> bool:
    return not in_footer(text, start, end) and DOCTRINE.match(text.lowered, end) is None


def _advice(text: Normalized, start: int, end: int) -> bool:
    """Between two sides ("our exposure", "you asked for advice"), not "this is not legal advice", and not in a footer."""
    if in_footer(text, start, end) or NOT_ADVICE.search(text.lowered[max(0, start - 60) : start]):
        return False
    low, high = max(0, start - SENTENCE), min(len(text.lowered), end + SENTENCE)
    before = STOP.split(text.lowered[low:start])[-1]
    after = STOP.split(text.lowered[end:high])[0]
    return not SIDES.isdisjoint(WORD.findall(f"{before} {text.lowered[start:end]} {after}"))


def _counsel(text: Normalized) -> bool:
    if text.label and text.label[-1] in {"from", "to", "cc", "bcc", "sender", "author", "recipients", "reply"}:
        return PARTICIPANT.search(text.text) is not None
    if any(PARTICIPANT.search(match.group(1)) for match in HEADER_LINE.finditer(text.text)):
        return True
    if text.vocabulary.isdisjoint({"counsel", "attorney", "attorneys", "llp", "esq", "esquire", "solicitor", "barrister", "legal"}):
        return False
    if SALUTATION.search(text.text[:SALUTATION_REACH]) or SIGNATURE.search(text.text[-SIGNATURE_REACH:].rstrip()):
        return True
    return any(_signs(line) for line in text.text.split("\n"))


def _signs(line: str) -> bool:
    """A short line that is a signature or a letterhead: it ends in the office or the firm."""
    line = line.strip(" \t>*-|\r")
    return bool(line) and len(line.split()) <= SIGNATURE_WORDS and SIGNATURE.search(line) is not None
