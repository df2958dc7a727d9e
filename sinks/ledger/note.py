"""Checkpoints as signed notes, in the formats that existing transparency-log tools read.

C2SP signed-note (https://c2sp.org/signed-note): text, a blank line, then lines `— key-name base64(key hash || Ed25519 signature)`.
C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint): the text is origin, tree size, base64 root, then extension lines; ours say which
segment was committed, the digest of the segment file before it, the HMAC key's fingerprint and the schema version.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sinks.ledger.tree import HASH_BYTES

ED25519 = b"\x01"  # the algorithm byte of signed-note
KEY_HASH_BYTES = 4
KEY_BYTES = 32
SIGNATURE_BYTES = 64
NO_PREVIOUS = "0" * 64
"""What the first segment says of the file before it."""

_NAME = re.compile(r"[^\s+]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


class NoteError(ValueError):
    """Not a note, key or checkpoint in the form that is expected, or not signed by the key. Says which, quotes nothing."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """The four bytes that say in a signature whose it is."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_HASH_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key in `name+hash+base64`. Raises NoteError."""
        name, _, rest = text.strip().partition("+")
        digest, _, encoded = rest.partition("+")
        blob = _decoded(encoded)
        if not _NAME.fullmatch(name) or blob[:1] != ED25519 or len(blob) != 1 + KEY_BYTES:
            raise NoteError("not an Ed25519 verifier key (name+hash+base64)")
        key = cls(name, blob[1:])
        if digest != key.hash.hex():
            raise NoteError("a verifier key whose hash is not that of its name and key")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is signed of the whole log at each commit."""

    origin: str
    size: int
    root: bytes
    segment: int
    previous: str
    key_id: str
    schema: int

    def text(self) -> str:
        """The lines that are signed."""
        root = base64.b64encode(self.root).decode()
        own = f"segment {self.segment}\nprevious {self.previous}\nkey_id {self.key_id}\nschema {self.schema}\n"
        return f"{self.origin}\n{self.size}\n{root}\n{own}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in these lines; only the one way to write it is accepted. Raises NoteError."""
        lines = text.split("\n")
        names = ["segment", "previous", "key_id", "schema"]
        if len(lines) != 4 + len(names) or lines[-1]:
            raise NoteError("not a checkpoint of seven lines")
        extensions = [line.partition(" ") for line in lines[3:-1]]
        if [name for name, _, _ in extensions] != names:
            raise NoteError(f"a checkpoint without the lines {', '.join(names)}")
        segment, previous, key_id, schema = (value for _, _, value in extensions)
        root = _decoded(lines[2])
        if not all(map(_NUMBER.fullmatch, (lines[1], segment, schema))) or not _HEX_DIGEST.fullmatch(previous) or len(root) != HASH_BYTES:
            raise NoteError("a checkpoint with a line that is not in its form")
        checkpoint = cls(
            origin=lines[0], size=int(lines[1]), root=root, segment=int(segment), previous=previous, key_id=key_id, schema=int(schema)
        )
        if checkpoint.text() != text:
            raise NoteError("a checkpoint that is not written in the one way")
        return checkpoint


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The note: this text, signed under this key name."""
    verifier = VerifierKey(name, key.public_key().public_bytes_raw())
    signature = base64.b64encode(verifier.hash + key.sign(text.encode())).decode()
    return f"{text}\n— {name} {signature}\n"


def text_of(note: str) -> str:
    """The signed lines of a note, whoever signed them. Raises NoteError."""
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n") or any(not line.startswith("— ") for line in signatures[:-1].split("\n")):
        raise NoteError("not a signed note")
    return text + "\n"


def verify(note: str, key: VerifierKey) -> str:
    """The signed lines, once a signature by `key` is found and holds; signatures of others are passed over. Raises NoteError."""
    text = text_of(note)
    for line in note[len(text) + 1 : -1].split("\n"):
        _, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        blob = _decoded(encoded)
        if name != key.name or blob[:KEY_HASH_BYTES] != key.hash:
            continue
        if len(blob) != KEY_HASH_BYTES + SIGNATURE_BYTES:
            raise NoteError("a signature of the wrong length")
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(blob[KEY_HASH_BYTES:], text.encode())
        except InvalidSignature:
            raise NoteError("the signature does not hold") from None
        return text
    raise NoteError(f"not signed by the key {key.hash.hex()} of {key.name}")


def _decoded(text: str) -> bytes:
    """Standard base64, written in the one way; nothing where it is not."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""
