"""Whatever an attacker does to a real ledger, both verifiers find: the one that shares code with the writer, and the one that does not.

Hypothesis picks the victims. The attacker may rewrite every file and recompute all that needs no private key; to sign everything anew he
has a key of his own. Untouched ledgers pass both.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment
from tests.sinks.ledger.ledger_cases import Case, assert_found, build, copied, faults

few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
draws = given(data=st.data())
any_of = pytest.mark.parametrize


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("plain"), archived=False)


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build(tmp_path_factory.mktemp("compacted"), archived=True)


def span(segment: Segment) -> tuple[int, int]:
    return int(segment.footer["waybill.first_seq"]), int(segment.footer["waybill.last_seq"])


def changed(value: Any, kind: pa.DataType) -> Any:
    """Another value of the type, as near as there is one."""
    if value is None:
        return {"string": "", "bool": False}.get(str(kind), [] if pa.types.is_list(kind) else 0)
    if isinstance(value, list):
        return None if not value else value[1:]
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return 0.0 if str(value) == "-0.0" else None
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    return value + ("\n" if isinstance(value, str) else type(value)(1))


def change_one(data: st.DataObject, rows: pa.Table) -> pa.Table:
    column = data.draw(st.integers(1, rows.num_columns - 1), "column")
    row = data.draw(st.integers(0, rows.num_rows - 1), "row")
    field = rows.schema.field(column)
    values = rows.column(column).to_pylist()
    values[row] = changed(values[row], field.type)
    if values[row] is None and not field.nullable:
        return rows.slice(0, 0)
    return rows.set_column(column, field, pa.array(values, field.type))


def drop_one(data: st.DataObject, rows: pa.Table) -> pa.Table:
    row = data.draw(st.integers(0, rows.num_rows - 1), "row")
    return pa.concat_tables([rows.slice(0, row), rows.slice(row + 1)])


def swap_two(data: st.DataObject, rows: pa.Table) -> pa.Table:
    order = list(range(rows.num_rows))
    order[0], order[-1] = order[-1], order[0]
    return rows.take(order)


def add_one(data: st.DataObject, rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(data.draw(st.integers(0, rows.num_rows - 1), "row"), 1)])


edits = any_of("edit", [change_one, drop_one, swap_two, add_one])


@any_of("kind", ["plain", "compacted"])
def test_an_untouched_ledger_passes_both(kind: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(kind)
    for key in (None, case.first_key, case.newest_key):
        assert faults(case.path, key=key) == (None, None)
        assert faults(case.path, key=key, anchor=case.anchor) == (None, None)


@edits
@few
@draws
def test_edited_rows_are_found(plain: Case, edit: Callable[[st.DataObject, pa.Table], pa.Table], data: st.DataObject) -> None:
    with copied(plain) as path:
        files = attacker.segment_files(path)
        victim = data.draw(st.sampled_from([file for file in files if Segment.read(file).rows.num_rows > 1]), "segment")
        segment = Segment.read(victim)
        Segment(edit(data, segment.rows), segment.footer).write(victim)
        assert_found(path, first=span(segment)[0], last=span(segment)[1])


@edits
@few
@draws
def test_edited_rows_are_found_though_all_but_the_signatures_is_recomputed(
    plain: Case, edit: Callable[[st.DataObject, pa.Table], pa.Table], data: st.DataObject
) -> None:
    with copied(plain) as path:
        parts = [Segment.read(file) for file in attacker.segment_files(path)]
        victim = data.draw(st.sampled_from([index for index, part in enumerate(parts) if part.rows.num_rows > 1]), "segment")
        tables = [part.rows for part in parts]
        tables[victim] = edit(data, tables[victim])
        attacker.reseal(path, tables, after=victim)
        assert_found(path, first=span(parts[victim])[0], last=span(parts[victim])[1])


@any_of("recomputed", [False, True], ids=["crude", "recomputed"])
@few
@draws
def test_a_dropped_segment_is_found(plain: Case, data: st.DataObject, *, recomputed: bool) -> None:
    with copied(plain) as path:
        files = attacker.segment_files(path)
        victim = data.draw(st.integers(0, len(files) - 2), "segment")
        if recomputed:
            attacker.reseal(path, [Segment.read(file).rows for index, file in enumerate(files) if index != victim], after=victim)
        else:
            files[victim].unlink()
        assert_found(path)


@few
@draws
def test_a_tail_that_was_cut_off_is_found_by_the_anchor(plain: Case, data: st.DataObject) -> None:
    with copied(plain) as path:
        files = attacker.segment_files(path)
        left = data.draw(st.integers(1, len(files) - 1), "segments left")
        for file in files[left:]:
            file.unlink()
        assert_found(path)  # the copy of the newest checkpoint gives it away, unless he thinks of it
        (path / "checkpoint").write_text(attacker.note_of(files[left - 1]), encoding="utf-8")
        assert faults(path, key=plain.first_key) == (None, None)
        assert_found(path, key=plain.first_key, anchor=plain.anchor)


@few
@draws
def test_a_segment_of_another_ledger_is_found(plain: Case, compacted: Case, data: st.DataObject) -> None:
    with copied(plain) as path:
        foreign = data.draw(st.sampled_from(attacker.segment_files(compacted.path)), "from")
        victim = data.draw(st.sampled_from(attacker.segment_files(path)), "to")
        shutil.copy(foreign, victim)
        assert_found(path)


def resigned(path: Path, case: Case, tables: list[pa.Table]) -> attacker.Forger:
    """Sign it all anew: no trace of the old keys is left."""
    forger = attacker.Forger(case.first_key.partition("+")[0], Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
    columns = {name: [value for table in tables for value in table[name].to_pylist()] for name in ("event", "after")}
    columns["after"][0] = forger.key
    columns["event"] = ["run_ended" if event == "key_rotated" else event for event in columns["event"]]
    rows = pa.concat_tables(tables)
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(values, pa.string()))
    starts = [sum(table.num_rows for table in tables[:index]) for index in range(len(tables))]
    anew = [rows.slice(start, table.num_rows) for start, table in zip(starts, tables, strict=True)]
    attacker.reseal(path, anew, sign=forger.sign, key=forger.key)
    return forger


@few
@draws
def test_a_ledger_signed_anew_is_found_by_the_pinned_key(plain: Case, data: st.DataObject) -> None:
    with copied(plain) as path:
        tables = [Segment.read(file).rows for file in attacker.segment_files(path)]
        victim = data.draw(st.integers(1, len(tables) - 1), "segment")
        del tables[victim]
        forger = resigned(path, plain, tables)
        assert faults(path) == (None, None)  # self-consistent
        assert faults(path, key=forger.key) == (None, None)
        for key in (plain.first_key, plain.newest_key):
            assert_found(path, key=key)
        assert_found(path, anchor=plain.anchor)


@any_of("pinned", ["first_key", "newest_key"])
def test_handing_over_to_the_pinned_key_does_not_make_it_vouch(plain: Case, pinned: str) -> None:
    """The pinned key is public: the attacker may name it as his successor. It vouches for what it signed, and for nothing else."""
    with copied(plain) as path:
        tables = [Segment.read(file).rows for file in attacker.segment_files(path)]
        forger = attacker.Forger(plain.first_key.partition("+")[0], Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
        rotation = tables[4]
        assert rotation["event"].to_pylist() == ["key_rotated"]
        key = getattr(plain, pinned)
        stated = {"event": "key_rotated", "before": forger.key_hash.hex(), "after": key}
        resigned(path, plain, tables[:4])
        for name, value in stated.items():
            rotation = rotation.set_column(
                rotation.schema.get_field_index(name), rotation.schema.field(name), pa.array([value], pa.string())
            )
        old = [Segment.read(file).rows for file in attacker.segment_files(path)]
        attacker.reseal(path, [*old, rotation], sign=forger.sign, key=forger.key)
        assert faults(path) == (None, None)
        assert_found(path, key=key)
