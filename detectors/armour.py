"""Blocks of certificates, public keys and signatures: told by the bytes in them, not by the words around them.

They are decoded and scanned like any other run. Only that they stay unreadable is no news, if they are what they claim to be.
"""

from __future__ import annotations

import base64
import binascii
import re

HARMLESS_ARMOUR = re.compile(
    r"-----BEGIN (?:CERTIFICATE|PUBLIC KEY|RSA PUBLIC KEY|PGP SIGNATURE|PGP PUBLIC KEY BLOCK|SSH SIGNATURE|X509 CRL)-----"
)
LONGEST_ARMOUR = 16_000
LARGEST_BLOCK = 4096
LARGEST_KEY = 2048
HEADER_OR_CHECKSUM = re.compile(r"(?m)^[ \t>]*(?:[A-Z][A-Za-z]{2,20}: [^\n]{0,200}|=[A-Za-z0-9+/]{4})[ \t\r]*$")
PUBLIC_KEY_LINE = re.compile(r"\b(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S{1,30}) $")
SEQUENCE, SSH_SIGNATURE = 0x30, b"SSHSIG"
LONG_FORM = 0x80
PGP_PACKET, PGP_NEW_FORMAT = 0x80, 0x40
PGP_TAGS = frozenset({2, 6, 13, 14})
"""Signature, public key, user id, public subkey."""
PGP_ONE_BYTE, PGP_TWO_BYTES = 192, 224


def armour(text: str) -> list[tuple[int, int]]:
    """Blocks that hold what their first line says."""
    if "-----BEGIN " not in text:
        return []
    blocks: list[tuple[int, int]] = []
    for match in HARMLESS_ARMOUR.finditer(text):
        end = text.find("-----", match.end(), match.end() + LONGEST_ARMOUR)
        if end > 0 and text.startswith("-----END ", end) and _as_claimed(text[match.end() : end]):
            blocks.append((match.start(), end))
    return blocks


def public_key(before: str, packed: bytes) -> bool:
    """Whether these bytes are the key that the words before them announce (RFC 4253, section 6.6)."""
    announced = PUBLIC_KEY_LINE.search(before)
    if announced is None or len(packed) > LARGEST_KEY:
        return False
    name = announced.group(1).encode()
    return packed.startswith(len(name).to_bytes(4, "big") + name)


def _as_claimed(body: str) -> bool:
    try:
        packed = base64.b64decode(re.sub(r"[\s>]", "", HEADER_OR_CHECKSUM.sub("", body)), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(packed) <= LARGEST_BLOCK and (packed.startswith(SSH_SIGNATURE) or _der(packed) or _pgp(packed))


def _der(packed: bytes) -> bool:
    """One DER sequence, as long as it says (X.690, section 8.1.3)."""
    if packed[:1] != bytes([SEQUENCE]) or len(packed) < LONG_FORM:
        return False
    size = packed[1] & ~LONG_FORM if packed[1] & LONG_FORM else 0
    return size in {1, 2} and len(packed) == 2 + size + int.from_bytes(packed[2 : 2 + size], "big")


def _pgp(packed: bytes) -> bool:
    """OpenPGP packets of signatures and public keys, end to end (RFC 9580, section 4.2)."""
    place = 0
    while place < len(packed):
        first, new = packed[place], packed[place] & PGP_NEW_FORMAT
        tag = first & 0x3F if new else (first >> 2) & 0xF
        place += 1
        if new:
            octet = packed[place] if place < len(packed) else PGP_TWO_BYTES
            if octet < PGP_ONE_BYTE:
                place, size = place + 1, octet
            elif octet < PGP_TWO_BYTES:
                place, size = place + 2, ((octet - PGP_ONE_BYTE) << 8) + int.from_bytes(packed[place + 1 : place + 2], "big") + PGP_ONE_BYTE
            else:
                return False
        else:
            width = 1 << (first & 3)
            place, size = place + width, int.from_bytes(packed[place : place + width], "big")
        if not first & PGP_PACKET or tag not in PGP_TAGS:
            return False
        place += size
    return 0 < place == len(packed)
