"""What a night has left behind, read without the code under test: segments as Parquet, receipts as files, digests by hand."""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

CANARY = b"quetzalcoatl-"
CARRIES = {
    "openai.files.create": "body",
    "anthropic.batches.create": "params",
    "bedrock.s3.put": "modelInput",
    "bedrock.s3.read": "modelInput",
}
"""Operations whose requests carry rows, and under which name a row has its payload."""

READ_BACK = "bedrock.s3.read"
"""Of what was put there before."""

_ROW_IDS = {"body": "custom_id", "params": "custom_id", "modelInput": "recordId"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRow:
    """A row that a provider got. payload_hmac: keyed digest of its canonical body, made here.

    outdated: the policy that had been replaced when it arrived, by its hash.
    """

    row_id: str
    payload_hmac: str
    outdated: str
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A batch that a provider made. intent: the first twelve digits, by its rows, else by its label. twin: a fault made it."""

    job_id: str
    intent: str
    twin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that is judged.

    entries: the ledger's rows by seq. results: every row of every result file. received, raw: rows that arrived, and the bytes that they
    came in. spool: names of what lies there. leaks: files with a canary that must have none. injected: faults. secret: the key of digests.
    """

    entries: tuple[dict[str, Any], ...]
    results: tuple[dict[str, Any], ...]
    received: tuple[ReceivedRow, ...]
    raw: tuple[bytes, ...] = field(repr=False)
    created: tuple[Created, ...]
    spool: tuple[str, ...]
    leaks: tuple[str, ...]
    injected: int
    secret: bytes = field(default=b"", repr=False)


def look(folder: Path) -> Seen:
    """Read a night's folder."""
    out, state = folder / "out", folder / "emulator"
    secret = _secret(out / "ledger.keys" / "hmac.key")
    bodies = list(_bodies(state))
    note = folder / "revised.json"
    revised: dict[str, Any] = json.loads(note.read_bytes()) if note.exists() else {"received": math.inf, "policy_hash": ""}
    return Seen(
        entries=tuple(_entries(out / "ledger")),
        results=tuple(row for path in sorted(out.glob("results/**/*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()),
        received=tuple(
            row
            for number, operation, body in bodies
            for row in _rows(operation, body, secret, outdated=revised["policy_hash"] if number > revised["received"] else "")
        ),
        raw=tuple(body for _, _, body in bodies),
        created=tuple(_created(state)),
        spool=tuple(sorted(path.name for path in (out / "spool").glob("*/*"))),
        leaks=tuple(_leaks(folder)),
        injected=len(_lines(state / "injected.jsonl")),
        secret=secret,
    )


def _entries(ledger: Path) -> list[dict[str, Any]]:
    paths = [*ledger.glob("segments/[0-9]*.parquet"), *ledger.glob("archive/*.parquet")]
    found = {row["seq"]: row for path in paths for row in pq.ParquetFile(path).read().to_pylist()}
    return [found[seq] for seq in sorted(found)]


def _secret(path: Path) -> bytes:
    return bytes.fromhex(path.read_text()) if path.exists() else b""


def document_hmac(text: str, secret: bytes) -> str:
    """Of a document that is nothing but its text: the digest of the names and digests of its parts, each with its length before it."""
    items = (b"text", _digest("part", text.encode(), secret).encode())
    return _digest("document", b"".join(len(item).to_bytes(8, "big") + item for item in items), secret)


def _payload_hmac(body: Any, secret: bytes) -> str:
    return _digest("payload", json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(), secret)


def _digest(purpose: str, content: bytes, secret: bytes) -> str:
    """As docs/ledger-format.md has it: a subkey for the purpose, 128 bits of HMAC-SHA-256."""
    return hmac.digest(hmac.digest(secret, f"waybill {purpose}".encode(), "sha256"), content, "sha256")[:16].hex()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _bodies(state: Path) -> Iterator[tuple[int, str, bytes]]:
    for number, entry in enumerate(_lines(state / "received.jsonl"), start=1):
        if entry["body"]:
            yield number, str(entry["operation"]), (state / entry["body"]).read_bytes()


def _rows(operation: str, body: bytes, secret: bytes, *, outdated: str) -> Iterator[ReceivedRow]:
    name = CARRIES.get(operation)
    if name is None:
        return
    if operation == READ_BACK:
        outdated = ""
    for row in _trees(operation, body):
        if name in row:
            text = json.dumps(row[name], ensure_ascii=False)
            yield ReceivedRow(row_id=str(row[_ROW_IDS[name]]), payload_hmac=_payload_hmac(row[name], secret), outdated=outdated, body=text)


def _trees(operation: str, body: bytes) -> Iterator[dict[str, Any]]:
    """The rows in a request; what was cut off in the middle is in no row, but in `raw`."""
    if operation == "anthropic.batches.create":
        try:
            yield from json.loads(body)["requests"]
        except ValueError:
            return
    for line in body.split(b"\n"):
        if line.startswith(b"{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _created(state: Path) -> Iterator[Created]:
    jobs: dict[str, dict[str, Any]] = {}
    for entry in _lines(state / "created.jsonl"):
        jobs.setdefault(entry["job"], {}).update(entry)
    for name, entry in jobs.items():
        intents = entry.get("intents") or [entry["label"].rpartition("-")[2] or entry["label"]]
        yield Created(job_id=name, intent=str(intents[0])[:12], twin=bool(entry.get("twin")))


def _leaks(folder: Path) -> Iterator[str]:
    """Where a canary is that should not be: inputs, results and what the provider keeps are its only places."""
    ours = ("inbox", "emulator", "out/results", "out/spool")  # what may lie in the spool is judged apart
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(ours) or not path.is_file():
            continue
        if CANARY in path.read_bytes() or CANARY.decode() in name or (path.suffix == ".parquet" and _in_table(path)):
            yield name


def _in_table(path: Path) -> bool:
    """Parquet is compressed: look at what it says."""
    return CANARY.decode() in str(pq.ParquetFile(path).read().to_pylist())
