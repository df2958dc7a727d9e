import base64
import bz2
import gzip
import io
import json
import lzma
import random
import re
import textwrap
import zipfile
import zlib

import pytest

from detectors.encodings import FEWEST_TURNS, OPAQUE_BASE64, OPAQUE_HEX, UNDECODABLE_RUN, decoded_runs
from detectors.normalize import normalize
from detectors.texture import texture_of
from detectors.unpacking import MOST_UNPACKED

SECRET = "Jane Roe 123-45-6789"


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


DER = b"\x30\x82\x04\xb0" + noise(1200)


def nested(text: str, layers: int) -> str:
    for _ in range(layers):
        text = base64.b64encode(text.encode()).decode()
    return text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(SECRET, 1), id="base64"),
        pytest.param(base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="), id="base64-url-unpadded"),
        pytest.param(nested(SECRET, 3), id="base64-three-deep"),
        pytest.param(
            "\n".join(base64.b64encode(((SECRET + ". ") * 9).encode()).decode()[i : i + 76] for i in range(0, 280, 76)), id="base64-wrapped"
        ),
        pytest.param(base64.b64encode(SECRET.encode("utf-16-le")).decode(), id="base64-utf16"),
        pytest.param("q=Jane%20Roe%20123%2D45%2D6789", id="percent"),
        pytest.param("".join(f"&#{ord(letter)};" for letter in SECRET), id="entities"),
        pytest.param("".join(f"\\x{ord(letter):02x}" for letter in SECRET), id="escapes"),
        pytest.param(SECRET.encode().hex(), id="hex"),
        pytest.param(SECRET.encode().hex(" "), id="hex-spaced"),
    ],
)
def test_encoded_text_is_laid_open(text: str) -> None:
    assert "123-45-6789" in normalize(text).text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(base64.b64encode(noise(OPAQUE_BASE64)).decode(), id="base64-of-bytes"),
        pytest.param(noise(OPAQUE_HEX).hex(), id="hex-of-bytes"),
        pytest.param("data:image/png;base64," + base64.b64encode(b"\x89PNG" + noise(9000)).decode(), id="page-sized-picture"),
        pytest.param(
            "-----BEGIN PGP MESSAGE-----\n" + base64.b64encode(noise(900)).decode() + "\n-----END PGP MESSAGE-----", id="encrypted"
        ),
    ],
)
def test_a_long_run_that_does_not_decode_is_reported(text: str) -> None:
    assert normalize("before " + text).failures == {UNDECODABLE_RUN}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("sha512-" + base64.b64encode(noise(64)).decode(), id="integrity-hash"),
        pytest.param(noise(64).hex(), id="sha512-hex"),
        pytest.param("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", id="uuid"),
        pytest.param("https://track.example/c/" + base64.urlsafe_b64encode(noise(120)).decode(), id="tracking-link"),
        pytest.param("data:image/png;base64," + base64.b64encode(b"\x89PNG" + noise(1200)).decode(), id="icon"),
        pytest.param("-----BEGIN CERTIFICATE-----\n" + base64.b64encode(DER).decode() + "\n-----END CERTIFICATE-----", id="certificate"),
        pytest.param("ssh-rsa " + base64.b64encode(b"\x00\x00\x00\x07ssh-rsa" + noise(540)).decode() + " me@host", id="public-key"),
        pytest.param("ACGT" * 400 + " MKVLA" * 5, id="sequence"),
        pytest.param("3141592653" * 200, id="many-digits"),
        pytest.param("internationalization cardiovascular electroencephalography", id="long-words"),
        pytest.param("100% of 20% and 5%2 each", id="per-cent"),
    ],
)
def test_ids_hashes_and_public_keys_are_ordinary(text: str) -> None:
    assert decoded_runs(text, str)[1] == frozenset()


def wrapped(run: str, width: int) -> str:
    return "\n".join(run[place : place + width] for place in range(0, len(run), width))


