"""Files whose rows are all there, and that make query engines see something else: no root shows it, and both verifiers find it.

The victim is the newest segment, whose bytes nobody has vouched for yet. What DuckDB makes of each is beside the point: of another engine,
or of its next version, we do not know.
"""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.ledger import views
from sinks.ledger.views_as_written import are_as_written
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger import thrift_footer as thrift
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import Case, assert_found, build, copied, faults
from tests.sinks.ledger.thrift_footer import Struct, get, put


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("misled"), archived=False)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """A verifier that opens a pipe waits for ever."""
    signal.alarm(30)
    yield
    signal.alarm(0)


def bounds(column: str, low: bytes, high: bytes) -> Callable[[Struct], None]:
    def change(footer: Struct) -> None:
        put(thrift.statistics(footer, column), 5, 8, high)
        put(thrift.statistics(footer, column), 6, 8, low)

    return change


def stated(column: str, number: int, value: int) -> Callable[[Struct], None]:
    return lambda footer: put(thrift.statistics(footer, column), number, 6, value)


def of_footer(number: int, kind: int, value: Any) -> Callable[[Struct], None]:
    return lambda footer: put(footer, number, kind, value)


def of_chunk(number: int, kind: int, value: Any) -> Callable[[Struct], None]:
    return lambda footer: put(thrift.chunk(footer, "event"), number, kind, value)


def of_column(number: int, kind: int, value: Any) -> Callable[[Struct], None]:
    return lambda footer: put(get(thrift.chunk(footer, "event"), thrift.METADATA), number, kind, value)


def of_group(number: int, kind: int, value: Any) -> Callable[[Struct], None]:
    return lambda footer: put(get(footer, thrift.ROW_GROUPS)[1][0], number, kind, value)


def another_key(key: bytes, value: bytes) -> Callable[[Struct], None]:
    return lambda footer: get(footer, thrift.KEY_VALUES)[1].append([[1, 8, key], [2, 8, value]])


def arrow_says(change: Callable[[pa.Schema], pa.Schema]) -> Callable[[Struct], None]:
    def edit(footer: Struct) -> None:
        pair = next(pair for pair in get(footer, thrift.KEY_VALUES)[1] if get(pair, 1) == b"ARROW:schema")
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(get(pair, 2))))
        put(pair, 2, 8, base64.b64encode(change(schema).serialize().to_pybytes()))

    return edit


def column_says(name: str, number: int, value: int) -> Callable[[Struct], None]:
    return lambda footer: put(next(one for one in get(footer, 2)[1] if get(one, 4) == name.encode()), number, 5, value)


MISLEADING: dict[str, Callable[[Struct], bytes | None]] = {
    "bounds": bounds("event", b"a", b"b"),
    "bounds of a number": bounds("seq", bytes(8), (1).to_bytes(8, "little")),
    "bounds in a list": bounds("data_classes", b"a", b"b"),
    "bounds of nothing": bounds("model", b"a", b"b"),
    "null count": stated("rule", 3, 3),
    "null count of none": stated("model", 3, 0),
    "null count of a list": stated("data_classes", 3, 3),
    "distinct count": stated("event", 4, 1),
    "number of values": of_column(5, 6, 2),
    "type of a column": of_column(1, 5, 4),
    "type of a column of nulls": lambda footer: put(get(thrift.chunk(footer, "model"), thrift.METADATA), 1, 5, 4),
    "name that is no text": lambda footer: put(next(one for one in get(footer, 2)[1] if get(one, 4) == b"score"), 4, 8, b"scor\xe3"),
    "order of sorting": of_group(4, 9, (12, [[[1, 5, 2], [2, 2, False], [3, 2, False]]])),
    "no order of bounds": lambda footer: footer.__delitem__(-1),
    "filter that is none": of_column(14, 6, 4),
    "metadata of a column": of_column(8, 9, (12, [[[1, 8, b"k"], [2, 8, b"v"]]])),
    "rows in another file": of_chunk(1, 8, b"../elsewhere.parquet"),
    "place of metadata": of_chunk(2, 6, 99),
    "unknown field": of_footer(40, 8, b"more"),
    "encryption": of_footer(8, 12, [[1, 12, []]]),
    "another key": another_key(b"pandas", b"{}"),
    "a key twice": another_key(b"waybill.segment", b"1"),
    "Arrow's schema twice": another_key(b"ARROW:schema", b"x"),
    "Arrow's schema says more": arrow_says(lambda schema: schema.with_metadata({"note": "x"})),
    "Arrow's schema is another": arrow_says(lambda schema: schema.set(24, pa.field("score", pa.float32()))),
    "older type": column_says("at", 6, 9),
    "field number": column_says("score", 9, 7),
    "bytes before the footer": lambda _: b"more",
}


