"""Counting tokens with a model's own `tokenizer.json`: byte-level BPE, read from a local file. Nothing is downloaded.

It is the family of GPT-4o, Llama 3 and Qwen: the text is cut by the file's patterns, each piece becomes bytes, and pairs are merged in the
file's order (Sennrich, Haddow, Birch 2016; the bytes as in GPT-2). A file that asks for anything else is refused: a count that is almost
right is worse than the bytes, which are a bound. A piece that is longer than any word counts its bytes. Special tokens count as plain text.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from sinks.errors import EndpointError

MAX_BYTES = 64 << 20
LONGEST_PIECE = 512
_CACHED_PIECES = 1 << 16

# The pattern that ByteLevel cuts with where the file names none: GPT-2's, https://github.com/openai/gpt-2/blob/master/src/encoder.py
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

Cut = Callable[[str], list[str]]


class _UnsupportedError(Exception):
    """What in the file is not byte-level BPE as it is read here."""


def load_tokenizer(path: Path, *, endpoint: str) -> Callable[[str], int]:
    """A function that counts the tokens of a text. Raises EndpointError for a file that cannot be used, and says why."""
    where = f"endpoint {endpoint}: settings.tokenizer: {path}"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EndpointError(f"{where}: expected at most {MAX_BYTES} bytes")
        tree = json.loads(path.read_bytes())
        return _counter(tree)
    except OSError as error:
        raise EndpointError(
            f"{where}: expected a readable tokenizer.json ({error.strerror}); correct the path, or remove the key"
        ) from None
    except _UnsupportedError as reason:
        raise EndpointError(f"{where}: {reason}; remove the key, and the bytes of a text are its bound") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise EndpointError(f"{where}: expected the tokenizer.json of a byte-level BPE; remove the key, and bytes are the bound") from None


def _counter(tree: Mapping[str, Any]) -> Callable[[str], int]:
    normalize, cuts = _normalizer(tree.get("normalizer")), _cuts(tree.get("pre_tokenizer"))
    count = _merger(tree["model"])

    def tokens(text: str) -> int:
        pieces = [normalize(text)]
        for cut in cuts:
            pieces = [part for piece in pieces for part in cut(piece)]
        return sum(map(count, pieces))

    return tokens


def _normalizer(tree: Mapping[str, Any] | None) -> Callable[[str], str]:
    if tree is None:
        return lambda text: text
    if tree["type"] == "NFC":
        return lambda text: unicodedata.normalize("NFC", text)
    raise _UnsupportedError(f"a normalizer of type {tree['type']} is not supported")


def _cuts(tree: Mapping[str, Any] | None) -> list[Cut]:
    steps: Sequence[Mapping[str, Any]] = [] if tree is None else tree["pretokenizers"] if tree["type"] == "Sequence" else [tree]
    if not steps or steps[-1]["type"] != "ByteLevel":
        raise _UnsupportedError("a pre-tokenizer that does not end in ByteLevel is not supported")
    return [_cut(step) for step in steps]


def _cut(step: Mapping[str, Any]) -> Cut:
    if step["type"] == "ByteLevel":
        pattern = _GPT2 if step.get("use_regex", True) else None
        return _byte_level(_pieces(pattern) if pattern else lambda text: [text], prefix=bool(step.get("add_prefix_space", True)))
    if step["type"] == "Digits":
        return _pieces(r"\p{Nd}" if step.get("individual_digits") else r"\p{Nd}+")
    if step["type"] == "Split" and (step["behavior"], bool(step.get("invert"))) in {("Isolated", False), ("Removed", True)}:
        return _pieces(step["pattern"]["Regex"])
    raise _UnsupportedError(f"a pre-tokenizer of type {step['type']} as it is set is not supported")


def _byte_level(cut: Cut, *, prefix: bool) -> Cut:
    return lambda text: cut(f" {text}" if prefix and not text.startswith(" ") else text)


def _pieces(pattern: str) -> Cut:
    """Matches, and what lies between them, each apart."""
    import regex  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy; `re` knows no \\p{L}

    try:
        find = regex.compile(pattern).finditer
    except regex.error:
        raise _UnsupportedError("a pattern that this program cannot compile") from None

    def cut(text: str) -> list[str]:
        parts, end = [], 0
        for match in find(text):
            parts += [text[end : match.start()], match.group()]
            end = match.end()
        return [part for part in (*parts, text[end:]) if part]

    return cut


def _merger(model: Mapping[str, Any]) -> Callable[[str], int]:
    """A function that counts the tokens of one piece."""
    odd = [name for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback") if model.get(name)]
    if model.get("type") != "BPE" or odd:
        raise _UnsupportedError(f"a model of type {model.get('type')}{f' with {odd[0]}' if odd else ''} is not supported")
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    ranks = {(left, right): rank for rank, (left, right) in enumerate(pairs)}
    whole = frozenset(model["vocab"]) if model.get("ignore_merges") else frozenset()
    letters = _letters()

    @lru_cache(maxsize=_CACHED_PIECES)
    def count(piece: str) -> int:
        data = piece.encode(errors="surrogatepass")
        if len(data) > LONGEST_PIECE:
            return len(data)
        symbols = [letters[byte] for byte in data]
        return 1 if "".join(symbols) in whole else _merged(symbols, ranks)

    return count


def _merged(symbols: list[str], ranks: Mapping[tuple[str, str], int]) -> int:
    """How many symbols are left when no pair can be merged any more: the best pair first, everywhere it stands."""
    last = len(ranks)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, last))
        if best not in ranks:
            break
        merged: list[str] = []
        position = 0
        while position < len(symbols):
            if tuple(symbols[position : position + 2]) == best:
                merged.append(best[0] + best[1])
                position += 2
            else:
                merged.append(symbols[position])
                position += 1
        symbols = merged
    return len(symbols)


def _letters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        table.setdefault(byte, chr(256 + len(table) - len(printable)))
    return [table[byte] for byte in range(256)]