LONG = "Patient Jane Roe, SSN 123-45-6789, was seen today."
RUNS = {
    **{f"base64 at {width}": wrapped(base64.b64encode(LONG.encode()).decode(), width) for width in (4, 8, 12, 16, 20, 33, 60)},
    "base64 with something before it": "data64" + base64.b64encode(LONG.encode()).decode(),
    "base64 with bytes around the text": base64.b64encode(noise(30) + LONG.encode() + noise(30)).decode(),
    "gzip": base64.b64encode(gzip.compress(LONG.encode(), mtime=0)).decode(),
    "base32": base64.b32encode(LONG.encode()).decode(),
    "base85": base64.b85encode(LONG.encode()).decode(),
    "decimal": " ".join(str(code) for code in LONG.encode()),
    "binary": " ".join(f"{code:08b}" for code in LONG.encode()),
    "hex dump": "\n".join(
        f"{place:08x}: {LONG.encode()[place : place + 16].hex(' ', 2)}  {LONG[place : place + 16]}" for place in range(0, len(LONG), 16)
    ),
}


@pytest.mark.parametrize("apart", [" , ", " | ", " / ", ";  ", ", \n"])
@pytest.mark.parametrize("base", ["d", "03o", "02x"])
def test_codes_are_read_however_they_are_set_apart(base: str, apart: str) -> None:
    assert SECRET in normalize("please see below\n" + apart.join(format(code, base) for code in SECRET.encode())).text


@pytest.mark.parametrize("apart", [(", ", " "), (", ", "/"), (" , ", "-")])
def test_codes_are_read_with_changing_marks_between_them(apart: tuple[str, str]) -> None:
    codes = "".join(f"{code:02x}{apart[place % 2]}" for place, code in enumerate(SECRET.encode())).rstrip(" ,/-")
    assert SECRET in normalize("please see below\n" + codes).text


def test_codes_with_a_bare_x_before_each_are_read() -> None:
    assert SECRET in normalize("please see below " + " ".join(f"x{code:02x}" for code in SECRET.encode())).text


QUIET_WORDS = b"PatIENT \njAne \nRoe\n\n"
QUIET = {
    "base32": base64.b32encode(QUIET_WORDS).decode(),
    "base32 in lower case": base64.b32encode(QUIET_WORDS).decode().lower(),
    "base32 in groups": " ".join(textwrap.wrap(base64.b32encode(QUIET_WORDS).decode(), 8)),
    "base32 in rows": wrapped(base64.b32encode(QUIET_WORDS).decode(), 16),
    "ascii85": base64.a85encode(b" SSN 123-45-6789 Roe").decode(),
    "base85": base64.b85encode(b"SSN 123-45-6789 of Roe").decode(),
}
"""Hardly a letter in these is beside a digit or changes its case."""


