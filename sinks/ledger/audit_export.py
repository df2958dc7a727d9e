"""A self-contained copy of a ledger for an outside auditor: the sealed files, views over them by relative paths, and how to check it.

Segments and archive files never change, so that a copy taken while the night runs is the ledger as of one commit. Keys are never in it,
names only where they are asked for. The copy appears under its name in full or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template

import pyarrow.parquet as pq

from sinks import durable
from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files, views
from sinks.ledger.seal import Seal, SealError
from sinks.ledger.segments import CHECKPOINT, FILE_MODE, FOLDER_MODE
from sinks.ledger.sources import SOURCES_SCHEMA

VERIFIER = "verify_ledger.py"
README = "README.md"
_VERIFIER_AT = Path(__file__).parents[2] / "docs" / VERIFIER  # not part of the installed package: a checkout has it
_README_TEMPLATE = Path(__file__).with_name("audit_export.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditExport:
    """What was copied: so many entries in so many files, up to and with segment `segment`."""

    path: Path
    entries: int
    segment: int
    files: int


def export(ledger: Path, target: Path, *, now: datetime, names: bool = False) -> AuditExport:
    """Copy the ledger, as it is now, to `target`, a folder that does not exist yet or is empty. names: the sources map, too.

    Raises LedgerError when it cannot be made there, LedgerUnavailableError when the ledger cannot be read.
    """
    ledger, target = ledger.resolve(), target.resolve()
    if not files.head(ledger):
        raise LedgerError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
    if target.is_relative_to(ledger):
        raise LedgerError(f"{target}: is inside the ledger; choose a folder outside it")
    if "," in str(target.parent):
        raise LedgerError(f"{target}: DuckDB cannot make relative views below a folder with a comma in its name; choose another")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LedgerError(f"{target}: is there already; choose a folder that is not, nothing is overwritten")
    copy = target.with_name(f".tmp-export-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy.mkdir(mode=FOLDER_MODE)
        paths = _copy_files(ledger, copy)
        seal = _seal_of(paths[-1])
        _add_names(ledger, copy, names=names)
        views.write(copy, views.whole_script(copy, root=Path()))
        _write(copy / CHECKPOINT, seal.checkpoint)
        if _VERIFIER_AT.is_file():
            _write(copy / VERIFIER, _VERIFIER_AT.read_text(encoding="utf-8"))
        _write(copy / README, _readme(seal, now=now, names=names))
        copy.replace(target)
        durable.sync_folder(target.parent)
    except OSError as error:
        raise LedgerError(f"{target}: the copy cannot be made ({error.strerror or type(error).__name__}); nothing was left there") from None
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return AuditExport(path=target, entries=seal.last_seq, segment=seal.segment, files=len(paths))


def _copy_files(ledger: Path, copy: Path) -> list[Path]:
    """Copy the files that hold every entry once."""
    for folder in (files.SEGMENTS, files.ARCHIVE):
        (copy / folder).mkdir(mode=FOLDER_MODE)
    return _copied(lambda: files.snapshot(ledger)[1], ledger, copy, mode=FILE_MODE)


def _copied(listed: Callable[[], list[Path]], ledger: Path, copy: Path, *, mode: int) -> list[Path]:
    """Copy the files that are listed. One that went meanwhile was merged into another: list them again."""
    while True:
        paths, copies = listed(), list[Path]()
        try:
            for path in paths:
                copies.append(copy / path.relative_to(ledger))
                _copy_file(path, copies[-1], mode=mode)
        except FileNotFoundError:
            for half in copies:
                half.unlink(missing_ok=True)
            if listed() == paths:
                raise
        else:
            return copies


def _copy_file(path: Path, copied: Path, *, mode: int) -> None:
    with path.open("rb") as source, copied.open("xb") as file:
        copied.chmod(mode)
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())


def _seal_of(path: Path) -> Seal:
    try:
        return Seal.parse(files.footer(path))
    except SealError as error:
        raise LedgerUnavailableError(f"{path.name}: {error}; run `waybill audit verify --deep`, restore the ledger from a copy") from None


def _add_names(ledger: Path, copy: Path, *, names: bool) -> None:
    """The map, or an empty one, which the view over it needs."""
    folder = copy / files.SOURCES
    folder.mkdir(mode=durable.PRIVATE_FOLDER if names else FOLDER_MODE)
    if names:
        named = ledger / files.SOURCES
        _copied(lambda: [path for _, path in files.numbered(named)], ledger, copy, mode=durable.PRIVATE_FILE)
    else:
        empty = files.numbered_path(folder, 0)
        pq.write_table(SOURCES_SCHEMA.empty_table(), empty)
        empty.chmod(FILE_MODE)


def _write(path: Path, text: str) -> None:
    durable.write_new(path, text.encode(), mode=FILE_MODE)


def _readme(seal: Seal, *, now: datetime, names: bool) -> str:
    return Template(_README_TEMPLATE.read_text(encoding="utf-8")).substitute(
        ledger_id=seal.ledger_id,
        made_at=f"{now:%Y-%m-%d %H:%M} UTC",
        entries=seal.last_seq,
        segment=seal.segment,
        checkpoint=seal.checkpoint.rstrip("\n"),
        verifier_key=seal.verifier_key,
        names="The names of records are in `sources/`: keep this copy as private as they are."
        if names
        else "Names are not in it: the view `sources` is there, and empty.",
    )
