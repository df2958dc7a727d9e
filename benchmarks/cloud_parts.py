"""What a cloud night spends its CPU time on, part by part: every moment is charged to exactly one part.

A part is a function of the program, named here with the place it is called from. A part inside another is not counted in the outer one.
Time of the process's own threads counts, waiting does not: neither the provider's work nor that of the scan processes is in any part.
"""

from __future__ import annotations

import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

LANE = ("assign and clear", "freeze", "gate", "hand-over", "poll", "ingest", "results", "ledger commits")
"""The cloud lane's own work, the ledger's included: what the records a second of the lane are made of."""

BESIDE = ("read", "detection", "decide", "start and end")
"""What a night of any lane spends besides. detection: our end of the scan processes, documents and results alike; decide: the policy's
verdict on both; start and end: imports, opening, counting, compaction."""

PLACES = {
    "flows.nightly:read_batch": "read",
    "flows.night:Night.unfinished": "read",
    "flows.nightly:with_raised": "read",
    "flows.nightly:lowered_classes": "read",
    "flows.night:Night.scan": "detection",
    "flows.nightly:second_look": "detection",
    "flows.nightly:decide_documents": "decide",
    "flows.rescanning:decide": "decide",
    "flows.nightly:clear_records": "assign and clear",
    "flows.nightly:decision_entries": "assign and clear",
    "flows.nightly:freeze_records": "freeze",
    "sinks.handover:pass_gate": "gate",
    "flows.nightly:hand_over": "hand-over",
    "flows.nightly:wait_for_results": "poll",
    "flows.collecting:ingest": "ingest",
    "flows.collecting:write_rows": "results",
    "sinks.ledger.segments:Ledger.commit": "ledger commits",
}


class Parts:
    """CPU seconds by part; what lies outside all of them is `rest`."""

    def __init__(self, rest: str) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inside = [rest]
        self._since = time.process_time()

    def install(self) -> None:
        """Charge every place of `PLACES` from now on, in this process."""
        for place, part in PLACES.items():
            module, _, path = place.partition(":")
            *owners, name = path.split(".")
            owner = importlib.import_module(module)
            for one in owners:
                owner = getattr(owner, one)
            setattr(owner, name, self._charged(getattr(owner, name), part))

    def told(self) -> dict[str, float]:
        """The seconds so far."""
        self._charge()
        return dict(self.spent)

    def _charge(self) -> None:
        now = time.process_time()
        self.spent[self._inside[-1]] += now - self._since
        self._since = now

    def _charged(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            answer = self._within(part, function, *arguments, **options)
            return self._steps(part, answer) if isinstance(answer, Iterator) else answer

        return call

    def _steps(self, part: str, answer: Iterator[Any]) -> Iterator[Any]:
        """A generator works when it is asked for the next value, not when it is made."""
        end = object()
        while (value := self._within(part, next, answer, end)) is not end:
            yield value

    def _within(self, part: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._charge()
        self._inside.append(part)
        try:
            return function(*arguments, **options)
        finally:
            self._charge()
            self._inside.pop()
