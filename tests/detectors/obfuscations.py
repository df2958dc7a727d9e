"""Ways to write a text so that a reader (or a model) still understands it and a pattern does not. Pure functions."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import lzma
import quopri
import random
import re
import string
import textwrap
import zlib
from collections.abc import Callable

Obfuscation = Callable[[str], str]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CYRILLIC = str.maketrans(
    "aeopcyxABEKMHOPCTX", "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425"
)
GREEK = str.maketrans(
    "ovABEZHIKMNOPTYX", "\u03bf\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
)
SMALL_CAPITALS = str.maketrans("abcdefghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ")
SCANNED = {
    "l": "1",
    "1": "l",
    "0": "O",
    "O": "0",
    "5": "S",
    "8": "B",
    "m": "rn",
    "rn": "m",
    "cl": "d",
    "e": "c",
    "i": "l",
    "h": "b",
    "u": "ii",
}
COVER = "Dear colleague, the enclosed note came in this morning and is passed on without comment. "


def chance(text: str) -> random.Random:
    """A generator that depends on the text only."""
    return random.Random(zlib.crc32(text.encode()))


def digits_as(spell: Callable[[str], str]) -> Obfuscation:
    return lambda text: re.sub(r"\d", lambda match: spell(match.group()), text)


def between(mark: str, *, every: int = 1) -> Obfuscation:
    """The mark after every so many characters of every word."""
    pattern = re.compile(rf"(\w{{{every}}})(?=\w)")
    return lambda text: pattern.sub(rf"\1{mark}", text)


def shifted(base: int, letters: str) -> Obfuscation:
    """Letters of another block that holds the alphabet in order."""
    table = {ord(letter): chr(base + index) for index, letter in enumerate(letters)}
    return lambda text: text.translate(table)


def packed(encode: Callable[[bytes], bytes], *, width: int = 0) -> Obfuscation:
    """The whole text encoded, behind a cover note; wrapped at a width."""

    def obfuscate(text: str) -> str:
        run = encode(text.encode()).decode("ascii")
        return COVER + "\n\n" + ("\n".join(textwrap.wrap(run, width)) if width else run)

    return obfuscate


def each(write: Callable[[int], str], joint: str = "") -> Obfuscation:
    """Every character by its code."""
    return lambda text: joint.join(write(code) for code in text.encode("ascii", "ignore"))


def scanned(text: str) -> str:
    """Three in a hundred characters misread, two in a hundred blanks lost, as a worn page comes out of a scanner."""
    noise = chance(text)
    out = []
    for character in text:
        if character == " " and noise.random() < 0.02:
            continue
        out.append(SCANNED[character] if character in SCANNED and noise.random() < 0.08 else character)
    return "".join(out)


def scanned_digits(text: str) -> str:
    """Every number with some of its digits read as letters."""
    noise = chance(text)
    letters = {"0": "O", "1": "l", "5": "S", "8": "B"}
    return re.sub(r"[0158]", lambda match: letters[match.group()] if noise.random() < 0.5 else match.group(), text)


def broken_lines(text: str) -> str:
    """Set in a narrow column, long words cut by a hyphen."""
    out, room = [], 24
    for word in text.split(" "):
        if len(word) > 6 and word.isalpha() and room < len(word):
            out.append(f"{word[:3]}-\n{word[3:]} ")
            room = 24
        else:
            out.append(word + " ")
        room = room - len(word) - 1 if room > 0 else 24
    return "".join(out)


def numbers_over_lines(text: str) -> str:
    return re.sub(r"(?<=\d)-(?=\d)", "-\n", text)


def glued(text: str) -> str:
    """Blanks lost between a word and a number, and after colons."""
    return re.sub(r"(?<=[A-Za-z:]) (?=\d)|: ", lambda match: ":" if ":" in match.group() else "", text)


def mojibake(text: str) -> str:
    """UTF-8 taken for Windows-1252, with the hyphens of numbers as dashes before."""
    return re.sub(r"(?<=\d)-(?=\d)", "\u2013", text).replace("'", "\u2019").encode().decode("cp1252", "ignore")


def zalgo(text: str) -> str:
    noise = chance(text)
    return "".join(letter + "".join(noise.choices("\u0316\u0323\u0332\u0347", k=2)) if letter.isalnum() else letter for letter in text)


OBFUSCATIONS: dict[str, Obfuscation] = {
    # The seven kinds that the targets name.
    "spacing": " ".join,
    "spacing without gaps": lambda text: " ".join("".join(text.split())),
    "spaced digits": digits_as(lambda digit: digit + " "),
    "zero-width": between("\u200b"),
    "homoglyph": lambda text: text.translate(CYRILLIC),
    "base64": packed(base64.b64encode, width=76),
    "spelled digits": digits_as(lambda digit: WORDS[int(digit)] + " "),
    "OCR": scanned,
    "upper case": str.upper,
    "lower case": str.lower,
    # Characters.
    "OCR digits": scanned_digits,
    "Greek letters": lambda text: text.translate(GREEK),
    "small capitals": lambda text: text.translate(SMALL_CAPITALS),
    "full width": lambda text: "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text),
    "mathematical bold": shifted(0x1D400, string.ascii_uppercase + string.ascii_lowercase),
    "mathematical script digits": shifted(0x1D7D8, string.digits),
    "circled digits": shifted(0x2460, "123456789"),
    "dingbat digits": shifted(0x2776, "123456789"),
    "Arabic digits": shifted(0x660, string.digits),
    "squared letters": lambda text: shifted(0x1F170, string.ascii_uppercase)(text.upper()),
    "keycap digits": digits_as(lambda digit: digit + "\ufe0f\u20e3"),
    "soft hyphens": between("\u00ad", every=3),
    "word joiners": between("\u2060", every=2),
    "control characters": between("\x01", every=2),
    "terminal colours": digits_as(lambda digit: f"\x1b[1m{digit}\x1b[0m"),
    "struck through": digits_as(lambda digit: digit + "\u0336"),
    "combining marks": zalgo,
    "mojibake": mojibake,
    "tags": lambda text: COVER + "".join(chr(0xE0000 + ord(letter)) for letter in text if letter.isascii() and letter.isprintable()),
    # Layout.
    "set wide with marks": lambda text: re.sub(r"\w+", lambda match: ".".join(match.group()), text),
    "broken lines": broken_lines,
    "numbers over lines": numbers_over_lines,
    "digits one per line": digits_as(lambda digit: digit + "\n"),
    "lost blanks": glued,
    "tags in words": between("<wbr>", every=3),
    "comments in words": between("<!-- -->", every=3),
    # Encodings.
    "base64 at 16": packed(base64.b64encode, width=16),
    "base64 at 20": packed(base64.b64encode, width=20),
    "base64 in fours": lambda text: " ".join(textwrap.wrap(base64.b64encode(text.encode()).decode(), 4)),
    "base64 in one run": packed(base64.b64encode),
    "base64 for URLs": packed(lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")),
    "base64 twice": packed(lambda data: base64.b64encode(base64.b64encode(data))),
    "base64, all of the file": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "gzip": packed(lambda data: base64.b64encode(gzip.compress(data, mtime=0))),
    "zlib": packed(lambda data: base64.b64encode(zlib.compress(data))),
    "bzip2": packed(lambda data: base64.b64encode(bz2.compress(data))),
    "xz": packed(lambda data: base64.b64encode(lzma.compress(data))),
    "base32": packed(base64.b32encode),
    "base32 wrapped": packed(base64.b32encode, width=64),
    "ascii85": packed(base64.a85encode),
    "ascii85 framed": packed(lambda data: base64.a85encode(data, adobe=True)),
    "base85": packed(base64.b85encode),
    "uuencode": lambda text: codecs.encode(text.encode(), "uu").decode(),
    "quoted-printable": lambda text: quopri.encodestring(text.replace("-", "\u2013").encode()).decode(),
    "hex": packed(lambda data: data.hex().encode()),
    "hex wrapped": packed(lambda data: data.hex().encode(), width=60),
    "hex in pairs": each(lambda code: f"{code:02x}", " "),
    "hex with commas": each(lambda code: f"{code:02x}", ", "),
    "hex with prefixes": each(lambda code: f"0x{code:02x}", ", "),
    "decimal codes": each(str, " "),
    "decimal codes with commas": each(str, ","),
    "octal escapes": each(lambda code: f"\\{code:03o}"),
    "octal codes": each(lambda code: f"{code:03o}", " "),
    "binary": each(lambda code: f"{code:08b}", " "),
    "binary in one run": each(lambda code: f"{code:08b}"),
    "\\x": each(lambda code: f"\\x{code:02x}"),
    "\\u": each(lambda code: f"\\u{code:04x}"),
    "\\u{}": each(lambda code: f"\\u{{{code:x}}}"),
    "%u": each(lambda code: f"%u{code:04x}"),
    "U+": each(lambda code: f"U+{code:04X}", " "),
    "percent": each(lambda code: f"%{code:02X}"),
    "percent twice": each(lambda code: f"%25{code:02X}"),
    "entities": each(lambda code: f"&#{code};"),
    "hexadecimal entities": each(lambda code: f"&#x{code:x};"),
    "entities without semicolons": each(lambda code: f"&#{code}"),
    "rich text": lambda text: "{\\rtf1\\ansi " + re.sub(r"(\d)(?=\d)", r"\1{\\b0 }", text).replace("\n", "\\par ") + "}",
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "reversed words": lambda text: re.sub(r"\w+", lambda match: match.group()[::-1], text),
}
