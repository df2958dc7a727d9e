"""Whether `ledger.duckdb` and `views.sql` hold what `relink` would write now.

No signature covers them: whoever edits a view edits what an auditor sees, while the log itself stays intact.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb

from sinks.errors import LedgerUnavailableError
from sinks.ledger import views

_EVERYTHING = """
SELECT 'view' AS kind, view_name AS name, sql AS text, comment FROM duckdb_views() WHERE NOT internal
UNION ALL SELECT 'column', table_name || '.' || column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal
UNION ALL SELECT 'macro', function_name, list_aggregate(parameters, 'string_agg', ',') || ': ' || macro_definition, comment
FROM duckdb_functions() WHERE NOT internal
UNION ALL SELECT 'table', table_name, sql, comment FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT 'index', index_name, sql, comment FROM duckdb_indexes()
UNION ALL SELECT 'sequence', sequence_name, sql, comment FROM duckdb_sequences()
UNION ALL SELECT 'type', type_name, logical_type, comment FROM duckdb_types() WHERE NOT internal
UNION ALL SELECT 'schema', schema_name, sql, comment FROM duckdb_schemas() WHERE NOT internal
ORDER BY ALL
"""


def are_as_written(path: Path) -> bool:
    """Both hold the views over this ledger where it is now or, in a copy made by `export`, relative to the folder.

    False: it was moved, or they were made by another version, damaged or edited; `relink` writes them anew.
    """
    ledger = path.resolve()
    try:
        said = (ledger / views.SCRIPT).read_text(encoding="utf-8")
        written = next((script for root in (None, Path()) if (script := views.whole_script(ledger, root=root)) == said), None)
        return written is not None and _contents(ledger / views.DATABASE, ledger) == _made_by(written, ledger)
    except (OSError, UnicodeError, duckdb.Error, LedgerUnavailableError):
        return False


def _contents(database: Path, folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(database, read_only=True, config=views.CONFIG) as connection:
        connection.execute("SET file_search_path = $folder", {"folder": str(folder)})
        return connection.execute(_EVERYTHING).fetchall()


def _made_by(script: str, folder: Path) -> list[tuple[Any, ...]]:
    """What a database says that was made by this script, stored and opened again: DuckDB words a view anew when it stores it."""
    with tempfile.TemporaryDirectory() as temporary:
        database = Path(temporary, views.DATABASE)
        with duckdb.connect(database, config=views.STORAGE) as connection:
            connection.execute("SET file_search_path = $folder", {"folder": str(folder)})
            connection.execute(f"BEGIN; {script} COMMIT")
        return _contents(database, folder)
