import logging

import pytest

from detectors.credentials import SLICE, detector
from detectors.normalize import normalize

# Put together here, so that no scanner takes this file for a leak.
AWS = "AKIA" + "Z7Q4MNB2XW5TR3PL"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def found(text: str) -> set[str]:
    return {text[finding.start : finding.end] for finding in detector().detect([normalize(text)])[0].findings}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param(f"aws_access_key_id = {AWS}", AWS, id="aws"),
        pytest.param(f"remote https://x:{GITHUB}@example.org", GITHUB, id="github"),
        pytest.param("postgres://app:tr0ub4dor@db.example.org/x", "tr0ub4dor", id="basic-auth"),
        pytest.param("-----BEGIN RSA PRIVATE KEY-----", "BEGIN RSA PRIVATE KEY", id="private-key"),
        pytest.param("DB_PASSWORD=tr0ub4dor&3", "tr0ub4dor&3", id="env"),
        pytest.param('password = "correct-horse-battery"', "correct-horse-battery", id="code"),
        pytest.param("User: global\nPassword: 9cmccfcd", "9cmccfcd", id="note"),
        pytest.param("x" * SLICE * 3 + " " + AWS, AWS, id="far-into-a-long-line"),
    ],
)
def test_secrets(text: str, secret: str) -> None:
    assert secret in found(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("password = os.environ['DB_PASSWORD']", id="environment"),
        pytest.param("password: <your password>", id="placeholder"),
        pytest.param("API_KEY=${API_KEY}", id="variable"),
        pytest.param("password: ********", id="masked"),
        pytest.param("Your password must have eight characters; the secret is practice.", id="prose"),
        pytest.param("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", id="commit"),
        pytest.param("key findings: revenue rose", id="key-findings"),
    ],
)
def test_not_secrets(text: str) -> None:
    assert found(text) == set()


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert found(f"key {AWS}")
    assert AWS not in caplog.text
