r"""Matches of a pattern that may begin some way before the literal that makes it worth looking at.

`[^&\n]{0,80}&amp;` tried at every character of a text costs eighty steps a character. Here the literal is found first, and the
pattern is tried once, where its leftmost match can begin: the same matches in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Anchored:
    """A pattern `BEFORE{0,reach}ANCHOR…`.

    anchor: what every match contains, beginning with a literal. before: a run of the characters that may stand before the first
    anchor of a match; nothing else may. Then `finditer` gives what the pattern's own would.
    """

    pattern: re.Pattern[str]
    anchor: re.Pattern[str]
    before: re.Pattern[str]
    reach: int

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """The matches of the pattern, in order."""
        last = 0
        for hit in self.anchor.finditer(text):
            if hit.start() < last:
                continue
            run = self.before.match(text[max(last, hit.start() - self.reach) : hit.start()][::-1])
            match = self.pattern.match(text, hit.start() - (run.end() if run else 0))
            if match is not None:
                last = match.end()
                yield match
