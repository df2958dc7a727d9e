"""Globs over relative paths: `*` and `?` stay within one folder, `**` crosses folders; without `/`, a file name anywhere."""

from __future__ import annotations

import functools
import re
import unicodedata


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether any pattern matches this posix path. Case counts, on every file system; how an accent is composed does not."""
    name = unicodedata.normalize("NFC", path)
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    prefix = "" if "/" in pattern or pattern == "**" else r"(?:.*/)?"
    pattern = unicodedata.normalize("NFC", pattern)
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]/]+\])", pattern.removeprefix("/"))
    return re.compile(prefix + "".join(_piece(piece) for piece in pieces), re.DOTALL)


def _piece(piece: str) -> str:
    known = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    if piece in known:
        return known[piece]
    if piece.startswith("[") and piece.endswith("]") and len(piece) > len("[]"):
        inside = piece[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(piece)
