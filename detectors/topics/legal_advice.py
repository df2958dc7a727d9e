"""Asking for or giving legal advice (FRE 502(g)): the voice of counsel and client, not the language of published law.

Judgments, statutes and contracts speak of plaintiffs, clauses and courts; advice speaks of "we", "you", risk and what to do next.
"""

from detectors.detector import Detector
from detectors.topics.persons import TALKING
from detectors.topics.scorer import Nearness, topic_detector

LAW_ENOUGH = 0.2
TERMS = {
    "legal advice|my advice|our advice|your advice|advice of counsel|seek legal advice|advice on whether|need your advice|"
    "need advice|advise us|advise me|please advise on|your legal opinion|legal opinion|your opinion on whether|your honest view": 0.4,
    "we advise|i advise|we would advise|i would advise|i recommend|we recommend|my recommendation|our recommendation|i can't recommend|"
    "i cannot recommend|we suggest|i suggest|i would not|i wouldn't|i'd open at|i'd have it": 0.2,
    "in our opinion|in my opinion|in our view|in my view|our view|my view|our assessment|my assessment|our analysis|my analysis|"
    "our position|we believe the|we think the|counsel's thinking|on balance|our odds|reckons": 0.2,
    "exposure|exposed|liability|liable|legal risk|litigation risk|risk of|our risk|downside|on the hook|at fault|open us up|"
    "come after us|sue us|sued|sues|suing|can they sue|threatening to sue": 0.25,
    "settle|settlement|settlement offer|settlement authority|reserve of|mediation|mediator|walk away number|settle for|offers anything|"
    "all in|demand letter|counteroffer": 0.2,
    "litigation|lawsuit|lawsuits|litigation hold|legal hold|preserve documents|arbitration|complaint|grievance|tribunal|claimant|"
    "plaintiffs|plaintiff|defendant|opposing|class action": 0.2,
    "subpoena|deposition|depositions|deposed|discovery|witness|witnesses|interrogatories|interviewed|testify|testimony|expert|jury|"
    "verdict|trial|trying this": 0.2,
    "in anticipation of litigation|work product|attorney client|privileged|privilege|under privilege|privileged and confidential|"
    "common interest|joint defence|joint defense|prepared for the defence|prepared for the defense": 0.35,
    "counsel|attorney|attorneys|lawyer|lawyers|outside counsel|general counsel|law firm|legal department|legal team|in house|"
    "paralegal|llp|esq|solicitor|barrister|chief legal officer|legal's|legal": 0.2,
    "our defence|our defense|defence|defense|strength of|weakness|weaknesses|prevail|chances|likelihood of success|merits|"
    "strong argument|weak argument|fair defence|they'd probably win|they would win|we'd lose|we would lose|damages model": 0.2,
    "indemnity|indemnify|indemnification|breach|waive|waiver|enforceable|statute of limitations|limitation period|injunction|damages|"
    "negligence|fiduciary|jurisdiction|estoppel|invalid|duty of candor|prior art|claim #|infringe|infringement|break clause": 0.2,
    "admit|do not admit|admission|fault|in writing|regulator|regulators|agency|commission|do not forward|must we|should we|can we|are we|"
    "what should we|can you tell us whether|whether we|are allowed to|may i|am i|if we drop|do we have to|hand over|object to|"
    "volunteer the": 0.15,
    "draft motion|pleading|opposition|draft answer|draft reply|answer by|our cut|brief|motion|ruled|judge|court|hearing|filing|"
    "comments on judge|the judge": 0.15,
    "clause|section #|contract|agreement|lease|notice": 0.08,
    "please review|your comments|redline|redlines|mark up|markup|let me know if we can|legal review|legal question|legal issue|"
    "legal issues|from a legal|legal analysis|legal position|struck the|the cap|can we live with": 0.2,
    "unlawful|illegal|lawful|legality|legally|violate|violates|violation|comply|compliance|antitrust|challenge|eminent domain|"
    "research the|constitutional|preempt|rights under|force majeure": 0.15,
    "punishment for|retaliation|wrongful|dismissal|you can let|warnings|investigation|whistleblower|discrimination|harassment": 0.15,
    "go to court|goes to court|take us to court|taken to court|day in court|court could|court would|court might|could see it otherwise|"
    "worst they can do|they can terminate|terminate|audit right|no right to|right to copy|refuse that|without prejudice|before the hearing|"
    "make an offer|barrister's|solicitor's|lawyer says|lawyers say|his lawyer|her lawyer|their lawyer|our lawyer|my lawyer": 0.25,
    "how exposed|are we exposed|should i delete|should i send|before i send|what happens if|can we close|can we fire|can we let|can we use|"
    "do we need to notify|whether we need to|need to notify|need something i can tell|tell the board|what do you think": 0.2,
    "prep of|weak spot|should say|guess about|rattle him|rattle her|litigation file|attorney notes|notes for counsel|as a witness|"
    "call as a witness|cross examine|cross examination|on the stand|under oath": 0.25,
    "infringes|design around|take a license|non infringement|freedom to operate|your instruction|per your instruction|deputy gc|gc|clo|"
    "inside counsel|in house counsel|for your advice|treat this as": 0.2,
    "let us write|do not reply yourself|don't reply|say nothing|put nothing|nothing in writing|we can defend|defensible|hold harmless": 0.2,
    "file note|call w client|client says|client says that|client should|told them not to|memo to file|the file|our client|the client": 0.25,
    "if they|if you|before they|unless they|until they|let's not|don't comment|please don't|don't touch|don't sign|don't answer": 0.1,
}


def detector() -> Detector:
    """The legal-advice topic."""
    law = {term: weight for term, weight in TERMS.items() if weight >= LAW_ENOUGH}
    return topic_detector("legal_advice", TERMS, near=Nearness(terms=law, words=TALKING, weight=0.12, most=0.5))
