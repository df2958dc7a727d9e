"""Program source: lines that only code has. A marker on its own says nothing of secrecy; policies join it with a header or a path."""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized

CODE_LINE = re.compile(
    r"[ \t]{0,40}(?:def \w+\(|class \w+[:({ ]|import [\w.{*]+|from [\w.]+ import |#include\b|#!|public |private |protected "
    r"|static |function\b|const \w+ ?=|let \w+ ?="
    r"|var \w+|package \w+|using \w+|func \w*\(|fn \w+|return\b[^.]{0,80};?$|if ?\(.{0,200}\) ?\{?$|for ?\(|while ?\(|\}|\{"
    r"|else[: {]|elif |try[:{ ]|except|@\w+"
    r"|[\w.\[\]]{1,60} ?[+*/-]?= ?[^=].{0,200};?$|SELECT |INSERT INTO|CREATE TABLE|.{1,200}[;{}]$)"
)
FEWEST_LINES = 4
SHARE = 0.4
MOST_LINES = 2_000


def detector() -> Detector:
    """source_code."""
    return question_marker("source_code", _is_code)


def _is_code(text: Normalized) -> bool:
    if not any(sign in text.text for sign in ("(", "{", "#include", ";")):
        return False
    lines = [line.rstrip() for line in text.text.split("\n", MOST_LINES)[:MOST_LINES] if line.strip()]
    matching = sum(CODE_LINE.match(line[:300]) is not None for line in lines)
    return matching >= FEWEST_LINES and matching >= SHARE * len(lines)
