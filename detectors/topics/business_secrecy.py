"""Business information kept secret (18 USC 1839(3)): the owner takes measures, and the value lies in others not knowing.

Two sorts of signs: measures ("do not forward", "need to know") and matters (formulas, unit cost, launch plans, unreleased figures).
"""

from detectors.detector import Detector
from detectors.phrases import listed
from detectors.topics.scorer import Nearness, topic_detector

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
    "walk away with|walk away price|landed cost|list is|list price|they pay|we can go to|can go down to|make our number|price floor|"
    "floor price|margin is|cost us|our cost|our price|our costs|bill of materials|opening offer|give away|act as if": 0.3,
    "second source|qualification|volumes|capacity|utilisation|utilization|sole supplier|renewal|rebate|rebates|tender|our bid": 0.15,
    "they think|they believe|they don't know|if they ask|the competition|competition has|theirs|we lose to|we beat|beat the others|"
    "win loss|wins # in|lose on price|above theirs|building the same|head start": 0.3,
    "yield|yields|scrap rate|purity|batch card|notebook|witnessed|mother culture|harvest at|ramp|soak|quench|anneal|dwell|shear|"
    "mpa|pinch of|parts of|by weight|hold at|held at|hold for|bleed|stir|trick is|what finally|step that|ph #": 0.2,
    "tape out|in shops|kill the|end of life|sunset the|next year's|successor|launch is|autumn release|spring release|offline|bundle|"
    "where we're going|next gen|feature freeze|beta": 0.2,
    "diligence|bankers|founder will take|# cash|we sign|signing|data room|exclusivity|sniffing|suitor|bidders|stake|earn out": 0.25,
    "came in at|against a plan|plan of|will miss|the quarter|miss by|short of plan|ahead of plan|profit warning|to the directors|"
    "preliminary numbers|flash": 0.25,
    "we close|close the plant|move the|jobs|one off|payback|works council|redundancies|steering group|relocation|job cuts": 0.2,
    "we go in at|we'd accept|open at|walk at|leaves # percent|per unit|last time|below #|cost sheet|what we really pay|charges us|kickback|"
    "running royalty|royalty|million down|# million|five million|they'll raise the price|raise the price|counterparty|the landlords": 0.2,
    "parts epoxy|parts per|cured|cure|grafted|silane|polymer|copper|resin|epoxy|solvent|viscosity|mixing|tooling|the press|new press|"
    "trial #|sample|samples|prototype run": 0.15,
    "model features|features|threshold|what makes it work|makes it work|the order of these|fraud model|internal do not": 0.25,
    "would open in|open in|spring #|summer #|leave|enter the market|site list|new sites|approached through|"
    "different agent|shell company": 0.15,
    "about # people|# people|cut # jobs|out by summer|reviewing all options|reduce staff|headcount plan|closure|divestment": 0.2,
    "unblinded|beat placebo|arm beat|primary endpoint met|topline|move the stock|before the open|release on": 0.3,
    "top accounts|top twenty|top ten accounts|what each pays|who signs|customer file|succession file|our accounts|reseller|resellers": 0.25,
    "scoring|ranking|weights|heuristic|tuning|secret sauce|how we get|why we beat|patent people|before filing|invention": 0.2,
    "property of|not to be copied|company use|copies|copy # of|number # of|numbered copies|encrypted drive|deal room": 0.3,
    "layoffs|restructuring|reorganization|headcount|reduction in force|plant closure": 0.15,
}


OURS_AND_THEIRS = listed("our ours we us we're we've they their theirs them they're rival rivals competitor competitors competition")
MATTER_ENOUGH = 0.2


def detector() -> Detector:
    """The business-secrecy topic."""
    matters = {term: weight for term, weight in TERMS.items() if weight >= MATTER_ENOUGH}
    return topic_detector("business_secrecy", TERMS, near=Nearness(terms=matters, words=OURS_AND_THEIRS, weight=0.1, most=0.3))
