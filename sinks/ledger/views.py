"""`ledger.duckdb`: the views and macros that auditors open, and nothing else. What they say is in `views.sql`.

Paths in views are absolute, because a view cannot find its own folder: after a move, `relink`. The file is replaced by rename, and
only when what it must say has changed, so that any number of readers may hold it open while the night runs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from string import Template

import duckdb

from sinks import durable
from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.schema import ADDED, SCHEMA_VERSION

DATABASE, SCRIPT = "ledger.duckdb", "views.sql"
CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
READABLE = 0o640
# The oldest storage format that holds views and macros: auditors open the file with clients that are older than ours.
STORAGE: dict[str, str | bool | int | float | list[str]] = {**CONFIG, "storage_compatibility_version": "v1.0.0"}

BY_NAME = "union_by_name = true"
_TRIES = 5
_NO_NOTES = "SELECT NULL::VARCHAR AS note WHERE false"
_STATEMENT = re.compile(r"^CREATE (?:VIEW|MACRO) (\w+).*?;$", re.MULTILINE | re.DOTALL)
_TEMPLATE = Path(__file__).with_name("views.sql")
_COMMENTS = Path(__file__).with_name("comments.sql")


def views_script(ledger: Path, *, entries: str | None = None, root: Path | None = None) -> str:
    """The SQL that makes every view and macro over the files of this ledger.

    entries: the rows, where they are not all of them. root: the folder as the views name it, where that is not the ledger's own path.
    """
    named = ledger if root is None else root
    rows, notes = _rows_and_notes(ledger, named) if entries is None else (entries, _NO_NOTES)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        entries=rows,
        notes=notes,
        sources=_parquet(named / files.SOURCES / "*.parquet", options="filename = true, file_row_number = true"),
    )


def whole_script(ledger: Path, *, root: Path | None = None) -> str:
    """As `views_script`, and what each column says."""
    return views_script(ledger, root=root) + "\n" + _COMMENTS.read_text(encoding="utf-8")


def statements(script: str) -> dict[str, str]:
    """The `CREATE` statement of each view or macro in the script, by name, in order."""
    return {match[1]: match[0] for match in _STATEMENT.finditer(script)}


def rows_of(*patterns: str, older: bool) -> str:
    """The rows of these `FROM` clauses.

    older: some of the files are of an older format. Columns are then matched by name, and those that no file has are null.
    """
    if not older:
        return "\n      UNION ALL ".join(patterns)
    absent = ", ".join(f"NULL::VARCHAR AS {name}" for names in ADDED.values() for name in names)
    return "\n      UNION ALL BY NAME ".join([*patterns, f"SELECT {absent} WHERE false"])


def is_older(path: Path) -> bool:
    """Whether a file lacks columns of the format that is written now. Those after it may have them."""
    status = path.stat()
    return _is_older(path, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _is_older(path: Path, _inode: int, _changed: int) -> bool:
    """The same, remembered for as long as the file is the same one: every question to the ledger asks it."""
    return files.footer(path).get(files.VERSION_KEY) != str(SCHEMA_VERSION).encode()


def refresh(ledger: Path) -> bool:
    """Bring `ledger.duckdb` and `views.sql` up to date; returns whether anything had to be written."""
    script = whole_script(ledger)
    try:
        if (ledger / DATABASE).exists() and (ledger / SCRIPT).read_text(encoding="utf-8") == script:
            return False
    except FileNotFoundError:
        pass
    write(ledger, script)
    return True


def relink(path: Path) -> None:
    """Rewrite the views of a ledger that was moved. Raises LedgerUnavailableError when it has no segments or cannot be written."""
    ledger = path.resolve()
    if not files.head(ledger):
        raise LedgerUnavailableError(f"{ledger}: no ledger here (no segments); name the folder that holds `segments`")
    try:
        write(ledger, whole_script(ledger))
    except OSError as error:
        raise LedgerUnavailableError(f"{ledger}: the views cannot be written ({error.strerror}); check the folder") from error


def write(ledger: Path, script: str) -> None:
    """Make `ledger.duckdb` by this script, and put the script beside it. Raises LedgerUnavailableError when it does not run.

    Paths in it that do not begin at the root are those of the ledger while the views are made, and of the client's folder ever after.
    """
    temporary = files.temporary_path(ledger)
    try:
        with duckdb.connect(temporary, config=STORAGE) as connection:
            connection.execute("SET file_search_path = $folder", {"folder": str(ledger)})
            connection.execute(f"BEGIN; {script} COMMIT")
        temporary.chmod(READABLE)
        durable.sync_file(temporary)  # segments are deleted on the strength of views that no longer need them
        temporary.replace(ledger / DATABASE)
    except duckdb.Error as error:
        raise LedgerUnavailableError(f"{ledger}: the views cannot be made ({type(error).__name__}); verify the ledger") from error
    finally:
        temporary.unlink(missing_ok=True)
    durable.replace(ledger / SCRIPT, script.encode(), mode=READABLE)


def _rows_and_notes(ledger: Path, named: Path) -> tuple[str, str]:
    """All entries and all signed notes, each once, as long as compaction has not gone on; after that, an error or the same.

    Archive files are named one by one, and so is the first segment after them, the guard: it is the first to be deleted, a grace before the
    others, and from then on no query over these views can be bound. So that the guard speaks for what was listed, it comes after the
    pattern: DuckDB binds from left to right.
    """
    segments = named / files.SEGMENTS
    for _ in range(_TRIES):
        taken = files.in_force(files.archived(ledger))
        first = taken[-1].last + 1 if taken else 1
        try:
            last_seq = int(files.footer(files.numbered_path(ledger / files.SEGMENTS, first))[files.LAST_SEQ_KEY])
            older = any(map(is_older, [*(one.path for one in taken[:1]), files.numbered(ledger / files.SEGMENTS)[0][1]]))
            break
        except FileNotFoundError:
            continue  # compacted and deleted since the archive was listed: list it again
    else:
        raise LedgerUnavailableError(f"{ledger}: segment {first} is missing; restore it from a copy and verify the ledger")
    guard, later = files.numbered_path(segments, first), segments / "*.parquet"
    # The number in the name spares a view the opening of segments that are in the archive; what counts is `seq`.
    by_name = BY_NAME if older else ""
    after = f"""SELECT * EXCLUDE (filename) FROM {_parquet(later, options="filename = true" + (by_name and f", {by_name}"))}
      WHERE seq > {last_seq} AND TRY_CAST(parse_filename(filename, true) AS BIGINT) > {first}"""  # noqa: S608 - our own names
    rows = [after, f"FROM {_parquet(guard)}"]
    notes = f"SELECT decode(value) AS note {_footers(later, guard, key='waybill.checkpoint')}"
    if taken:
        paths = [named / files.ARCHIVE / one.path.name for one in taken]
        rows.insert(0, f"FROM {_parquet(*paths, options=by_name)}")
        lists = _footers(*paths, key="waybill.checkpoints")
        notes += f"""\n      UNION ALL SELECT unnest(from_json(decode(value), '["VARCHAR"]')) {lists}"""
    return rows_of(*rows, older=older), notes


def _footers(*paths: Path, key: str) -> str:
    return f"FROM {_parquet(*paths, function='parquet_kv_metadata')} WHERE decode(key) = '{key}'"


def _parquet(*patterns: Path, options: str = "", function: str = "read_parquet") -> str:
    quoted = [_quoted(pattern) for pattern in patterns]
    listed = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
    return f"{function}({listed}{', ' + options if options else ''})"


def _quoted(pattern: Path) -> str:
    # A folder whose own name holds a bracket or a star must not be read as a pattern; only the last part is one.
    folder = re.sub(r"([\[*?])", r"[\1]", str(pattern.parent))
    return "'" + f"{folder}/{pattern.name}".replace("'", "''") + "'"
