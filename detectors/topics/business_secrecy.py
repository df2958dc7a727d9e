"""Business information kept secret (18 USC 1839(3)): the owner takes measures, and the value lies in others not knowing.

Two sorts of signs: measures ("do not forward", "need to know") and matters (formulas, unit cost, launch plans, unreleased figures).
"""

from detectors.detector import Detector
from detectors.topics.scorer import topic_detector

TERMS = {
    # measures
    "trade secret|trade secrets|proprietary|proprietary information|company confidential|strictly confidential|"
    "highly confidential|internal use only|internal only": 0.45,
    "confidential|in confidence|kept secret|keep this secret|secret|under nda|nda|non disclosure|need to know|restricted|"
    "not public|nonpublic|non public": 0.25,
    "do not share|do not forward|do not distribute|do not circulate|not for distribution|not for release|not for circulation|"
    "outside the team|outside the company|"
    "outside the group|eyes only|please keep this|delete after reading|please destroy": 0.4,
    "embargo|embargoed|unannounced|unreleased|before the announcement|ahead of the announcement|quiet period|blackout|"
    "blackout period|insider|insiders|mnpi|material non public": 0.35,
    "code name|codename|project": 0.12,
    # matters
    "roadmap|product plan|launch plan|launch date|ships in|planned launch|release date|go to market|pipeline|next generation|"
    "prototype": 0.25,
    "formula|formulation|recipe|process parameters|batch record|compound|additive|binder|ratio|temperature|catalyst|tolerance": 0.15,
    "algorithm|source code|internal api|model weights|training data|design document|schematics|blueprint|specification": 0.12,
    "unit cost|cost target|gross margin|margin|margins|price list|pricing|pricing strategy|price per seat|per seat|discount|"
    "bid price|supplier|supplier to be": 0.2,
    "customer list|client list|supplier list|key accounts|churn|win rate|sales pipeline|bid strategy": 0.3,
    "acquisition|acquire|merger|takeover|target company|due diligence|term sheet|valuation|divest|offer price|letter of intent": 0.2,
    "board|board pack|board meeting|management committee|executive committee|steering committee|minutes|resolved|approved|"
    "present|apologies": 0.15,
    "preliminary results|preliminary|unaudited|forecast|guidance|budget|earnings|q1|q2|q3|q4|fy#|revenue|operating margin|ebitda|"
    "guidance to be cut": 0.15,
    "rival|rivals|competitor|competitors|undercut|market share|before the rival|ahead of competitors|patent pending|before we file": 0.2,
    "strategy|strategic|negotiating position|walk away|reserve price|our position|counteroffer": 0.12,
    "layoffs|restructuring|reorganization|headcount|reduction in force|plant closure": 0.15,
}


def detector() -> Detector:
    """The business-secrecy topic."""
    return topic_detector("business_secrecy", TERMS)
