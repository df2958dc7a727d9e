from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sinks.ledger.note import NO_PREVIOUS, Checkpoint, NoteError, VerifierKey, sign, text_of, verify

# The key and note in the tests of the reference implementation, golang.org/x/mod/sumdb/note.
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PRIVATE = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
CHECKPOINT = Checkpoint(
    origin="waybill/0123456789abcdef", size=7, root=bytes(range(32)), segment=2, previous="ab" * 32, key_id="k", schema=2
)


def test_the_reference_note_verifies_and_is_made_alike() -> None:
    key = VerifierKey.parse(KEY)
    assert str(key) == KEY
    assert verify(NOTE, key) == TEXT
    assert sign(TEXT, "PeterNeumann", Ed25519PrivateKey.from_private_bytes(base64.b64decode(PRIVATE)[1:])) == NOTE


def test_signatures_of_others_are_passed_over() -> None:
    other = sign(TEXT, "other", Ed25519PrivateKey.generate()).removeprefix(TEXT + "\n")
    assert verify(TEXT + "\n" + other + NOTE.removeprefix(TEXT + "\n"), VerifierKey.parse(KEY)) == TEXT


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (NOTE.replace("answer", "Answer"), "does not hold"),
        (NOTE.replace("— PeterNeumann", "— PeterNewmann"), "not signed by the key"),
        (NOTE.replace(" x08go", " y08go"), "not signed by the key"),
        (TEXT, "not a signed note"),
        (NOTE[:-1], "not a signed note"),
        (NOTE.replace("—", "-"), "not a signed note"),
        (NOTE.replace("JnAM=\n", "JnAM\n"), "not signed by the key"),
        (TEXT + "\n— PeterNeumann x08go/ZJ\n", "wrong length"),
        ("", "not a signed note"),
    ],
    ids=["text", "name", "key hash", "unsigned", "no last newline", "dash", "base64", "short", "empty"],
)
def test_anything_else_is_refused(note: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        verify(note, VerifierKey.parse(KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        KEY.replace("c7", "c8"),
        KEY.replace("ARpc", "AhpC"),
        KEY[:-2],
        KEY.replace("Peter", "Peter "),
        KEY.replace("+c74f20a3", ""),
    ],
)
def test_mangled_keys_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_a_checkpoint_comes_back_as_it_was_written() -> None:
    assert Checkpoint.parse(CHECKPOINT.text()) == CHECKPOINT
    root = base64.b64encode(CHECKPOINT.root).decode()
    assert CHECKPOINT.text() == f"waybill/0123456789abcdef\n7\n{root}\nsegment 2\nprevious {'ab' * 32}\nkey_id k\nschema 2\n"
    assert text_of(sign(CHECKPOINT.text(), "n", Ed25519PrivateKey.generate())) == CHECKPOINT.text()
    assert len(NO_PREVIOUS) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n-7\n"),
        ("segment 2", "segment 2 "),
        ("previous ab", "previous AB"),
        ("schema 2\n", "schema 2"),
        ("schema 2\n", "schema 2\nmore\n"),
        ("segment 2\n", ""),
        ("AAEC", "AAE"),
        ("key_id k", "key k"),
    ],
)
def test_a_checkpoint_is_written_in_one_way_only(old: str, new: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(CHECKPOINT.text().replace(old, new, 1))
