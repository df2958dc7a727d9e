"""Where a record's row is in a table of a run's records, of which only a few are ever asked for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class RecordLookup:
    """Row numbers of a table by record id: a sorted array of bytes, ten times smaller than a dict."""

    def __init__(self, record_ids: Iterable[str]) -> None:
        ids = np.array([record_id.encode() for record_id in record_ids], dtype=np.bytes_)
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]

    def __call__(self, record_id: str) -> int | None:
        """The row of a record; None where it is in none."""
        if not len(self._sorted):
            return None
        key = record_id.encode()
        place = int(np.searchsorted(self._sorted, key))
        if place == len(self._sorted) or self._sorted[place] != key:
            return None
        return int(self._order[place])
