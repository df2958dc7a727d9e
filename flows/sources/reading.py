"""One batch of references becomes documents. Whatever is wrong with an input becomes its document's `problem`; nothing is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Protocol

from detectors.document import UNSCANNABLE_PROBLEMS, Document, ReadProblem
from detectors.labels import without_removed
from flows.bucket_files import Wanted
from flows.errors import JobError
from flows.job import Job
from flows.sources.batch import Batch, Piece
from flows.sources.duplicates import row_id_of
from flows.sources.extract import Extract
from flows.sources.formats import read_content
from flows.sources.globs import matches
from flows.sources.inheritance import RESULT_COLUMNS, inherited_classes
from flows.sources.labels import declared_by_labels
from flows.sources.opening import CannotReadError, open_file, version_of
from flows.sources.table import BrokenTableError, Row, Span, as_text
from flows.sources.tables import open_table
from flows.sources.text import is_plain, without_surrogates
from flows.sources.walk import shown


class RecordIds(Protocol):
    """Gives opaque record ids: `sinks.ledger.keys.Keys`."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        """The same three always give the same id, under one ledger's keys."""
        ...


def read_batch(batch: Batch, job: Job, keys: RecordIds) -> list[Document]:
    """The batch's documents, in order; never raises for what an input holds."""
    if job.source.bucket is not None:
        whole = [piece for piece in batch.pieces if piece.span is None and piece.problem is None]
        first = {piece.path: _enough(piece, job) for piece in whole}
        job.source.bucket.fetch_ahead(Wanted(name=one.path, first=first[one.path], size=first[one.path] or one.size) for one in whole)
    return [document for piece in batch.pieces for document in _read_piece(piece, job, keys)]


def _read_piece(piece: Piece, job: Job, keys: RecordIds) -> Iterator[Document]:
    if piece.span is not None:
        yield from _read_rows(piece, piece.span, job, keys)
        return
    is_mail = piece.path.lower().endswith(".eml")
    family = keys.record_id(shown(piece.path), None, "") if is_mail else ""
    for extract in _read_file(piece, job):
        source = f"{shown(piece.path)}#{extract.label}" if extract.label else shown(piece.path)
        yield _document(
            job, extract, source=source, record_id=keys.record_id(shown(piece.path), None, extract.member), path=piece.path, family=family
        )


def _read_file(piece: Piece, job: Job) -> list[Extract]:
    if piece.problem is not None:
        return [Extract(problem=piece.problem)]
    limit = job.source.max_document_bytes
    try:
        with open_file(job.source, piece.path, meant=piece.inode, first=_enough(piece, job)) as stream:
            size = os.fstat(stream.fileno()).st_size  # asking for the limit would allocate it for every small file
            content = stream.read(min(size, limit) + 1)
    except CannotReadError as error:
        return [Extract(problem=error.problem)]
    except FileNotFoundError:
        return [Extract(problem=ReadProblem.VANISHED)]
    except OSError:
        return [Extract(problem=ReadProblem.UNREADABLE)]
    return read_content(piece.path, content, limit)


def _enough(piece: Piece, job: Job) -> int | None:
    """How many bytes of a file that is too large are enough to read as far as its reader goes; None for all."""
    limit = job.source.max_document_bytes
    return limit + 1 if piece.size > limit else None


def _read_rows(piece: Piece, span: Span, job: Job, keys: RecordIds) -> Iterator[Document]:
    source = job.source
    numbers = iter(range(span.first_row, span.first_row + span.rows))
    try:
        with open_table(source, piece.path, meant=piece.inode) as table:
            _require_same_file(piece, job)
            rows = table.rows(span, (source.id, source.text, *source.metadata, *RESULT_COLUMNS))
            for row, _ in zip(rows, numbers, strict=False):
                yield _read_row(row, piece.path, job, keys)
        problem = ReadProblem.CORRUPT
    except (CannotReadError, BrokenTableError) as error:
        problem = error.problem
    except (JobError, OSError):  # the table was another one a moment ago, when its columns were checked
        problem = ReadProblem.VANISHED
    # The rows were counted when they were listed: each that is gone keeps its place, by number, as no id can be read now.
    for number in numbers:
        row_name = f"row:{number}"
        record_id = keys.record_id(shown(piece.path), None, row_name)
        yield _document(job, Extract(problem=problem), source=shown(piece.path), record_id=record_id, path=piece.path, source_id=row_name)


def _require_same_file(piece: Piece, job: Job) -> None:
    inode, size = version_of(job.source, piece.path)
    if inode != piece.inode or size < piece.size:
        raise BrokenTableError(ReadProblem.VANISHED)


def _read_row(row: Row, path: str, job: Job, keys: RecordIds) -> Document:
    row_id = without_surrogates(row_id_of(row, job.source.id))[0]
    source = shown(path)
    # A row without an id goes by its place, in a space of its own: the id of another row may well be "line:7".
    record_id = keys.record_id(source, row_id, "") if row_id else keys.record_id(source, None, f"line:{row.line}")
    source_id = row_id or f"line:{row.line}"
    return _document(job, _row_extract(row, job), source=source, record_id=record_id, path=path, source_id=source_id)


def _row_extract(row: Row, job: Job) -> Extract:
    if not row.values:
        return Extract(problem=row.problem or ReadProblem.EMPTY)
    limit = job.source.max_document_bytes
    try:
        text = as_text(row.values.get(job.source.text)) or ""
        metadata = {name: as_text(row.values.get(name)) or "" for name in job.source.metadata}
    except ValueError:
        return Extract(problem=ReadProblem.CORRUPT)
    problem = ReadProblem.TOO_LARGE if len(text) > limit else row.problem
    return Extract(text=text[:limit], metadata=metadata, problem=problem, declared=inherited_classes(row.values))


def _document(
    job: Job, extract: Extract, *, source: str, record_id: str, path: str, family: str = "", source_id: str | None = None
) -> Document:
    text, sure = without_surrogates(extract.text)
    metadata, sure_metadata = _clean_metadata(without_removed(extract.metadata))
    problem = extract.problem
    if problem is None and not (sure and sure_metadata and all(map(is_plain, (text, *metadata.values())))):
        problem = ReadProblem.UNDECODABLE
    if not text or text.isspace() or (problem is not None and problem not in UNSCANNABLE_PROBLEMS):
        text, problem = "", problem or ReadProblem.EMPTY
    names = _names(job, path) if job.source.declared else ()
    declared = extract.declared | declared_by_labels(metadata, job.source.declared)
    declared |= {rule.data_class for rule in job.source.declared for name in names if rule.glob and matches(name, (rule.glob,))}
    return Document(
        record_id=record_id,
        text=text,
        source=source,
        source_id=source_id,
        metadata=metadata,
        family=family,
        declared=declared,
        problem=problem,
    )


def _names(job: Job, path: str) -> tuple[str, ...]:
    """The file's name and, where that is a link, the name of what it leads to: a declaration holds under both."""
    if job.source.bucket is not None:
        return (shown(path),)
    root = os.path.realpath(job.source.root)
    return shown(path), shown(os.path.relpath(os.path.realpath(job.source.root / path), root))


def _clean_metadata(metadata: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    cleaned = {name: without_surrogates(value) for name, value in metadata.items() if value}
    return {without_surrogates(name)[0]: value for name, (value, _) in cleaned.items()}, all(sure for _, sure in cleaned.values())
