"""Physical lines of a text table with their byte offsets, in any encoding that tables come in, none longer than a limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from flows.sources.text import decode

SKIP_BYTES = 1024 * 1024
WIDE = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line with its end of line. sure: its bytes were text. too_long: cut off, and the rest skipped."""

    text: str = field(repr=False)
    size: int
    sure: bool = True
    too_long: bool = False


class LineReader:
    """Reads on from a byte offset up to `stop`; `offset` and `line` are those of the next line."""

    def __init__(self, stream: BinaryIO, *, encoding: str, offset: int, line: int, stop: int, max_bytes: int) -> None:
        self._stream = stream
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._stop = stop
        self.seek(offset, line)

    def seek(self, offset: int, line: int) -> None:
        """Go on at the line that begins at `offset`."""
        self._stream.seek(offset)
        self.offset, self.line = offset, line

    def read(self) -> Line | None:
        """The next line, or None at the end of the span."""
        if self.offset >= self._stop:
            return None
        raw = self._read_raw()
        if not raw:
            return None
        self.line += 1
        self.offset += len(raw)
        if len(raw) > self._max_bytes:
            self.offset += self._skip_line(raw)
            return Line(text="", size=self._max_bytes, too_long=True)
        try:
            return Line(text=raw.decode(self._encoding), size=len(raw))
        except UnicodeError:
            text, _ = decode(raw) if self._encoding not in WIDE else (raw.decode(self._encoding, "replace"), False)
            return Line(text=text, size=len(raw), sure=False)

    def _read_raw(self) -> bytes:
        if self._encoding not in WIDE:
            return self._stream.readline(self._max_bytes + 1)
        raw = b""
        while len(raw) <= self._max_bytes:
            more = self._stream.readline(self._max_bytes + 1 - len(raw))
            if len(raw + more) % 2:
                more += self._stream.read(1)
            raw += more
            if not more or raw.endswith(WIDE[self._encoding]):
                break
        return raw

    def _skip_line(self, raw: bytes) -> int:
        end = WIDE.get(self._encoding, b"\n")
        skipped = 0
        while raw and not raw.endswith(end):
            raw = self._stream.readline(SKIP_BYTES)
            if self._encoding in WIDE and len(raw) % 2:
                raw += self._stream.read(1)
            skipped += len(raw)
        return skipped
