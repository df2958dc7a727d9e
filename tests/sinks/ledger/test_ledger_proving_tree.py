"""Nodes of the tree from the files of a ledger: the same proofs as from all of its leaves, and only the files that are needed are read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files, tree, tree_nodes
from sinks.ledger.canonical import leaf_hashes
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.ledger.tree_nodes import LogTree, Span, consistency_spans, inclusion_spans
from tests.sinks.ledger import ledger_attacker as attacker
from tests.sinks.ledger.ledger_attacker import Segment

AT = datetime(2026, 11, 22, tzinfo=UTC)
SHAPES = {
    "one entry": (),
    "one each": (1,) * 12,
    "a perfect tree": (1, 2, 4, 8),
    "a large file between small ones": (2, 1, 21, 1, 3),
    "files that end within nodes": (5, 6, 7, 3, 9, 2),
}
ARCHIVES = {"no archive": (), "one archive": ((1, 3),), "two archives": ((1, 2), (3, 4))}


def build(folder: Path, shape: Sequence[int], archived: Sequence[tuple[int, int]]) -> Path:
    ledger = Ledger.open(folder / "ledger")
    for batch, count in enumerate(shape):
        ledger.commit([Entry(event=Event.HELD, at=AT, record_id=f"r-{batch}-{row}", reason="no_rule") for row in range(count)])
    for first, last in archived:
        attacker.archive(ledger.path, first, last, f"2026-11.{first:08}-{last:08}.parquet")
        for number in range(first, last + 1):
            files.numbered_path(ledger.path / "segments", number).unlink()
    return ledger.path


def leaves_of(ledger: Path) -> list[bytes]:
    table = pa.concat_tables(pq.read_table(path) for path in files.snapshot(ledger)[1])
    return leaf_hashes(table.sort_by("seq"))


@pytest.mark.parametrize("archived", ARCHIVES.values(), ids=list(ARCHIVES))
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_proofs_are_those_of_all_the_leaves(tmp_path: Path, shape: Sequence[int], archived: Sequence[tuple[int, int]]) -> None:
    ledger = build(tmp_path, shape, archived if len(shape) > 4 else ())
    log, leaves = LogTree.of(ledger), leaves_of(ledger)
    assert log.size == len(leaves) == 1 + sum(shape)
    wanted: dict[tuple[str, int, int], list[Span]] = {}
    for size in range(1, log.size + 1):
        wanted |= {("in", index, size): inclusion_spans(index, size) for index in range(size)}
    wanted |= {("old", old, log.size): consistency_spans(old, log.size) for old in range(1, log.size + 1)}
    together = log.nodes(span for spans in wanted.values() for span in spans)
    for (kind, place, size), spans in wanted.items():
        known = tree.inclusion_proof(leaves[:size], place) if kind == "in" else tree.consistency_proof(leaves[:size], place)
        assert [together[span] for span in spans] == known
        if size == log.size and place % 3 == 1:  # and asked one by one, with nothing that another proof has brought along
            alone = log.nodes(spans)
            assert [alone[span] for span in spans] == known


def test_only_the_file_of_an_entry_and_those_that_end_within_its_nodes_are_read(tmp_path: Path) -> None:
    ledger = build(tmp_path, (7, 8, 8, 8, 8, 8, 8, 8), ())  # from the second on, each file is a node of eight leaves
    known = tree.inclusion_proof(leaves_of(ledger), 19)
    for number, file in enumerate(attacker.segment_files(ledger), start=1):
        # Leaves 16 to 23 are in segment 4, its sibling is segment 5, and the last leaves of the other half of the tree are segment 9.
        if number not in {4, 5, 9}:
            whole = Segment.read(file)
            Segment(whole.rows.slice(0, 0), whole.footer).write(file)
    spans = inclusion_spans(19, 64)
    nodes = LogTree.of(ledger).nodes(spans)
    assert [nodes[span] for span in spans] == known


def test_large_nodes_are_hashed_in_processes_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_nodes, "WORTH_A_PROCESS", 1)
    ledger = build(tmp_path, (9, 9, 9, 9), ((1, 4),))
    spans = [*inclusion_spans(11, 37), *inclusion_spans(30, 37), *consistency_spans(19, 37)]
    nodes = LogTree.of(ledger).nodes(spans)
    leaves = leaves_of(ledger)
    assert [nodes[span] for span in spans] == [
        *tree.inclusion_proof(leaves, 11),
        *tree.inclusion_proof(leaves, 30),
        *tree.consistency_proof(leaves, 19),
    ]


def test_files_that_do_not_follow_on_each_other_or_hold_too_little_are_refused(tmp_path: Path) -> None:
    ledger = build(tmp_path, (3, 4, 5), ())
    for name in ("gap", "short"):
        shutil.copytree(ledger, tmp_path / name)
    shutil.copy(*(files.numbered_path(tmp_path / "gap" / "segments", number) for number in (3, 2)))
    with pytest.raises(LedgerUnavailableError, match="does not follow on the file before"):
        LogTree.of(tmp_path / "gap")
    short = files.numbered_path(tmp_path / "short" / "segments", 3)
    whole = Segment.read(short)
    Segment(whole.rows.slice(0, 2), whole.footer).write(short)
    with pytest.raises(LedgerUnavailableError, match="fewer entries than its footer says"):
        LogTree.of(tmp_path / "short").nodes(inclusion_spans(4, 13))
    with pytest.raises(LedgerError, match="no ledger here"):
        LogTree.of(tmp_path / "nothing")


def test_the_checkpoint_of_an_entry_is_that_of_its_commit(tmp_path: Path) -> None:
    log = LogTree.of(build(tmp_path, (2, 3, 4, 5, 6), ((1, 3),)))
    assert [log.commit_of(seq) for seq in (1, 2, 3, 4, 6, 7, 21)] == [1, 3, 3, 6, 6, 10, 21]
    assert {size: int(note.split("\n")[1]) for size, note in log.notes([1, 3, 6, 10]).items()} == {1: 1, 3: 3, 6: 6, 10: 10}
    for size in (0, 2, 22):
        with pytest.raises(LedgerUnavailableError, match=f"has no checkpoint of {size} entries"):
            log.notes([size])


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)], ids=["before", "behind", "empty"])
def test_no_path_leads_to_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected a leaf below"):
        inclusion_spans(index, size)


@pytest.mark.parametrize(("old_size", "size"), [(0, 4), (5, 4)], ids=["nothing", "larger"])
def test_no_tree_is_a_prefix_of_a_smaller_one(old_size: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected an older size"):
        consistency_spans(old_size, size)
