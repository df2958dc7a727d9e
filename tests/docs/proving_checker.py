"""Checks a proof of `waybill audit prove --record` by the words of docs/proving.md alone: `python proving_checker.py FILE [KEY]`."""

import base64
import hashlib
import json
import struct
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FLOATS, TIMES, DECIMALS, EVIDENCE = ("score", "confidence", "max_score"), ("at", "expiry"), ("cost_usd",), "entity count max_score detector"


def need(true: object, why: str) -> None:
    if not true:
        sys.exit(f"does not hold: {why}")


def net(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


def value(name: str, shown: Any) -> bytes:
    if isinstance(shown, list):
        rows = [b"".join(net(value(part, one[part])) for part in EVIDENCE.split()) if name == "evidence" else one.encode() for one in shown]
        return b"".join(map(net, rows))
    if name in TIMES:
        return b"%d" % ((datetime.fromisoformat(shown) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    if name in DECIMALS:
        return b"%d" % int(Decimal(shown).scaleb(9))
    if name in FLOATS and not isinstance(shown, str):
        return b"%d" % struct.unpack(">q", struct.pack(">d", shown))[0]
    return (shown if isinstance(shown, str) else json.dumps(shown)).encode()


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    need(bool(path) == (size > 1), "a path of another length")
    if size == 1:
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    left = root_of(leaf, index, half, path[:-1]) if index < half else path[-1]
    right = path[-1] if index < half else root_of(leaf, index - half, size - half, path[:-1])
    return hashlib.sha256(b"\1" + left + right).digest()


def opened(note: str, key: str) -> tuple[int, bytes]:
    text, _, signature = note.rpartition("\n\n")
    name, key_hash, encoded = key.split("+", 2)
    dash, signer, blob = signature.removesuffix("\n").split(" ")
    public, signed, lines = base64.b64decode(encoded), base64.b64decode(blob), text.split("\n")
    need((dash, signer, lines[0]) == ("—", name, name), "another ledger")
    need(signed[:4].hex() == key_hash == hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8], "another key")
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signed[4:], text.encode() + b"\n")
    return int(lines[1]), base64.b64decode(lines[2])


def entry(one: dict[str, Any], size: int, root: bytes) -> dict[str, Any]:
    parts = {name: value(name, shown) for name, shown in one["entry"].items()}
    canonical = b"".join(b"%s:%d:%s\n" % (name.encode(), len(parts[name]), parts[name]) for name in sorted(parts))
    leaf = hashlib.sha256(b"\0" + canonical).digest()
    need((canonical, leaf) == (base64.b64decode(one["canonical"]), base64.b64decode(one["leaf_hash"])), "shown as something else")
    need(one["entry"]["seq"] == one["index"] + 1 and 0 <= one["index"] < size, "the number of another entry")
    need(root_of(leaf, one["index"], size, [base64.b64decode(node) for node in one["path"]]) == root, "a path that leads elsewhere")
    said: dict[str, Any] = one["entry"]
    return said


def check(proof: dict[str, Any], pinned: str | None) -> int:
    key = proof["keys"]["first"]
    seen = [key]
    for rotation in proof["keys"]["rotations"]:
        size, root = opened(rotation["checkpoint"], key)
        said = entry(rotation["handover"], size, root)
        need(said["event"] == "key_rotated" and said["seq"] == size, "no hand-over of the key")
        key = said["after"]
        seen.append(key)
    need(key == proof["keys"]["verifier_key"] and (pinned is None or pinned in seen), "a key that nobody pinned")
    size, root = opened(proof["checkpoint"], key)
    entries = [entry(one, size, root) for one in proof["entries"]]
    handed = {one.get("intent_id") for one in entries if one["event"] == "submitting"}
    own = [one.get("record_id", one.get("intent_id") in handed) in {proof["record_id"], True} for one in entries]
    need(own and all(own), "an entry about something else")
    need(all(entry(one, size, root)["event"] == "policy_registered" for one in proof["policies"]), "no policy")
    return len(entries)


if __name__ == "__main__":
    found = check(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2] if len(sys.argv) > 2 else None)
    sys.stdout.write(f"holds: {found} entries\n")
