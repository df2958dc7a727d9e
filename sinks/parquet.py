"""Results: one deterministic Parquet file per shard, replaced by rename. The same rows give the same bytes, whatever order they came in.

Invariants kept here:
- Sensitivity is inherited (7): rows lie under a root named by their classes; every root but `clean` is 0700 and its files 0600.
- Exactly one current result (6): writing a file again with the same rows changes nothing.
- Content hashes are keyed (5): the caller passes the digest function, `functools.partial(keys.hmac, "result")`.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from policies.model import CLEAN
from sinks import durable
from sinks.columns import FIXED_SCHEMA, storable, typed_fields, typed_values
from sinks.errors import ResultsError

CLEAN_ROOT = "clean"
RESTRICTED_ROOT = "restricted"
EXPLICIT_ROWS = "rows.parquet"

_OPEN_FOLDER, _OPEN_FILE = 0o755, 0o644
_GROUP_FOLDER, _GROUP_FILE = 0o750, 0o640
_LONGEST_ROOT = 200  # file systems take 255 bytes in a name
_CENT = Decimal(1).scaleb(-9)
_NAMES = tuple(sorted(FIXED_SCHEMA.names))
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Status(StrEnum):
    """What became of a document."""

    COMPLETED = "completed"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One row of a result file. output: text, or JSON text for an extraction.

    error_code: the reason code of a held or failed row; `low_confidence` on a completed one that a person should review.
    weights_digest, lora_digest: SHA-256 of what answered, where the lane knows it. chunks: as `LaneResult.chunks`.
    """

    record_id: str
    run_id: str
    task: str
    status: Status
    source: str | None = field(default=None, repr=False)
    source_id: str | None = field(default=None, repr=False)
    template_hash: str | None = None
    output: str | None = field(default=None, repr=False)
    data_classes: tuple[str, ...] = ()
    lane: str | None = None
    endpoint: str | None = None
    model: str | None = None
    revision: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: Decimal | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    confidence: float | None = None
    weights_digest: str | None = None
    lora_digest: str | None = None
    chunks: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResults:
    """A written file: its digest, and its records in file order (`result_row` counts from 0) with the digest of each row."""

    path: Path
    digest: str
    record_ids: tuple[str, ...]
    row_digests: tuple[str, ...]


def root_name(data_classes: Sequence[str], *, partial: bool = False) -> str:
    """The restricted root that rows of these classes lie under: `clean`, or the classes joined by `+`.

    partial: the scan stopped early, so the record may carry further classes, a seemingly clean one too; it lies under `restricted`, for
    readers cleared for all.
    """
    restricted = sorted(set(data_classes) - {CLEAN})
    if partial:
        return RESTRICTED_ROOT
    if not restricted:
        return CLEAN_ROOT
    name = "+".join(restricted)
    return name if len(name) <= _LONGEST_ROOT else f"{name[:_LONGEST_ROOT]}+{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def write_results(
    path: Path,
    rows: Sequence[ResultRow],
    schema: Mapping[str, Any] | None = None,
    *,
    digest: Callable[[bytes], str],
    group: str | None = None,
) -> WrittenResults:
    """Write the rows, ordered by record id, to `path`, whose folder is the root they lie under; replaces what was there.

    schema: the JSON Schema of an extraction, for the typed columns. group: who may read this restricted root beside its owner.
    Raises ResultsError when a record comes twice, when a row is more restricted than its root, or when the file cannot be written.
    """
    ordered = sorted(rows, key=lambda row: row.record_id)
    if len({row.record_id for row in ordered}) < len(ordered):
        raise ResultsError(f"{path}: a record has two rows in one result file; expected one row per record")
    if path.parent.name == CLEAN_ROOT and any(root_name(row.data_classes) != CLEAN_ROOT for row in ordered):
        raise ResultsError(f"{path}: a restricted row was about to be written under `{CLEAN_ROOT}`; write it under its own root")
    columns = _columns(ordered)
    data = _file_bytes(columns, schema)
    try:
        _prepare_root(path.parent, group)
        durable.replace(path, data, mode=_file_mode(path.parent, group), group=None if path.parent.name == CLEAN_ROOT else group)
    except OSError as error:
        raise ResultsError(
            f"{path}: the results cannot be written ({error.strerror}); free the disk or check the folder, run again"
        ) from error
    except LookupError:
        raise ResultsError(f"{path}: this machine has no group {group!r}; create it or change the job's output group") from None
    return WrittenResults(
        path=path,
        digest=digest(data.tobytes()),
        record_ids=tuple(columns["record_id"]),
        row_digests=tuple(map(digest, _canonical_rows(columns))),
    )


def _columns(rows: Sequence[ResultRow]) -> dict[str, list[Any]]:
    """The values of each fixed column; costs in the file's own unit."""
    columns = {name: [getattr(row, name) for row in rows] for name in FIXED_SCHEMA.names}
    columns["cost_usd"] = [None if value is None else value.quantize(_CENT) for value in columns["cost_usd"]]
    return columns


def _file_bytes(columns: Mapping[str, list[Any]], schema: Mapping[str, Any] | None) -> memoryview:
    """The Parquet file of these rows, in this order: the same rows and schema give the same bytes."""
    typed = typed_fields(schema)
    fixed = [_array(one, columns[one.name]) for one in FIXED_SCHEMA]
    extra = typed_values(typed, columns["output"])
    table = pa.Table.from_arrays(
        [*fixed, *extra.values()], schema=pa.schema([*FIXED_SCHEMA, *(one.remove_metadata() for one in typed.values())])
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=3, version="2.6", data_page_version="1.0", row_group_size=65_536)
    return buffer.getbuffer()


def _array(one: pa.Field, values: list[Any]) -> pa.Array:
    if one.name == "chunks":
        values = [None if value is None else [{"start": start, "end": end} for start, end in value] for value in values]
    elif one.type == pa.string():
        try:
            return pa.array(values, one.type)
        except UnicodeEncodeError:
            values = [None if value is None else storable(value) for value in values]
    return pa.array(values, one.type)


def _canonical_rows(columns: Mapping[str, list[Any]]) -> Iterator[bytes]:
    """Each row as JSON text in UTF-8, in the order of the names: what a row's digest is made of."""
    texts = [_texts(name, columns[name]) for name in _NAMES]
    form = "{" + ",".join(f"{_encoded(name)}:%s" for name in _NAMES) + "}"
    return ((form % row).encode("utf-8", "replace") for row in zip(*texts, strict=True))


def _texts(name: str, values: list[Any]) -> list[str]:
    """The values of one column as JSON text. A value that is repeated is written once."""
    if name == "cost_usd":
        values = [None if value is None else str(value) for value in values]
    elif FIXED_SCHEMA.field(name).type == pa.float64():  # of these, equal ones may be written differently: 0.0 and -0.0
        return ["null" if value is None else _encoded(value) for value in values]
    known = {value: _encoded(value) for value in set(values)}
    return [known[value] for value in values]


def _prepare_root(root: Path, group: str | None) -> None:
    clean = root.name == CLEAN_ROOT
    mode = _OPEN_FOLDER if clean else (_GROUP_FOLDER if group else durable.PRIVATE_FOLDER)
    root.mkdir(mode=mode, parents=True, exist_ok=True)
    if not clean:
        if group:
            shutil.chown(root, group=group)
        root.chmod(mode)  # it may have been made by hand, or under another umask


def _file_mode(root: Path, group: str | None) -> int:
    if root.name == CLEAN_ROOT:
        return _OPEN_FILE
    return _GROUP_FILE if group else durable.PRIVATE_FILE
