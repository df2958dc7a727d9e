"""Which files hold something that was sent, by the erasable map of source names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from flows.sources.walk import shown
from sinks.ledger.index import hashes_of
from sinks.ledger.sources import lookup


class SentFiles:
    """Says of a path whether anything in it was sent. Eight bytes a file: there may be as many as many nights have documents.

    Two names with one hash cost a file that is read in vain.
    """

    def __init__(self, ledger: Path, record_ids: Iterable[Sequence[str]]) -> None:
        found = [np.zeros(0, np.int64)]
        for ids in record_ids:
            names = {name.source for name in lookup(ledger, ids).values()}
            found.append(hashes_of(prefix for name in names for prefix in _prefixes(name)))
        self._hashes = np.unique(np.concatenate(found))

    def __call__(self, path: str) -> bool:
        """Whether it may hold anything that was sent; path: relative to the source."""
        place = int(np.searchsorted(self._hashes, wanted := hash(shown(path))))
        return place < len(self._hashes) and bool(self._hashes[place] == wanted)


def _prefixes(name: str) -> Iterator[str]:
    """A member of an e-mail is named FILE#MEMBER, and a file's own name may hold a #: each of these may be the file."""
    yield name
    place = name.find("#")
    while place >= 0:
        yield name[:place]
        place = name.find("#", place + 1)
