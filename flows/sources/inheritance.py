"""Results as input: a row that Waybill wrote keeps the data classes of the document it was made from (invariant 7).

A summary of a discharge letter may hold no identifier any more; it is about a patient all the same. So the classes are taken from
the row, whatever format it was copied to, and what a scan finds comes on top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from policies.model import CLEAN, UNSCANNABLE

CLASSES = "data_classes"
RESULT_COLUMNS = ("record_id", "run_id", CLASSES)
"""Together these make a row one of Waybill's own."""
NAME = re.compile(r"\b[A-Z][A-Z0-9_]*\b")


def inherited_classes(values: Mapping[str, object]) -> frozenset[str]:
    """The classes that a result row states. One that states none cannot be judged; a row of another kind has nothing to inherit."""
    if not values.keys() >= set(RESULT_COLUMNS):
        return frozenset()
    stated = frozenset(NAME.findall(str(values[CLASSES] or "")))  # a list from Parquet and JSON, its text from CSV
    return stated - {CLEAN} if stated else frozenset({UNSCANNABLE})