@pytest.mark.parametrize("run", QUIET.values(), ids=QUIET)
def test_a_packed_run_that_hardly_turns_is_read(run: str) -> None:
    text = f"please see below\n{run}\nand file it"
    said = [decoded for _, _, decoded in decoded_runs(text)[0]]
    assert texture_of(text).turns < FEWEST_TURNS
    assert any(plain in decoded for decoded in said if decoded for plain in ("123-45-6789", QUIET_WORDS.decode()))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_finding_points_at_the_run_that_holds_it(run: str) -> None:
    text = f"Please find the note below.\n\n{run}\n\nIt came in this morning."
    found = normalize(text)
    place = found.text.find("123-45-6789")
    assert place >= 0
    start, end = found.original(place, place + 11)
    assert text.index(run[:4]) - 1 <= start < end <= text.index(run) + len(run)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((b"Salted__" + noise(20)).hex(), id="hex-of-a-sealed-file"),
        pytest.param(base64.b64encode(b"Salted__" + noise(40)).decode(), id="openssl"),
        pytest.param("-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.b64encode(noise(90)).decode(), id="age"),
        pytest.param(base64.b64encode(gzip.compress(noise(200), mtime=0)).decode(), id="gzip-of-bytes"),
        pytest.param(base64.b64encode(gzip.compress(LONG.encode() * 9, mtime=0)[:60]).decode(), id="gzip-cut-short"),
        pytest.param(base64.b64encode(gzip.compress(b"a" * (MOST_UNPACKED + 1), mtime=0)).decode(), id="bomb"),
        pytest.param(nested(LONG, 4), id="base64-four-deep"),
        pytest.param("to you" + "\u200b\u200c" * 30 + "rs", id="zero-width-bits"),
        pytest.param("\u2815\u2801\u281e\u280a\u2811\u281d\u281e\u2800\u281a\u2815\u2811\u281d\u281e\u2801", id="braille"),
    ],
)
def test_what_is_sealed_or_too_deep_is_reported(text: str) -> None:
    assert UNDECODABLE_RUN in normalize("see below " + text).failures


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n".join(noise(20 + index)[:20].hex() for index in range(40)), id="git-hashes"),
        pytest.param("\n".join(f"    --hash=sha256:{noise(32).hex()} \\" for _ in range(40)), id="lock-file"),
        pytest.param("\n".join(f"3f2504e0-4f89-11d3-9a0c-0305e82c33{index:02x}" for index in range(40)), id="uuids"),
        pytest.param(
            "-----BEGIN PGP SIGNATURE-----\n"
            + wrapped(base64.b64encode(b"\x89\x02\x58" + noise(600)).decode(), 64)
            + "\n=aB3d\n-----END PGP SIGNATURE-----",
            id="pgp",
        ),
        pytest.param("Scores: 82, 91, 75, 68, 88, 93, 71, 64, 79, 85, 90, 77", id="scores"),
        pytest.param("getElementsByClassName addEventListener XMLHttpRequest encodeURIComponent", id="camel-case"),
        pytest.param("W e l c o m e to the P I C N I C", id="wide-heading"),
        pytest.param("internationally\ncharacteristics\nrecommendations\nacknowledgement", id="word-list"),
    ],
)
def test_ordinary_lists_are_left_alone(text: str) -> None:
    assert normalize(text).failures == frozenset()


