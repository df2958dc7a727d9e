from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
)

# The reference inputs, roots and proofs of Certificate Transparency's own tests (RFC 6962).
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N10, N11 = ROOTS[2], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N12, N13 = (
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
)
N21 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
L0, L1, L4 = (leaf.hex() for leaf in (LEAVES[0], LEAVES[1], LEAVES[4]))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]
    assert Frontier().root == EMPTY_ROOT


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [(0, 1, []), (0, 8, [L1, N11, N21]), (5, 8, [L4, N13, ROOTS[4]]), (2, 3, [N10]), (1, 5, [L0, N11, L4])],
)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, expected: list[str]) -> None:
    assert [node.hex() for node in inclusion_proof(LEAVES[:size], index)] == expected


@pytest.mark.parametrize(
    ("old", "size", "expected"),
    [(1, 1, []), (1, 8, [L1, N11, N21]), (6, 8, [N12, N13, ROOTS[4]]), (2, 5, [N11, L4]), (6, 7, [N12, LEAVES[6].hex(), ROOTS[4]])],
)
def test_consistency_proofs_are_the_published_ones(old: int, size: int, expected: list[str]) -> None:
    assert [node.hex() for node in consistency_proof(LEAVES[:size], old)] == expected


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


@given(st.lists(st.integers(0, 40), max_size=6))
def test_appending_in_any_pieces_gives_the_same_tree(pieces: list[int]) -> None:
    leaves, frontier = hashes(sum(pieces)), Frontier()
    for piece in pieces:
        frontier = frontier.extended(leaves[frontier.size : frontier.size + piece])
    assert frontier == Frontier().extended(leaves)
    one_by_one = Frontier()
    for leaf in leaves:
        one_by_one = one_by_one.extended([leaf])
    assert one_by_one.root == frontier.root


@given(st.data())
def test_every_leaf_is_proved_and_no_other(data: st.DataObject) -> None:
    leaves = hashes(data.draw(st.integers(1, 70)))
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = inclusion_proof(leaves, index), root_of(leaves)
    assert is_included(leaves[index], index, len(leaves), path, root)
    assert not is_included(leaf_hash(b"other"), index, len(leaves), path, root)
    assert not is_included(leaves[index], index, len(leaves), [*path, root], root)
    if path:
        assert not is_included(leaves[index], index, len(leaves), path[:-1], root)
        assert not is_included(leaves[index], index ^ 1, len(leaves), path, root)


@given(st.data())
def test_every_older_tree_is_proved_and_no_other(data: st.DataObject) -> None:
    leaves = hashes(data.draw(st.integers(1, 70)))
    old = data.draw(st.integers(1, len(leaves)))
    proof, old_root, root = consistency_proof(leaves, old), root_of(leaves[:old]), root_of(leaves)
    assert is_consistent(old, len(leaves), proof, old_root, root)
    assert not is_consistent(old, len(leaves), proof, leaf_hash(b"other"), root)
    assert not is_consistent(old, len(leaves), proof, old_root, leaf_hash(b"other"))
    assert not is_consistent(old, len(leaves), [*proof, root], old_root, root)
    if old < len(leaves):
        assert not is_consistent(old, len(leaves), proof[:-1], old_root, root)


@pytest.mark.parametrize(("size", "roots"), [(3, 1), (0, 1), (4, 3), (-1, 0)])
def test_a_frontier_that_cannot_be_is_refused(size: int, roots: int) -> None:
    with pytest.raises(ValueError, match="perfect subtrees"):
        Frontier(size, (EMPTY_ROOT,) * roots)


@pytest.mark.parametrize(("index", "old"), [(3, 4), (-1, 0)], ids=["beyond", "before"])
def test_proofs_of_what_is_not_there_are_refused(index: int, old: int) -> None:
    with pytest.raises(ValueError, match="expected a leaf"):
        inclusion_proof(hashes(3), index)
    with pytest.raises(ValueError, match="expected an older size"):
        consistency_proof(hashes(3), old)
    assert not is_included(LEAVES[0], index, 3, [], EMPTY_ROOT)
    assert not is_consistent(old, 3, [], EMPTY_ROOT, EMPTY_ROOT)
