"""The emulator's time: the wall clock plus an offset, so that a day of a provider's passes in a millisecond.

The offset lies in `clock.json` in the state folder. Whoever changes it (`advance`, `POST /_emulator/clock`) moves the time of a
running emulator and of every later one over the same folder. It never goes back.
"""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

from sinks.emulator.disk import keep
from sinks.errors import EmulatorError

_LOOK_AGAIN_S = 0.2
_MOST_S = 10 * 365 * 24 * 3600.0


def advance(folder: Path, seconds: float) -> float:
    """Move the time of the emulator over `folder`, running or not, and return the whole offset. Raises EmulatorError."""
    if not math.isfinite(seconds) or seconds < 0:
        raise EmulatorError(f"expected seconds to advance by, 0 or more, found {seconds}")
    offset = min(_offset(folder / "clock.json") + seconds, _MOST_S)
    keep(folder / "clock.json", json.dumps({"offset_s": offset}).encode())
    return offset


class Clock:
    """The time of one state folder, and waiting for it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "clock.json"
        self._stamp: tuple[int, int] | None = None
        self._offset = 0.0
        self._condition = threading.Condition()
        self._woken = False

    def now(self) -> float:
        """Seconds since the epoch, in the emulator's time."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return time.time() + self._offset
        if (stamp := (status.st_mtime_ns, status.st_ino)) != self._stamp:
            self._offset, self._stamp = _offset(self._path), stamp
        return time.time() + self._offset

    def advance(self, seconds: float) -> float:
        """Move on, wake whoever waits, and return the new time."""
        advance(self._folder, seconds)
        self.wake()
        return self.now()

    def wake(self) -> None:
        """Let `wait` return at once."""
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def wait(self, until: float | None) -> None:
        """Return at `until`, or when woken. The file may be changed by others, so it is looked at a few times a second."""
        with self._condition:
            while not self._woken and (until is None or self.now() < until):
                left = math.inf if until is None else until - self.now()
                self._condition.wait(min(max(left, 0.0), _LOOK_AGAIN_S))
            self._woken = False


def _offset(path: Path) -> float:
    try:
        value = json.loads(path.read_bytes())["offset_s"]
        offset = float(value)
    except FileNotFoundError:
        return 0.0
    except (ValueError, TypeError, KeyError):
        raise EmulatorError(f'{path}: expected {{"offset_s": SECONDS}}; remove the file to be back at the wall clock') from None
    if not 0 <= offset <= _MOST_S:
        raise EmulatorError(f"{path}: expected an offset of 0 to ten years, found {offset} s")
    return offset
