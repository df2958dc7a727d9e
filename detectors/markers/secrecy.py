"""Secrecy markings and the documents that carry them (18 USC 1839(3): reasonable measures to keep information secret).

An open-source licence below a proprietary header, or a public-looking text around a marking, lowers nothing (invariant 9).
"""

from __future__ import annotations

from detectors.detector import Detector
from detectors.lines import is_heading, line_of
from detectors.markers.footer import in_footer
from detectors.markers.marker import groups_marker, phrase_marker
from detectors.normalized import Normalized

PROPRIETARY = (
    "proprietary and confidential|confidential and proprietary|confidential proprietary|proprietary confidential",
    "company proprietary|proprietary information of",
    "unauthorized copying|unauthorised copying|unauthorized copying of this file|strictly prohibited proprietary",
    "proprietary source code|proprietary software of",
    "trade secret of|trade secrets of|contains trade secrets|constitutes a trade secret|our trade secret|unpublished proprietary",
    "internal source|not open source",
    "all rights reserved proprietary|proprietary to",
)
MARKING = (
    "confidential|strictly confidential|highly confidential|company confidential|private and confidential|most confidential",
    "commercial in confidence",
    "internal only|internal use only|for internal use|for internal use only|internal use|internal eyes only|eyes only|restricted",
    "restricted distribution|secret",
    "not for distribution|do not distribute|do not circulate|not for circulation|not for release|not for publication",
    "draft not for release|do not copy",
    "embargoed|embargoed until|under embargo|under nda|subject to nda|need to know|board confidential|proprietary",
)
STRONG_MARKING = (
    "strictly confidential|company confidential|internal use only|internal only|for internal use only|not for release",
    "do not circulate|eyes only",
    "do not forward outside|do not share outside|do not share it outside|not to be shared outside|outside the company",
    "outside the team|must not leave the company",
    "keep this confidential|kept secret|keep it secret|treat as confidential|is our trade secret|is a trade secret|under nda",
    "do not disclose|please keep this between us",
    "confidential to|not public yet|not yet public|not yet announced|before it is announced|before the announcement|commercially sensitive",
)
BOARD_TITLE = (
    "board minutes|minutes of the board|minutes of the meeting|minutes of a meeting|minutes of the management committee",
    "minutes of the executive committee",
    "minutes of the steering committee|minutes of the audit committee|minutes of the committee|meeting of the board",
    "board of directors meeting|board pack|board paper",
    "board papers|board memo|board memorandum|board deck|board materials|for the board|board only|to the board of directors",
    "executive session|management committee",
    "leadership team minutes|executive committee|investment committee|operating committee",
)
BOARD_ACTS = (
    "present|attendees|in attendance|apologies|quorum|chair|chaired|resolved|resolution|approved|moved|seconded|carried",
    "action items|actions|agenda|adjourned",
    "noted|agreed|decided|confidential|directors|decision|proposal|members",
)
FIGURES = (
    "revenue|earnings|ebitda|operating margin|gross margin|net income|eps|guidance|results|bookings|cash flow|profit|sales|forecast",
)
UNRELEASED = (
    "unreleased|not for release|board only|blackout|blackout period|quiet period|embargo|embargoed|before the announcement",
    "ahead of the announcement|pre announcement",
    "not yet announced|not yet public|not public|non public|nonpublic|material nonpublic|mnpi|insiders|insider list",
    "draft earnings|draft results|flash results|guidance to be cut",
    "guidance to be raised|until the release|before earnings|before we report|confidential|internal only|internal use only",
    "do not forward|preliminary unaudited",
)
STAGE = ("preliminary|unaudited|draft|flash|estimate|estimates|forecast|latest view|month end|quarter|q1|q2|q3|q4|close|closing",)
ROADMAP = (
    "roadmap|product plan|release plan|launch plan|product pipeline|product strategy|go to market plan|launch date|ships in",
    "planned launch|target launch|feature plan",
)
ROADMAP_MATTER = (
    "ships|ship|launch|launches|release|releases|price|pricing|per seat|fy#|fy #|q1|q2|q3|q4|h1|h2|milestone|milestones|ga|beta",
    "prototype|undercut|competitor|rival",
)
MEASURE = (
    "confidential|internal|internal only|secret|do not forward|do not share|not for release|unannounced|unreleased",
    "before the announcement|nda|embargo|embargoed|proprietary",
    "outside the company|outside the team|codename|code name|undercut|not public|restricted|keep this",
)
FORMULA = (
    "formula|formulas|formulation|formulations|recipe|process parameters|batch record|process sheet|composition|blend|binder",
    "compound|coating|alloy|manufacturing process",
)
AMOUNTS = (
    "# c|# f|# percent|# degrees|# # percent|# minutes|# g|# kg|# ml|# ppm|# hours|# bar|# rpm|# parts|parts by weight|by weight",
    "ratio|# celsius|# psi|# grams|# ph|wt",
)


def detectors() -> tuple[Detector, ...]:
    """proprietary_header, confidential_marking, board_material, unreleased_financials, roadmap, secret_formula."""
    return (
        phrase_marker("proprietary_header", PROPRIETARY, counts=_outside_footer),
        phrase_marker("confidential_marking", (*MARKING, *STRONG_MARKING), counts=_marking),
        groups_marker("board_material", (BOARD_TITLE, BOARD_ACTS), within=300),
        groups_marker("unreleased_financials", (FIGURES, UNRELEASED, STAGE)),
        groups_marker("roadmap", (ROADMAP, ROADMAP_MATTER, MEASURE)),
        groups_marker("secret_formula", (FORMULA, AMOUNTS, MEASURE)),
    )


STRONG = frozenset(" ".join(phrase.split()) for group in STRONG_MARKING for phrase in group.split("|"))


def _outside_footer(text: Normalized, start: int, end: int) -> bool:
    return not in_footer(text, start, end)


def _marking(text: Normalized, start: int, end: int) -> bool:
    """A marking stands as a heading, in capitals or in brackets; the strong phrases count in any sentence outside a footer.

    "Privileged and confidential" is counsel's heading, a marker of its own, and says nothing of the owner's secrets.
    """
    phrase = text.lowered[start:end]
    if in_footer(text, start, end) or (phrase == "confidential" and "privileged" in line_of(text.lowered, start)):
        return False
    if phrase in STRONG or is_heading(text, start, end):
        return phrase in STRONG or text.text[start:end] != phrase or text.part != "text"
    before, after = text.text[max(0, start - 30) : start], text.text[end : end + 2]
    return text.text[start:end].isupper() or ("(" in before and after[:1] in {")", ",", ";"})
