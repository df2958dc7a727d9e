"""Batches: references to what should be read together. They hold no text, and may be pickled and sent to another process.

Invariants kept here:
- One file, hence one e-mail with its attachments, never lies in two batches; only tables are cut, between rows.
- The same folder gives the same batches, on every machine and every time.
- A batch is bounded by documents and by bytes, so memory does not grow with the night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from detectors.document import ReadProblem
from flows.errors import JobError
from flows.job import Job
from flows.job_parts import Source
from flows.sources.opening import CannotReadError, version_of
from flows.sources.table import SPAN_BYTES, BrokenTableError, Span
from flows.sources.tables import is_table, open_table
from flows.sources.walk import list_files

BATCH_BYTES = SPAN_BYTES
"""A batch ends here even if it has few files; one larger file is a batch by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file, or one span of a table. path: relative to the source. problem: known at listing, the file will not be opened.

    inode, size: of the table that `span` was found in; rows of another file of the same name are not the rows that were meant. Of an
    object in a bucket, table or not, inode is what its ETag gives.
    """

    path: str = field(repr=False)
    span: Span | None = None
    inode: int = 0
    size: int = 0
    problem: ReadProblem | None = None

    @property
    def entries(self) -> int:
        """Rows of a table, or 1 for a file, whose attachments are not known before it is read."""
        return self.span.rows if self.span else 1

    @property
    def weight(self) -> int:
        """Bytes to read."""
        return self.span.stop - self.span.start if self.span else self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is read, decided and committed together. ordinal counts from 0."""

    ordinal: int
    pieces: tuple[Piece, ...]

    @property
    def entries(self) -> int:
        """Files and table rows in it."""
        return sum(piece.entries for piece in self.pieces)


def list_batches(job: Job, *, limit: int | None = None, only: Callable[[str], bool] | None = None) -> Iterator[Batch]:
    """All batches of the job, in order. `limit` (default: the job's) counts files and table rows; an e-mail counts once.

    only: read just these files again, however many, and whether or not the job still includes them.
    """
    most = None if only else limit or job.limit
    ordinal, weight = 0, 0
    pieces: list[Piece] = []
    for piece in _limited(_pieces(job, only), most):
        full = sum(found.entries for found in pieces) + piece.entries > job.batch_size or weight + piece.weight > BATCH_BYTES
        if pieces and full:
            yield Batch(ordinal=ordinal, pieces=tuple(pieces))
            ordinal, weight, pieces = ordinal + 1, 0, []
        pieces.append(piece)
        weight += piece.weight
    if pieces:
        yield Batch(ordinal=ordinal, pieces=tuple(pieces))


def _pieces(job: Job, only: Callable[[str], bool] | None) -> Iterator[Piece]:
    for path in list_files(job.source) if only is None else _those(job.source, only):
        if is_table(path):
            yield from _table_pieces(job, path, again=only is not None)
        else:
            version, size = version_of(job.source, path)
            yield Piece(path=path, inode=version if job.source.bucket else 0, size=size)


def _those(source: Source, only: Callable[[str], bool]) -> Iterator[str]:
    return filter(only, list_files(source.model_copy(update={"include": ("**",), "exclude": ()})))


def _table_pieces(job: Job, path: str, *, again: bool) -> Iterator[Piece]:
    try:
        with open_table(job.source, path) as table:
            inode, size = version_of(job.source, path)
            for span in table.spans(job.batch_size):
                yield Piece(path=path, span=span, inode=inode, size=size)
    except (CannotReadError, BrokenTableError) as error:
        yield Piece(path=path, problem=error.problem)
    except JobError:
        if not again:
            raise
        yield Piece(path=path, problem=ReadProblem.CORRUPT)  # it had the columns once: the table that was read then is gone


def _limited(pieces: Iterator[Piece], most: int | None) -> Iterator[Piece]:
    left = most
    for piece in pieces:
        if left is None:
            yield piece
        elif piece.entries <= left:
            yield piece
            left -= piece.entries
        else:
            yield from _first_rows(piece, left)
            return
        if left == 0:
            return


def _first_rows(piece: Piece, rows: int) -> Iterator[Piece]:
    """The span keeps its end in bytes; reading stops after `rows` rows."""
    if piece.span and rows:
        span = piece.span
        cut = Span(start=span.start, stop=span.stop, rows=rows, first_row=span.first_row, first_line=span.first_line)
        yield Piece(path=piece.path, span=cut, inode=piece.inode, size=piece.size)
