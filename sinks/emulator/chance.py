"""Faults by chance: from a seed, the same for the same call of the same operation, and bounded in number, so that every night ends.

Calls are counted over the whole life of a state folder (`calls.json`), as are the faults that were injected: an emulator that is
started again does not begin with the same ones.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sinks.emulator import catalogue
from sinks.emulator.disk import keep
from sinks.emulator.faults import Chance, Fault
from sinks.errors import EmulatorError

_UNDECIDED = (408, 409, 429, 500, 502, 503)
"""A proxy may say these after the provider has taken a request. Any other refusal is true: nothing happened."""

_REFUSALS = (413,)
_LAGS_S, _MOST_SKEW_S, _MOST_ROWS = (60.0, 7200.0), 1800.0, 3


@dataclass(slots=True)
class Draws:
    """Draws for one state folder."""

    chance: Chance
    folder: Path
    _calls: Counter[str]
    _given: Counter[tuple[str, str]]
    _kinds: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, chance: Chance, folder: Path) -> Draws:
        """Go on where an earlier emulator over this folder stopped. Raises EmulatorError for names that match nothing."""
        if not 0 <= chance.rate <= 1:
            raise EmulatorError(f"random.rate: expected a share from 0 to 1, found {chance.rate}")
        for key, patterns, known in (("at", chance.at, catalogue.OPERATIONS), ("kinds", (*chance.kinds, *chance.never), catalogue.KINDS)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in known):
                    raise EmulatorError(f"random.{key}: {pattern!r} matches nothing; expected some of {', '.join(known)}")
        calls, injected = folder / "calls.json", folder / "injected.jsonl"
        noted = [json.loads(line) for line in injected.read_bytes().splitlines()] if injected.exists() else []
        return cls(
            chance=chance,
            folder=folder,
            _calls=Counter(json.loads(calls.read_bytes())) if calls.exists() else Counter(),
            _given=Counter((entry["at"], entry["fault"]) for entry in noted if entry["drawn"]),
            _kinds={at: _eligible(chance, at) for at in catalogue.OPERATIONS},
        )

    def draw(self, at: str) -> Fault | None:
        """Count a call, and give the fault that it meets, if any."""
        self._calls[at] += 1
        keep(self.folder / "calls.json", json.dumps(self._calls).encode())
        source = random.Random(f"{self.chance.seed}|{at}|{self._calls[at]}")  # noqa: S311 - repeatable, not secret
        if source.random() >= self.chance.rate or self._given.total() >= self.chance.most or not self._kinds[at]:
            return None
        kind = source.choice(self._kinds[at])
        if self._given[at, kind] >= self.chance.most_each:
            return None
        self._given[at, kind] += 1
        return self._fault(at, kind, source)

    def _fault(self, at: str, kind: str, source: random.Random) -> Fault:
        status = source.choice(_UNDECIDED + _REFUSALS)
        seconds = {
            "slow": source.uniform(0, self.chance.slow_s),
            "slow_body": source.uniform(0, self.chance.slow_s),
            "stuck": source.uniform(0, self.chance.stuck_s),
            "lag": source.uniform(*_LAGS_S),
            "skew": source.uniform(-_MOST_SKEW_S, _MOST_SKEW_S),
        }
        return Fault(
            at=at,
            fault=kind,
            status=status,
            after_commit=source.random() < 0.5 and (kind == "html" or (kind == "status" and status in _UNDECIDED)),  # noqa: PLR2004 - even
            retry_after_s=source.choice((None, 0, 1)),
            seconds=seconds.get(kind),
            rows=source.randint(0 if kind == "expire" else 1, _MOST_ROWS),
            state=source.choice(("", "backwards")),
        )


def _eligible(chance: Chance, at: str) -> tuple[str, ...]:
    if chance.at and not any(fnmatchcase(at, pattern) for pattern in chance.at):
        return ()
    kinds = (kind for kind in catalogue.kinds_at(at) if not any(fnmatchcase(kind, pattern) for pattern in chance.never))
    return tuple(kind for kind in kinds if not chance.kinds or any(fnmatchcase(kind, pattern) for pattern in chance.kinds))
