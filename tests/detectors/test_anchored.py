"""The same matches as the pattern's own, found without trying every character."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.anchored import Anchored
from detectors.encodings import ENTITIES, PERCENT, QUOTED

PIECES = ("%41", "%4", "a", "b ", " ", "\n", "&amp;", "&", "&#65;", "=41", "=\n", "=", "\r\n", "'", "x" * 79, "x" * 80, "x" * 81, "y" * 200)
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@pytest.mark.parametrize("anchored", [PERCENT, ENTITIES, QUOTED], ids=["percent", "entities", "quoted-printable"])
@settings(max_examples=200, deadline=None, database=None)
@given(text=texts)
def test_the_same_matches(anchored: Anchored, text: str) -> None:
    assert [match.span() for match in anchored.finditer(text)] == [match.span() for match in anchored.pattern.finditer(text)]


def test_the_pattern_is_tried_once_an_anchor() -> None:
    class Counting:
        tried = 0

        def match(self, text: str, start: int) -> re.Match[str] | None:
            self.tried += 1
            return PERCENT.pattern.match(text, start)

    pattern = Counting()
    counted = Anchored(pattern, PERCENT.anchor, PERCENT.before, PERCENT.reach)  # type: ignore[arg-type]  # it has all that is used
    assert list(counted.finditer("abcdefgh" * 50_000)) == []
    assert pattern.tried == 0
    assert len(list(counted.finditer("abc%41 " * 1_000))) == pattern.tried == 1_000