def armoured(kind: str, packed: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{wrapped(base64.b64encode(packed).decode(), 64)}\n-----END {kind}-----"


def encoded(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


def zipped(comment: bytes = b"", between: bytes = b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("note.txt", "A harmless note about the river. " * 4)
        archive.comment = comment
    return held.getvalue().replace(b"PK\x01\x02", between + b"PK\x01\x02", 1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(encoded(b"\xff\xd8\xff\xe0" + noise(9000)), id="photograph"),
        pytest.param("/" + encoded(noise(60_000)), id="slash-before-bytes"),
        pytest.param("ssh-rsa " + encoded(noise(540)), id="no-key"),
        pytest.param("ssh-rsa " + encoded(b"\x00\x00\x00\x07ssh-rsa" + noise(4000)), id="key-too-long"),
        pytest.param(armoured("CERTIFICATE", noise(1200)), id="no-certificate"),
        pytest.param(armoured("CERTIFICATE", DER + noise(9)), id="certificate-with-a-rest"),
        pytest.param(armoured("PGP SIGNATURE", noise(600)), id="no-signature"),
        pytest.param(armoured("CERTIFICATE", gzip.compress(noise(300))), id="gzip-as-certificate"),
        pytest.param(encoded(gzip.compress(b"a harmless text") + noise(40)), id="bytes-behind-gzip"),
        pytest.param(encoded(zipped(between=noise(300))), id="bytes-inside-zip"),
        pytest.param(wrapped(encoded(noise(600)), 20), id="narrow-rows"),
        pytest.param("\n" + textwrap.indent(wrapped(encoded(noise(600)), 76), " " * 12), id="indented-rows"),
        pytest.param("\n" + textwrap.indent(wrapped(encoded(noise(600)), 40), "> > "), id="quoted-rows"),
    ],
)
def test_what_only_looks_harmless_is_reported(text: str) -> None:
    assert decoded_runs("see below " + text, str)[1] == {UNDECODABLE_RUN}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(armoured("CERTIFICATE", SECRET.encode() * 3), id="certificate"),
        pytest.param(armoured("PGP SIGNATURE", gzip.compress(SECRET.encode())), id="signature"),
        *(
            pytest.param(encoded(pack(b"hello, a harmless text") + pack(SECRET.encode())), id=f"second-stream-{pack.__module__}")
            for pack in (gzip.compress, bz2.compress, zlib.compress, lzma.compress)
        ),
        pytest.param(encoded(gzip.compress(b"hello") + bz2.compress(SECRET.encode())), id="second-stream-of-another-kind"),
        pytest.param(encoded(gzip.compress(b"hello") + SECRET.encode()), id="plain-behind-gzip"),
        pytest.param(encoded(zipped(comment=SECRET.encode())), id="zip-comment"),
        pytest.param(encoded(b"\x0a\x08Jane Doe\x12\x0b123-45-6789\x1a\x0a1961-02-03"), id="fields-with-lengths"),
        pytest.param(encoded(b"SSN\x00123-45-6789\x00DOB\x001961-02-03"), id="fields-with-zeros"),
    ],
)
def test_text_behind_a_harmless_front_is_laid_open(text: str) -> None:
    assert "123-45-6789" in normalize("see below " + text).text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("/srv/projects/riverStone/source/main/java/org/example/store" * 12, id="path"),
        pytest.param("\n".join(f"/usr/share/doc/packages/documentation/examples/part{index}/index" for index in range(40)), id="paths"),
        pytest.param(armoured("CERTIFICATE", DER), id="certificate"),
        pytest.param("\n".join(noise(20 + index)[-20:].hex() for index in range(80)), id="git-hashes"),
        pytest.param("\n".join(f"https://example.org/watch/{encoded(noise(15 + index)[-15:])}" for index in range(80)), id="links"),
        pytest.param("\n".join(f"{index:03} {encoded(noise(15 + index)[-15:])}" for index in range(80)), id="numbered-ids"),
        pytest.param(armoured("PGP PUBLIC KEY BLOCK", b"\x99\x01\x0d" + noise(269) + b"\xc2\xc1\x00" + noise(448)), id="pgp-key"),
        pytest.param(encoded(zipped()), id="zip"),
        pytest.param("sha256=FH4uww6re50OUT_BfdoWSLCDUqk8LvmQ2_j5RhF5nLQ,910", id="digest-with-the-first-bytes-of-gzip"),
    ],
)
def test_what_is_as_it_looks_is_ordinary(text: str) -> None:
    assert decoded_runs("see below " + text, str)[1] == frozenset()


def test_all_runs_and_layers_share_one_limit() -> None:
    one = encoded(bz2.compress(b"river stone 12 " * 60_000))
    many = "\n\nand ".join([one] * 40)
    for text in (many, encoded(bz2.compress(many.encode()))):
        runs, failures = decoded_runs("hello " + text, str)
        assert sum(len(decoded) for _, _, decoded in runs) <= 2 * MOST_UNPACKED
        assert failures == {UNDECODABLE_RUN}
    assert decoded_runs("hello " + one, str)[1] == frozenset()


NOTES = {
    "number": "Diagnosis: diabetes.\n536-22-1234\nFollow-up in three weeks.",
    "table": "name\tssn\tdiagnosis\nClara Vogel\t536-22-1234\tdiabetes",
    "path": "from the ward/536-22-1234",
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_letter_of_a_json_escape_is_no_part_of_the_number_behind_it(note: str, layers: int) -> None:
    text = note.replace("/", "\\/")
    for _ in range(layers):
        text = json.dumps({"note": text})
    runs, failures = decoded_runs(text)
    assert any(re.search(r"\b536-22-1234\b", said) for _, _, said in runs)
    assert not failures


def test_an_escape_of_each_kind_beside_the_other() -> None:
    runs, _ = decoded_runs(r"ward\n536\u002d22\u002d1234 and")
    assert "ward\n536-22-1234 and" in {said for _, _, said in runs}
