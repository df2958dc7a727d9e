"""Asking for or giving legal advice (FRE 502(g)): the voice of counsel and client, not the language of published law.

Judgments, statutes and contracts speak of plaintiffs, clauses and courts; advice speaks of "we", "you", risk and what to do next.
"""

from detectors.detector import Detector
from detectors.topics.scorer import topic_detector

TERMS = {
    "legal advice|my advice|our advice|your advice|advice of counsel|seek legal advice|advice on whether|need your advice|"
    "need advice|advise us|advise me|"
    "please advise on|your legal opinion|legal opinion|your opinion on whether": 0.45,
    "we advise|i advise|we would advise|i would advise|i recommend|we recommend|my recommendation|our recommendation|we suggest|"
    "i suggest": 0.25,
    "in our opinion|in my opinion|in our view|in my view|our view|my view|our assessment|my assessment|our analysis|my analysis|"
    "our position": 0.25,
    "exposure|exposed|liability|liable|legal risk|litigation risk|risk of|our risk|downside": 0.2,
    "settle|settlement|settlement offer|settlement authority|reserve|mediation|walk away number|settle for": 0.25,
    "litigation|lawsuit|litigation hold|legal hold|preserve documents|arbitration|dispute|complaint|subpoena|deposition|"
    "discovery|deposed|witness": 0.2,
    "in anticipation of litigation|work product|attorney client|privileged|privilege|under privilege|privileged and confidential": 0.35,
    "counsel|attorney|attorneys|lawyer|lawyers|outside counsel|general counsel|law firm|legal department|legal team|in house|"
    "paralegal|llp|esq": 0.2,
    "our defence|our defense|defence|defense|strength of|weakness|weaknesses|prevail|chances|likelihood of success|merits|"
    "strong argument|weak argument|fair defence": 0.2,
    "indemnity|indemnification|breach|waive|waiver|enforceable|statute of limitations|injunction|damages|negligence|fiduciary|"
    "jurisdiction": 0.15,
    "admit|do not admit|fault|in writing|regulator|regulators|do not forward|must we|should we|can we|are we|what should we|"
    "can you tell us whether|whether we|are allowed to": 0.2,
    "motion|ruled|judge|court|hearing|filing|brief|draft motion|pleading|clause|section #|contract|agreement": 0.08,
    "please review|your comments|redline|mark up|let me know if we can|legal review|legal question|legal issue|legal issues|"
    "from a legal": 0.2,
}


def detector() -> Detector:
    """The legal-advice topic."""
    return topic_detector("legal_advice", TERMS)