@pytest.mark.parametrize("change", MISLEADING.values(), ids=MISLEADING)
def test_a_footer_that_misleads_is_found(case: Case, change: Callable[[Struct], bytes | None]) -> None:
    with copied(case) as path:
        newest = attacker.segment_files(path)[-1]
        footer = Segment.read(newest).footer
        thrift.edit(newest, change)
        assert_found(path, first=int(footer["waybill.first_seq"]), last=int(footer["waybill.last_seq"]))


@pytest.mark.parametrize(
    "options", [{"write_page_index": True}, {"bloom_filter_options": {"event": {"ndv": 9, "fpp": 0.1}}}], ids=["index of pages", "filter"]
)
def test_what_engines_search_instead_of_the_rows_is_not_allowed(case: Case, options: dict[str, Any]) -> None:
    with copied(case) as path:
        newest = attacker.segment_files(path)[-1]
        segment = Segment.read(newest)
        with pq.ParquetWriter(newest, segment.rows.schema.remove_metadata(), **options) as writer:
            writer.write_table(segment.rows)
            writer.add_key_value_metadata(dict(segment.footer))
        assert_found(path)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "replace"),
    [(f"segments/0000000{number}.parquet", how) for number in (2, 8) for how in (link, pipe, folder)]
    + [("checkpoint", pipe), ("checkpoint", folder)],
)
def test_what_is_no_plain_file_is_not_opened(case: Case, name: str, replace: Callable[[Path], None]) -> None:
    with copied(case) as path:
        replace(path / name)
        assert_found(path)


@pytest.mark.parametrize("name", ["segments", "archive"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_the_folders_of_files_are_folders(case: Case, name: str, kind: str) -> None:
    with copied(case) as path:
        if (path / name).exists():
            (path / name).rename(path / "elsewhere")
        (path / "elsewhere").mkdir(exist_ok=True)
        if kind == "link":
            (path / name).symlink_to(path / "elsewhere")
        else:
            (path / name).write_bytes(b"")
        assert_found(path)


def alter(path: Path, statement: str) -> None:
    with duckdb.connect(path / views.DATABASE) as connection:
        connection.execute(statement)


EDITS: dict[str, Callable[[Path], Any]] = {
    "a view": lambda path: alter(path, "CREATE OR REPLACE VIEW egress AS FROM entries WHERE false"),
    "a macro": lambda path: alter(path, "CREATE OR REPLACE MACRO document_history(record_id) AS TABLE SELECT 1 AS seq"),
    "a comment": lambda path: alter(path, "COMMENT ON COLUMN egress.seq IS 'of the record'"),
    "a table beside them": lambda path: alter(path, "CREATE TABLE more (x INT)"),
    "the script": lambda path: (path / views.SCRIPT).write_text("SELECT 1;"),
    "no database": lambda path: (path / views.DATABASE).unlink(),
    "damaged": lambda path: (path / views.DATABASE).write_bytes(b"x" * 99),
}


def test_views_that_were_edited_are_told_and_the_log_is_another_matter(case: Case) -> None:
    with copied(case) as path:
        assert not are_as_written(path)  # it was moved
        views.relink(path)
        assert are_as_written(path)
        kept = {name: (path / name).read_bytes() for name in (views.DATABASE, views.SCRIPT)}
        for what, change in EDITS.items():
            change(path)
            assert not are_as_written(path), what
            for name, data in kept.items():
                (path / name).write_bytes(data)
        assert faults(path) == (None, None)
