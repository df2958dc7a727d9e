"""Every file of a folder source, in one order on every machine, without following links out of the folder.

Nothing that could be a document is passed over in silence: what cannot be opened is listed too, and reading it gives a HELD row.
Hidden files are documents: operators' secrets live in `.env`. Version control, caches of file managers and lock files are not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from flows.bucket_files import BucketFiles
from flows.job_parts import Source
from flows.sources.globs import matches

SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn"})
SKIPPED_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
LOCK_FILE = re.compile(r"~\$.*|\.~lock\..*#", re.DOTALL)


def list_files(source: Source) -> Iterator[str]:
    """Posix paths relative to the source's root, by code point, folders in place; one folder's names in memory at a time.

    Of a bucket: the keys under the prefix, by their bytes. Raises EndpointError when it cannot be listed.
    """
    if source.bucket is None and os.path.isfile(source.path):  # noqa: PTH113 - a path, or a name in a bucket
        yield Path(source.path).name
        return
    for path in _objects(source.bucket) if source.bucket else _walk(os.path.realpath(source.path), ""):
        if matches(path, source.include) and not matches(path, source.exclude):
            yield path


def _objects(bucket: BucketFiles) -> Iterator[str]:
    for path in bucket.names():
        *folders, name = path.split("/")
        if SKIPPED_FOLDERS.isdisjoint(folders) and name not in SKIPPED_FILES and not LOCK_FILE.fullmatch(name):
            yield path


def _walk(root: str, folder: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(os.path.join(root, folder)))  # noqa: PTH118, PTH208 - names only: a million Path objects are not flat memory
    except OSError:
        yield folder or "."  # reading it gives the HELD row
        return
    for name in names:
        path = f"{folder}/{name}" if folder else name
        full = f"{root}/{path}"
        if os.path.isdir(full):  # noqa: PTH112 - as above
            if name in SKIPPED_FOLDERS:
                continue
            if os.path.islink(full):  # noqa: PTH114 - as above
                if not inside(root, full):
                    yield path
                continue  # a link to a folder inside: its files are listed at their own place
            yield from _walk(root, path)
        elif name not in SKIPPED_FILES and not LOCK_FILE.fullmatch(name):
            yield path


def inside(root: str | Path, path: str | Path) -> bool:
    """Whether `path`, links resolved, is within `root`."""
    real_root = os.path.realpath(root)
    return os.path.commonpath([real_root, os.path.realpath(path)]) == real_root


def shown(path: str) -> str:
    """The path as a source name: names that are not UTF-8 keep their bytes as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
