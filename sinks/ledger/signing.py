"""The key that signs checkpoints. It lies beside the HMAC key, outside the ledger folder: who holds the ledger alone cannot sign for it.

signing.key        Ed25519, PKCS8 PEM, 0600
signing.pub        the verifier key, one line for each ledger that uses this folder: what an auditor pins
signing.key.next   the key that a rotation is about to hand over to

A rotation is an entry, signed by the old key, that names the new one; only then does the new key take the old one's place. Killed between
the two, the next writer finds the entry and finishes what was begun.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sinks import durable
from sinks.errors import KeyMissingError, LedgerError, LedgerUnavailableError
from sinks.ledger.note import NoteError, VerifierKey, sign

PRIVATE, PUBLIC, NEXT = "signing.key", "signing.pub", "signing.key.next"
PUBLIC_MODE = 0o644
NOT_THE_OWNER = 0o077


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key of one ledger, under the name that its notes carry. Its `repr` shows the public half."""

    verifier: VerifierKey
    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.verifier})"

    def sign(self, text: str) -> str:
        """The signed note over this text."""
        return sign(text, self.verifier.name, self.key)


def ensure_key(folder: Path, *, ledger_empty: bool) -> None:
    """Make the signing key when the ledger is still empty. Raises KeyMissingError when a ledger that is not empty has lost its key."""
    with _reachable(folder):
        if (folder / PRIVATE).exists():
            return
        if not ledger_empty:
            raise KeyMissingError(
                f"{folder / PRIVATE}: the ledger is not empty, but its signing key is missing; restore it from your backup "
                "(what is there can still be verified)"
            )
        _create(folder / PRIVATE)


def load(folder: Path, name: str) -> Signer:
    """The signer with this name. Raises KeyMissingError when the key is absent, damaged or open to others."""
    with _reachable(folder):
        return _load(folder / PRIVATE, name)


def load_for(folder: Path, verifier: VerifierKey) -> Signer:
    """The signer whose public half is `verifier`, a rotation that was cut short included. Raises KeyMissingError when it is not here."""
    with _reachable(folder):
        signer = _load(folder / PRIVATE, verifier.name)
        if signer.verifier == verifier:
            return signer
        with locked(folder):
            if (folder / NEXT).exists() and _load(folder / NEXT, verifier.name).verifier == verifier:
                adopt(folder, verifier)
            signer = _load(folder / PRIVATE, verifier.name)
    if signer.verifier != verifier:
        raise KeyMissingError(
            f"{folder / PRIVATE}: the ledger is signed by the key {verifier.hash.hex()}, but the key at hand is "
            f"{signer.verifier.hash.hex()}; restore the right one"
        )
    return signer


def prepare_next(folder: Path, name: str) -> Signer:
    """The key that a rotation will hand over to; the one of a rotation that was cut short is used again. Call within `locked`."""
    with _reachable(folder):
        if not (folder / NEXT).exists():
            _create(folder / NEXT)
        return _load(folder / NEXT, name)


def adopt(folder: Path, verifier: VerifierKey) -> None:
    """Put the next key, now that the log names it, in the place of the old one. Call within `locked`."""
    with _reachable(folder):
        (folder / NEXT).replace(folder / PRIVATE)
        durable.sync_folder(folder)
        publish(folder, verifier)


def publish(folder: Path, verifier: VerifierKey) -> None:
    """Have `signing.pub` say this ledger's verifier key, beside those of other ledgers that use the folder."""
    file = folder / PUBLIC
    with _reachable(folder):
        lines = published(folder)
        wanted = [line for line in lines if line.partition("+")[0] != verifier.name] + [str(verifier)]
        if sorted(lines) != sorted(wanted):
            durable.replace(file, "".join(f"{line}\n" for line in wanted).encode(), mode=PUBLIC_MODE)


def published(folder: Path) -> list[str]:
    """The verifier keys in `signing.pub`; none when there is no such file."""
    try:
        return [line for line in (folder / PUBLIC).read_text(encoding="utf-8").splitlines() if line]
    except FileNotFoundError:
        return []


def verifier_keys(text: str) -> list[VerifierKey]:
    """The keys in the text of a key file, one a line. Raises LedgerError when a line is none."""
    try:
        return [VerifierKey.parse(line) for line in text.splitlines() if line.strip()]
    except NoteError as error:
        raise LedgerError(f"the key file holds {error}; pin the line that `waybill ledger key` prints") from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time changes keys."""
    with _reachable(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnavailableError(
            f"{folder}: the signing key cannot be read or written ({error.strerror}); nothing is sent until it can"
        ) from error


def _create(file: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Of two processes that start together, one links its key; the other uses that one.
    with contextlib.suppress(FileExistsError):
        durable.link_new(file.with_name(f".tmp-{secrets.token_hex(8)}"), file, text, mode=durable.PRIVATE_FILE)


def _load(file: Path, name: str) -> Signer:
    try:
        if file.stat().st_mode & NOT_THE_OWNER:
            raise KeyMissingError(f"{file}: the signing key can be read by others; run `chmod 600` on it")
        key = load_pem_private_key(file.read_bytes(), password=None)
    except FileNotFoundError:
        raise KeyMissingError(f"{file}: the signing key is missing; restore it from your backup") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyMissingError(f"{file}: expected an Ed25519 key in PEM, found something else; restore the key from your backup")
    return Signer(VerifierKey(name, key.public_key().public_bytes_raw()), key)
