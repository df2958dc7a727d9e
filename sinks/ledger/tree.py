"""The Merkle tree over all entries: RFC 6962 section 2.1 (the same tree as RFC 9162). Pure functions over 32-byte hashes.

Appending needs only the frontier: the roots of the perfect subtrees that the leaves so far make up, largest first, one for each bit that is
set in their number. Proofs are made from the leaf hashes and checked with nothing but the two ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

HASH_BYTES = 32
LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry's canonical bytes."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree that can grow: its size, and the roots of its perfect subtrees, largest first."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.roots) != self.size.bit_count() or any(len(root) != HASH_BYTES for root in self.roots):
            raise ValueError(f"a tree of {self.size} leaves has {self.size.bit_count()} perfect subtrees, got {len(self.roots)}")

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        *larger, root = self.roots
        for left in reversed(larger):
            root = node_hash(left, root)
        return root

    def extended(self, leaves: Sequence[bytes]) -> Frontier:
        """The tree with these leaf hashes appended. Works level by level: of every level only an odd last node is left waiting."""
        levels = [level for level in range(self.size.bit_length()) if self.size >> level & 1]
        waiting = dict(zip(reversed(levels), self.roots, strict=True))
        nodes, before, level = list(leaves), self.size, 0
        sha256 = hashlib.sha256
        while nodes:
            if before & 1:
                nodes.insert(0, waiting.pop(level))
            if len(nodes) & 1:
                waiting[level] = nodes.pop()
            pairs = iter(nodes)
            nodes = [sha256(NODE_PREFIX + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            before, level = before >> 1, level + 1
        return Frontier(self.size + len(leaves), tuple(waiting[level] for level in sorted(waiting, reverse=True)))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    return Frontier().extended(leaves).root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree over `leaves` (RFC 6962 section 2.1.1). Raises ValueError when there is no such leaf."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"expected a leaf below {len(leaves)}, got {index}")
    path: list[bytes] = []
    while len(leaves) > 1:
        split = _split(len(leaves))
        if index < split:
            path.append(root_of(leaves[split:]))
            leaves = leaves[:split]
        else:
            path.append(root_of(leaves[:split]))
            leaves, index = leaves[split:], index - split
    return path[::-1]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the tree over the first `old_size` leaves is a prefix of the tree over all (RFC 6962 section 2.1.2)."""
    if not 0 < old_size <= len(leaves):
        raise ValueError(f"expected an older size from 1 to {len(leaves)}, got {old_size}")
    proof: list[bytes] = []
    whole = True  # the subtree at hand is one that the verifier knows: the old tree itself
    while old_size < len(leaves):
        split = _split(len(leaves))
        if old_size <= split:
            proof.append(root_of(leaves[split:]))
            leaves = leaves[:split]
        else:
            proof.append(root_of(leaves[:split]))
            leaves, old_size, whole = leaves[split:], old_size - split, False
    if not whole:
        proof.append(root_of(leaves))
    return proof[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` proves that `leaf` is leaf `index` of the tree of this size and root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, here, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def is_consistent(old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Whether `proof` shows that the smaller tree is a prefix of the larger (RFC 9162 section 2.1.4.2)."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    # A perfect old tree is its own first node, which the proof leaves out.
    rest = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not rest:
        return False
    here, last = old_size - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    older = newer = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and older == old_root and newer == root


def _split(size: int) -> int:
    """The largest power of two below `size`: where RFC 6962 divides a tree."""
    return 1 << (size - 1).bit_length() - 1
