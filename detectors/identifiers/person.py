"""Names of persons (45 CFR 164.514(b)(2)(i)(A)) without a model: census names in sequence, and names behind a role or a title.

Three passes: Title Case, ALL CAPS and lower case. The last two have no capitals to lean on, so they believe only names that
are hardly ever another word. Role contexts ("Patient:", "Dear Mr", "Borrower:") also find names that no census lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from detectors.detector import Detector, EachText, collect, entity_kind
from detectors.document import Evidence, Finding
from detectors.identifiers.gazetteer import COMPANIES, NOT_SURNAME, Gazetteer, gazetteer
from detectors.identifiers.mentions import CAPITAL, mentions
from detectors.normalized import Normalized
from detectors.phrases import Phrases, listed

NAME = "person"
# A full stop belongs to an initial or a short title; behind a whole word it ends the sentence, and the name.
TOKEN = rf"(?:[{CAPITAL}]\.|(?:Jr|Sr|St|Wm|Chas|Geo)\.|[{CAPITAL}][\w'-]{{0,30}})"
SEQUENCE = re.compile(
    rf"(?<![\w'-])(?=[{CAPITAL}]){TOKEN}(?:,?[ \t]{{1,3}}(?:\n[ \t]{{0,3}})?(?:{TOKEN}|(?:de|da|van|von|der|bin|al|la|del|di)\b)){{1,7}}"
)
ONE = re.compile(rf"{TOKEN}|(?:de|da|van|von|der|bin|al|la|del|di)\b")
# What stands behind a title, a greeting, a closing, an introduction; and letters behind a name.
TITLED = re.compile(rf"(?:\.[ \t]{{0,2}}|[ \t]{{1,2}})(?P<name>[{CAPITAL}][\w'-]{{1,30}}(?:[ \t]{{1,2}}{TOKEN}){{0,2}})")
GREETED = re.compile(rf"[ \t,]{{1,2}}(?P<name>{TOKEN}(?:[ \t]{TOKEN}){{0,3}})")
CLOSED = re.compile(rf"[^\w\n]{{0,4}}(?:\n[ \t>]{{0,8}}){{0,4}}(?P<name>{TOKEN}(?:[ \t]{TOKEN}){{1,3}})")
INTRODUCED = re.compile(rf"[ \t]{{1,2}}(?P<name>{TOKEN}(?:[ \t]{TOKEN}){{1,2}})")
LETTERS = re.compile(
    r",[ \t]{0,2}(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|N\.?P\.?|PA-?C?|Ph\.?D\.?|DDS|DVM|CPA|Esq|Esquire|LCSW|PharmD|FACS|FACC|APRN|MSN|DPM|PT|OT"
    r"|CFP|JD)\b"
)
BEFORE_LETTERS = re.compile(rf"(?<![\w'-])(?P<name>{TOKEN}(?:[ \t]{TOKEN}){{0,3}})$")
LETTERS_REACH = 70
TITLES = listed("mr mrs ms miss mx dr prof sr sra rev hon")
GREETINGS = Phrases.of(("dear|hi|hello|hey|good morning|good afternoon|good evening",))
CLOSINGS = Phrases.of(
    ("sincerely|regards|yours truly|yours|respectfully|best wishes|cordially|yours faithfully|signed|signature|many thanks|warmly",)
)
INTRODUCTIONS = Phrases.of(("my name is|name is|i am|i'm|this is",))

ROLES = Phrases.of(
    (
        "patient|patient name|name of patient|pt|pt name|name|full name|legal name|last name|first name|surname|given name",
        "client|client name",
        "borrower|co borrower|borrower name|applicant|applicant name|co applicant|applicant's name|mortgagor|debtor|guarantor|co signer",
        "insured|insured name|policyholder|policy holder|member|member name|subscriber|subscriber name|enrollee|dependent",
        "claimant|claimant name",
        "customer|customer name|account holder|account name|account owner|cardholder|cardholder name|card holder|name on card",
        "payee|payer|payor",
        "beneficiary|beneficiary name|remitter|employee|employee name|taxpayer|donor|resident|tenant|student|guardian|mother",
        "father|spouse|wife",
        "husband|son|daughter|next of kin|emergency contact|contact|contact person|contact name|responsible party|parent|caregiver",
        "attending|attending physician|physician|provider|surgeon|assistant surgeon|anesthesiologist|doctor|pcp",
        "primary care provider|referring physician|referred by|ordering provider",
        "seen by|examined by|dictated by|signed by|electronically signed by|transcribed by|reviewed by|prepared by|prepared for",
        "authored by|interviewed by",
        "from|to|cc|bcc|attn|attention|re|regarding|subject|sent by|submitted by|witness|deponent|plaintiff|defendant|present",
        "attendees|owner|seller|buyer",
        "for mr|for ms|for mrs|bill to|ship to|sold to|deliver to|statement for|prepared exclusively for|on behalf of|care of",
    )
)
ROLE_VALUE = re.compile(
    rf"[ \t]{{0,3}}(?:\((?:s|print|printed)\)|'?s name| name)?[ \t*_]{{0,4}}[:=|\t#-][ \t|\"'*_]{{0,8}}(?:\n[ \t]{{0,4}})?"
    rf"(?P<name>(?:{TOKEN},?[ \t]{{0,2}}){{1,4}}|[a-z][a-z'-]{{1,20}},?[ ][a-z'-]{{1,20}}\b)(?P<rest>[^\n]?)"
)
NOT_NAMES = listed(
    "yes no none unknown denies reports states here she he it well okay ok hi hello good thank thanks sure right my i the a an "
    "what how when where "
    "and but so then that this all team sir madam customer member colleague colleagues friend friends editor valued patient "
    "parent parents hiring "
    "manager client homeowner cardholder applicant shareholder everyone folks doctor nurse date age sex gender address phone "
    "number id account "
    "type status see above below same as per not na n tbd confidential privileged attorney urgent request question update "
    "meeting review report "
    "summary invoice statement notice order loan policy claim new your our their fine great um uh oh yeah hmm just can could is "
    "are was were do did "
    "i'm i've it's that's there's don't they we you who why which if because maybe actually really please sorry absolutely of for with on "
    "services department office records human resources legal support accounts billing staff board committee council company "
    "corporation bank group"
)

PairSpan = tuple[int, int]


def detector() -> Detector:
    """All passes together: one look at the capitals, one at the words."""
    return EachText(name=NAME, provides=frozenset({entity_kind("PERSON")}), look=_look, cost=6)


def _look(text: Normalized) -> Evidence:
    names = gazetteer()
    passes = (_sequences, _contexts, _roles, _lower, _field, mentions)
    spans = {span for look in passes for span in look(text, names)}
    return collect(_findings(text, sorted(spans)))


def _findings(text: Normalized, spans: Iterable[tuple[PairSpan, float]]) -> Iterator[Finding]:
    last_end = -1
    for (start, stop), score in spans:
        span = start, stop - 1 if text.text[stop - 1] == "." else stop
        if span[0] >= last_end:
            last_end = span[1]
            yield text.finding(NAME, "PERSON", span, score)


def _plain(token: str) -> str:
    return token.strip(".,").lower().removesuffix("'s")


def _sequences(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """Runs of capitalised words: a given name and a surname in order, or `SURNAME, GIVEN`."""
    for match in SEQUENCE.finditer(text.text):
        tokens = [(token.group(), token.start() + match.start(), token.end() + match.start()) for token in ONE.finditer(match.group())]
        index = 0
        while index < len(tokens) - 1:
            last = _pair(text.text, tokens, index, names)
            if last:
                yield (tokens[index][1], tokens[last][2]), 0.85
            index = max(index + 1, last)


def _pair(text: str, tokens: list[tuple[str, int, int]], index: int, names: Gazetteer) -> int:
    """The index of the last word of the name that begins at `index`, or 0."""
    first, _, end = tokens[index]
    second = index + 1
    comma = text[end : end + 1] == ","
    if comma:
        surname, given = _plain(first), _plain(tokens[second][0])
        capitals = first.strip(",").isupper()
        strong = given in names.strong_given and surname in names.surnames and (capitals or surname not in names.ambiguous)
        return second if strong and capitals == tokens[second][0].strip(".").isupper() else 0
    while second < len(tokens) - 1 and (len(_plain(tokens[second][0])) == 1 or tokens[second][0].islower()):
        second += 1
    return second if _is_name(first, tokens[second][0], names) else 0


def _is_name(first: str, last: str, names: Gazetteer) -> bool:
    given, surname = _plain(first), _plain(last)
    parts = [part for part in surname.split("-") if len(part) > 2]  # noqa: PLR2004 - "Al-", "Wi-Fi"
    double = len(parts) > 1 and "-" in last.strip("-") and last.rsplit("-", maxsplit=1)[-1][:1].isupper()
    known_double = double and any(part in names.surnames for part in parts)
    if len(given) == 1:
        return known_double or surname in names.strong_surnames
    if f"{given} {surname}" in COMPANIES or surname in NOT_SURNAME or len(surname) < 2 or first.endswith("'s"):  # noqa: PLR2004
        return False
    if first.isupper() and last.isupper() and len(first) > 1:
        return given in names.strong_given and surname in names.surnames and surname not in names.ambiguous
    if known_double:
        return given not in names.ambiguous and given not in NOT_NAMES and given not in NOT_SURNAME
    return not (last.isupper() and len(surname) <= 4) and _listed(given, surname, names)  # noqa: PLR2004 - not an abbreviation


def _listed(given: str, surname: str, names: Gazetteer) -> bool:
    """Whether the lists make these a name: an unknown surname needs a given name that is hardly ever another word."""
    if surname in names.surnames:
        return given in names.common_given or (given in names.given and surname not in names.ambiguous)
    return given in names.strong_given and surname not in names.ambiguous and len(surname) > 2  # noqa: PLR2004


def _contexts(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """Names by what stands around them: a title, letters behind the name, a greeting, a closing."""
    for word in TITLES & text.vocabulary:
        for index in text.places[word]:
            start, end = text.spans[index]
            match = TITLED.match(text.text, end) if text.text[start].isupper() else None
            if match and _plain(match.group("name").split()[0]) not in NOT_NAMES:
                yield match.span("name"), 0.85
    for tail in LETTERS.finditer(text.text):
        low = max(0, tail.start() - LETTERS_REACH)
        match = BEFORE_LETTERS.search(text.text[low : tail.start()])
        if match:
            words = match.group("name").split()
            if not _words(match.group("name")) & NOT_NAMES and (len(words) > 1 or _plain(words[0]) in names.surnames):
                yield (low + match.start("name"), low + match.end("name")), 0.85
    for start, end, _ in GREETINGS.spans(text):
        match = GREETED.match(text.text, end) if text.text[max(0, start - 5) : start].strip(" \t>")[-1:] in {"", "\n"} else None
        if match:
            words = _words(match.group("name"))
            # A greeting of two names is a person's even when neither is on a list, as a scanner misreads them.
            unknown = len(words) > 1 and not words & (names.ambiguous | NOT_SURNAME)
            if (names.known(_plain(match.group("name").split()[0])) or unknown) and not words & NOT_NAMES:
                yield match.span("name"), 0.7
    yield from _signed(text, names)


def _signed(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """Who closes a letter, or says who they are. A closing is followed by a name, known or not; "I am" by anything."""
    for phrases, pattern in ((CLOSINGS, CLOSED), (INTRODUCTIONS, INTRODUCED)):
        for _, end, _ in phrases.spans(text):
            match = pattern.match(text.text, end)
            if match is None:
                continue
            words = _words(match.group("name"))
            believed = any(names.known(word) for word in words) or (phrases is CLOSINGS and not words & names.ambiguous)
            if believed and not words & (NOT_NAMES | NOT_SURNAME):
                yield match.span("name"), 0.8


def _words(name: str) -> set[str]:
    return {_plain(word) for word in name.split()}


def _roles(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """`Patient: Jane Roe`. Unknown names are believed where the field holds nothing else."""
    for _, end, _ in ROLES.spans(text):
        match = ROLE_VALUE.match(text.text, end, min(len(text.text), end + 120))
        if match is None:
            continue
        words = [_plain(word) for word in match.group("name").split()]
        if not words or words[0] in NOT_NAMES or NOT_NAMES & set(words):
            continue
        alone = match.group("rest") in {"", "|", "<", "\t", "(", "*", "_", "[", ";", "."} and len(words) >= 2  # noqa: PLR2004
        lower = match.group("name").islower()
        if lower:
            believed = words[0] in names.strong_given or (len(words) > 1 and words[1] in names.strong_given)
        else:
            believed = any(names.known(word) for word in words) or (alone and not names.ambiguous & set(words))
        if believed:
            yield match.span("name"), 0.8


def _lower(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """Names written without capitals: a common given name and a surname, neither an everyday word."""
    candidates = text.vocabulary & names.strong_given
    if not candidates:
        return
    words = text.words
    for index in range(len(words) - 1):
        if words[index] in candidates and words[index + 1] in names.strong_surnames:
            start, end = text.spans[index][0], text.spans[index + 1][1]
            between = text.text[text.spans[index][1] : text.spans[index + 1][0]]
            if text.text[start:end].islower() and between == " ":
                yield (start, end), 0.6


NAME_FIELDS = listed(
    "name patient customer client borrower applicant member insured employee subscriber cardholder payee beneficiary surname "
    "lastname firstname fullname"
)


def _field(text: Normalized, names: Gazetteer) -> Iterator[tuple[PairSpan, float]]:
    """A metadata field that holds a name (`patient_name`), not a file's or a company's."""
    if not NAME_FIELDS & set(text.label) or {"file", "company", "product", "document", "host", "user"} & set(text.label):
        return
    words = [_plain(word) for word in text.text.split()]
    if words and len(words) <= 5 and any(word in names.given or word in names.surnames for word in words):  # noqa: PLR2004
        yield (0, len(text.text)), 0.8
