import base64
import random

import pytest

from detectors.encodings import OPAQUE_BASE64, OPAQUE_HEX, UNDECODABLE_RUN, decoded_runs
from detectors.normalize import normalize

SECRET = "Jane Roe 123-45-6789"


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)  # noqa: S311 - reproducible noise, no secret


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
        pytest.param(
            "-----BEGIN CERTIFICATE-----\n" + base64.b64encode(noise(1200)).decode() + "\n-----END CERTIFICATE-----", id="certificate"
        ),
        pytest.param("ssh-rsa " + base64.b64encode(noise(540)).decode() + " me@host", id="public-key"),
        pytest.param("ACGT" * 400 + " MKVLA" * 5, id="sequence"),
        pytest.param("3141592653" * 200, id="many-digits"),
        pytest.param("internationalization cardiovascular electroencephalography", id="long-words"),
        pytest.param("100% of 20% and 5%2 each", id="per-cent"),
    ],
)
def test_ids_hashes_and_public_keys_are_ordinary(text: str) -> None:
    assert decoded_runs(text)[1] == frozenset()
