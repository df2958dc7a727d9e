"""Sources: from a folder or a table to documents, one bounded batch at a time.

`check_duplicates` runs before the first hand-over, `list_batches` gives references only, `read_batch` reads one of them. Bad input
never stops the night and is never lost: it becomes a document with a `problem` (see `detectors/document.py`). What is wrong for the
whole job, a table without its columns or with an id twice, is a JobError.
"""

from flows.sources.batch import Batch, Piece, list_batches
from flows.sources.duplicates import check_duplicates
from flows.sources.reading import RecordIds, read_batch

__all__ = ["Batch", "Piece", "RecordIds", "check_duplicates", "list_batches", "read_batch"]
