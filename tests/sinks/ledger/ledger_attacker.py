"""An attacker who holds the ledger's host: rewrites its files, recomputes whatever needs no private key, and may own a key himself.

Trees and leaves are those of the independent verifier, so that nothing here leans on the writer's code.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from docs import verify_ledger as independent

Sign = Callable[[str, str], str]  # the text of a note, and the note that was there: the new note


@dataclass(frozen=True)
class Segment:
    """Rows and footer of one Parquet file."""

    rows: pa.Table
    footer: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Segment:
        metadata = pq.read_metadata(path).metadata
        footer = {key.decode(): value.decode() for key, value in metadata.items() if key != b"ARROW:schema"}
        return cls(pq.read_table(path), footer)

    def write(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # it may be a second name of a file that is elsewhere, too
        with pq.ParquetWriter(path, self.rows.schema.remove_metadata(), compression="zstd") as writer:
            writer.write_table(self.rows)
            writer.add_key_value_metadata(dict(self.footer))


def segment_files(ledger: Path) -> list[Path]:
    return sorted((ledger / "segments").glob("*.parquet"))


def note_of(path: Path) -> str:
    return Segment.read(path).footer["waybill.checkpoint"]


def numbered(rows: pa.Table, first: int) -> pa.Table:
    return rows.set_column(0, rows.schema.field(0), pa.array(range(first, first + rows.num_rows), pa.int64()))


def keep_signature(text: str, before: str) -> str:
    """What somebody without a key can do: put the old signature under the new text."""
    return text + "\n" + before.partition("\n\n")[2]


@dataclass(frozen=True)
class Forger:
    """A key of the attacker's own, under the name of the ledger he attacks."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return b"\x01" + self.private.public_key().public_bytes_raw()

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.public).digest()[:4]

    @property
    def key(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(self.public).decode()}"

    def sign(self, text: str, before: str) -> str:
        signature = self.key_hash + self.private.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"


def reseal(ledger: Path, tables: Sequence[pa.Table], *, after: int = 0, sign: Sign = keep_signature, key: str | None = None) -> None:
    """Write all segments but the first few anew with these rows, and with numbers, trees, footers and digests that agree."""
    files = segment_files(ledger)
    old = [Segment.read(file) for file in files]
    frontier: list[independent.Subtree] = []
    digest, size = "0" * 64, 0
    for number, rows in enumerate(tables, start=1):
        before = old[min(number, len(old)) - 1]
        table = numbered(rows, size + 1)
        leaves = [leaf for batch in table.combine_chunks().to_batches() for leaf in independent.leaf_hashes(batch)]
        independent.push_leaves(frontier, size, leaves)
        first, size = size + 1, size + len(leaves)
        file = ledger / "segments" / f"{number:08}.parquet"
        if number > after:
            footer = _footer(before.footer, frontier, sign, number=number, first=first, size=size, digest=digest)
            Segment(table, footer | ({"waybill.verifier_key": key} if key else {})).write(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for file in files[len(tables) :]:
        file.unlink()
    (ledger / "checkpoint").write_text(note_of(segment_files(ledger)[-1]), encoding="utf-8")


def _footer(
    before: Mapping[str, str], frontier: list[independent.Subtree], sign: Sign, *, number: int, first: int, size: int, digest: str
) -> dict[str, str]:
    root = base64.b64encode(independent.root(frontier)).decode()
    name, key_id = f"waybill/{before['waybill.ledger_id']}", before["waybill.key_id"]
    version = before["waybill.schema_version"]
    text = f"{name}\n{size}\n{root}\nsegment {number}\nprevious {digest}\nkey_id {key_id}\nschema {version}\n"
    return {
        **before,
        "waybill.segment": str(number),
        "waybill.last_segment": str(number),
        "waybill.first_seq": str(first),
        "waybill.last_seq": str(size),
        "waybill.tree_size": str(size),
        "waybill.frontier": ",".join(root.hex() for _, _, root in frontier),
        "waybill.checkpoint": sign(text, before["waybill.checkpoint"]),
    }


def archive(ledger: Path, first: int, last: int, name: str) -> str:
    """Put copies of these segments into an archive file, as compaction does; returns its digest."""
    parts = [Segment.read(ledger / "segments" / f"{number:08}.parquet") for number in range(first, last + 1)]
    footer = {
        **parts[-1].footer,
        "waybill.first_seq": parts[0].footer["waybill.first_seq"],
        "waybill.first_segment": str(first),
        "waybill.checkpoints": json.dumps([part.footer["waybill.checkpoint"] for part in parts], ensure_ascii=False),
    }
    (ledger / "archive").mkdir(exist_ok=True)
    Segment(pa.concat_tables([part.rows for part in parts]), footer).write(ledger / "archive" / name)
    return hashlib.sha256((ledger / "archive" / name).read_bytes()).hexdigest()
