"""Measures of secrecy in plain words: "don't show them", "nobody outside the crew", "not announced", "keep it in the deal room".

18 USC 1839(3)(A) asks for reasonable measures to keep information secret; among colleagues they are spoken, not stamped.
"""

from __future__ import annotations

from detectors.detector import Detector
from detectors.markers.footer import in_footer
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized
from detectors.phrases import Phrases, listed

TELLING = listed(
    "tell told show shown share shared forward forwarded circulate circulated mention mentioned discuss discussed leak leaked copied "
    " post posted mail trade talk put written quote quoted repeat whisper"
)
NEGATIONS = listed("don't not never nobody none mustn't shouldn't can't cannot no")
HARMLESS = listed(
    "forget hesitate fail only just hard worry if did didn't does doesn't could couldn't why has have had was were is are "
    "shall may party parties recipient receiving licensee disclosing"
)
REACH = 4
PLAIN = Phrases.of(
    (
        "nobody outside|no one outside|none outside|anyone outside|anybody outside|outside this group|outside the group|outside this team",
        "outside the room|outside this room|outside our team|outside the crew|outside the company|outside this circle|outside the circle",
        "nobody knows|no one knows|nobody else knows|no one else knows|they don't know|they do not know|doesn't know yet|don't know yet",
        "and you know|only you know|only we know|nobody in sales|need to know basis",
        "keep it in|keep it on|keep it off|keep it inside|keep it between|keep it quiet|keep it secret|keep it that way|keep it to",
        "keep this in|keep this on|keep this off|keep this inside|keep this between|keep this quiet|keep this secret|keep this to",
        "keep them in|keep them off|keep quiet about|keep under wraps|under wraps|kept under lock|under lock and key|locked away",
        "kept secret|how it stays|that way please|stays in this room|stays between us|between us|between ourselves|strictly between",
        "eyes only|company use only|internal use only|directors only|board only|insiders only|team only|for your eyes|numbered copy",
        "not announced|not yet announced|not been announced|not public yet|not yet public|not yet released|unannounced|not minuted",
        "until we announce|until it is announced|until the announcement|before we announce|before it is announced|until then nobody",
        "any leak|if this leaks|if it leaks|leaks out|get out|shred|delete this after|burn after|destroy after reading|no screenshots",
        "not in the shared|not in writing|in writing to the|not for circulation|not for wider|off the record|code name|codename",
        "not a word|no idea that|they've no idea|delete this when|delete when read|no talking|no trading|in my safe",
        "in the safe|sealed samples",
        "do not publish|don't publish|not for publication|only i have|only we have|for the five of us",
        "for the two of us|for you only|bid room",
        "if they hear|if anyone asks|if somebody asks|can guess|will guess|don't let them see|must not see|must not know|mustn't know|hush",
        "nothing is decided|not decided yet|before the open|insiders|unblinded|if they see|sees what|we can forget|outside the laboratory",
        "outside the lab|outside the office|outside this email|outside this mail|sensitive until|hold until|top secret",
        "head start|tip our hand|show our hand|before they find out|before they know",
        "please do not trade|blackout|quiet period|do not circulate|don't circulate|mail it on|pass it on to nobody|keep it confidential",
    )
)


def detector() -> Detector:
    """secrecy_measure."""
    return question_marker("secrecy_measure", _raised, cost=1)


def _raised(text: Normalized) -> bool:
    if any(not in_footer(text, start, end) for start, end, _ in PLAIN.spans(text)):
        return True
    if text.vocabulary.isdisjoint(NEGATIONS):
        return False
    return any(_untold(text, index) for word in TELLING & text.vocabulary for index in text.places[word])


def _untold(text: Normalized, index: int) -> bool:
    """Whether the telling is forbidden by the words just before it, and not in a disclaimer."""
    before = set(text.words[max(0, index - REACH) : index])
    return not before.isdisjoint(NEGATIONS) and before.isdisjoint(HARMLESS) and not in_footer(text, *text.spans[index])
