"""The keys under which content is hashed. They live outside the ledger folder, so that who holds the ledger cannot guess short texts.

Invariant 5: every hash of content that is stored or sent is keyed; a bare hash of a nine-digit number is the number.
Digests are HMAC-SHA-256 cut to 128 bits, under one subkey per purpose, so that digests of different purposes never compare equal.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from sinks import durable
from sinks.errors import KeyMissingError, LedgerUnavailableError

KEY_FILE = "hmac.key"
KEY_BYTES = 32
DIGEST_BYTES = 16
RECORD_ID_DIGITS = 24
OTHERS = 0o007


class Keys:
    """The HMAC keys of one ledger. `key_id` is their fingerprint: it may be stored and shown, the key may not.

    `folder`: where they came from, and where the signing key lies; None for keys that only ever hash.
    """

    __slots__ = ("_begun", "_secret", "folder", "key_id")

    def __init__(self, secret: bytes, folder: Path | None = None) -> None:
        self._secret = secret
        self.folder = folder
        self._begun: dict[str, tuple[hashlib._Hash, hashlib._Hash]] = {}
        self.key_id = self.hmac("key-id", b"")

    def __repr__(self) -> str:
        return f"Keys(key_id={self.key_id!r})"

    @classmethod
    def open(cls, path: Path, *, ledger_empty: bool) -> Keys:
        """The keys in the folder `path`; made on first use, when the ledger is still empty.

        Raises KeyMissingError when a non-empty ledger's keys are absent or damaged, LedgerUnavailableError when they cannot be reached.
        """
        file = path / KEY_FILE
        try:
            if not file.exists():
                if not ledger_empty:
                    raise KeyMissingError(
                        f"{file}: the ledger is not empty, but its HMAC key is missing; restore it from your backup "
                        "(a new key could not be compared with the digests already in the ledger)"
                    )
                _create(path, file)
            return cls(_read(file), path)
        except OSError as error:
            raise LedgerUnavailableError(f"{file}: the HMAC key cannot be read or created ({error.strerror}); check the folder") from error

    def hmac(self, purpose: str, data: bytes) -> str:
        """Keyed digest of `data` for one purpose (`part`, `payload`, `shard`, `result`, …): 32 hex digits."""
        begun = self._begun.get(purpose)
        if begun is None:
            begun = self._begun[purpose] = _begin(hmac.digest(self._secret, b"waybill " + purpose.encode(), "sha256"))
        inner, outer = begun[0].copy(), begun[1].copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.hexdigest()[: 2 * DIGEST_BYTES]

    def part_hmacs(self, parts: Mapping[str, str]) -> dict[str, str]:
        """Keyed digest of each sendable string of a record, by slot name."""
        # surrogatepass: text with a lone surrogate can be read from a bad file; it must be hashed, not crash the night.
        return {slot: self.hmac("part", text.encode("utf-8", "surrogatepass")) for slot, text in parts.items()}

    def document_hmac(self, part_hmacs: Mapping[str, str]) -> str:
        """Keyed digest of a whole record, from the digests of its parts: the gate checks a handed-over part map against it."""
        return self.hmac("document", _length_prefixed([item for slot in sorted(part_hmacs) for item in (slot, part_hmacs[slot])]))

    def record_id(self, source: str, source_id: str | None, member: str = "") -> str:
        """The opaque id of a record: `r` and 24 hex digits. `member` tells the members of a family apart."""
        present = () if source_id is None else (source_id,)
        return "r" + self.hmac("record", _length_prefixed((source, member, *present)))[:RECORD_ID_DIGITS]


def _begin(subkey: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC-SHA-256 (RFC 2104) as far as it does not depend on the data, the inner and the outer hash: to be copied, once a digest.

    A night asks for ten digests a record, of short texts: setting the key up anew was most of the work.
    """
    key = subkey.ljust(hashlib.sha256().block_size, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in key)), hashlib.sha256(bytes(byte ^ 0x5C for byte in key))


def default_path(ledger: Path) -> Path:
    """Where the keys of a ledger are by default: beside its folder, never in it."""
    return ledger.with_name(ledger.name + ".keys")


def _length_prefixed(items: Iterable[str]) -> bytes:
    encoded = [item.encode("utf-8", "surrogatepass") for item in items]
    return b"".join([len(item).to_bytes(8, "big") + item for item in encoded])


def _create(path: Path, file: Path) -> None:
    path.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
    # Of two processes that start together, one links its key; the other reads that one.
    with contextlib.suppress(FileExistsError):
        text = secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n"
        durable.link_new(path / f".tmp-{secrets.token_hex(8)}", file, text, mode=durable.PRIVATE_FILE)


def _read(file: Path) -> bytes:
    if file.stat().st_mode & OTHERS:
        raise KeyMissingError(f"{file}: the HMAC key can be read by everyone on this machine; run `chmod 600` on it")
    try:
        secret = bytes.fromhex(file.read_text(encoding="ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeyMissingError(f"{file}: expected {KEY_BYTES} bytes in hex, found something else; restore the key from your backup")
    return secret
