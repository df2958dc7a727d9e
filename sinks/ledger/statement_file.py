"""A statement about a ledger as a signed file, and its check without the ledger.

Signed with the ledger's key, as a C2SP signed note, is this text: the line `waybill-statement/1`, the ledger's name, and the statement
as canonical JSON (keys sorted, no spaces, ASCII, no floats) in one line. It passes for no checkpoint: the second line of one is a number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sinks.errors import LedgerError, ProofError
from sinks.ledger import signing
from sinks.ledger.note import Checkpoint, NoteError, VerifierKey, verify
from sinks.ledger.proven import KeyChain, Strict, TrustedKeys, check_keys, decoded, encoded
from sinks.ledger.tree import is_consistent
from sinks.ledger.tree_nodes import LogTree, consistency_spans

FORMAT: Literal["waybill-statement/1"] = "waybill-statement/1"


class Checkpoints(Strict):
    """first, last: of the period asked about, null when nothing was committed in it. newest: as of which the statement is made.

    Proofs are base64 hashes: that the one is a prefix of the other.
    """

    first: str | None
    last: str | None
    newest: str
    first_to_last: list[str]
    last_to_newest: list[str]


class Statement(Strict):
    """What is signed. question, answer: as `docs/proving.md` lists them. text, limits: the same for people."""

    ledger: str
    made_at: str
    question: dict[str, Any]
    answer: dict[str, Any]
    checkpoints: Checkpoints
    text: list[str]
    limits: list[str]


class SignedStatement(Strict):
    """The file. signature: the last line of the signed note."""

    format: Literal["waybill-statement/1"]
    statement: Statement
    signature: str
    keys: KeyChain


def covered(tree: LogTree, period: tuple[int, int] | None, *, size: int) -> Checkpoints:
    """The checkpoints of a period, from its first entry to its last, and that of this size, each proven to be a prefix of the next."""
    newest = tree.notes([size])[size]
    if period is None:
        return Checkpoints(first=None, last=None, newest=newest, first_to_last=[], last_to_newest=[])
    first, last = (tree.commit_of(seq) for seq in period)
    spans = [consistency_spans(first, last), consistency_spans(last, size)]
    nodes = tree.nodes(span for proof in spans for span in proof)
    notes = tree.notes([first, last])
    within, after = ([encoded(nodes[span]) for span in proof] for proof in spans)
    return Checkpoints(first=notes[first], last=notes[last], newest=newest, first_to_last=within, last_to_newest=after)


def signed(statement: Statement, chain: KeyChain, keys: Path) -> SignedStatement:
    """Sign with the newest key of the chain. Raises KeyMissingError or LedgerError when it is not in this folder."""
    if not (keys / signing.PRIVATE).exists():
        raise LedgerError(
            f"{keys}: a statement is signed with the ledger's own key, which is not here; make it where the ledger is written, or name the "
            "folder with --keys"
        )
    note = signing.load_for(keys, VerifierKey.parse(chain.verifier_key)).sign(_text(statement))
    return SignedStatement(format=FORMAT, statement=statement, signature=note[len(_text(statement)) + 1 :].rstrip("\n"), keys=chain)


def check_statement(made: SignedStatement, pinned: Sequence[VerifierKey] = ()) -> TrustedKeys:
    """Check signature, keys, and that the checkpoints are of one log. Raises ProofError. What is stated is the signer's word."""
    keys = check_keys(made.keys, pinned)
    try:
        verify(f"{_text(made.statement)}\n{made.signature}\n", keys.keys[-1])
    except NoteError as error:
        raise ProofError(f"the statement: {error}") from None
    if made.statement.ledger != keys.keys[-1].name:
        raise ProofError("the statement is about another ledger than its key")
    given = made.statement.checkpoints
    newest = keys.opened_by_any(given.newest, "the newest checkpoint")
    if given.first is None or given.last is None:
        if given.first or given.last or given.first_to_last or given.last_to_newest:
            raise ProofError("the checkpoints of the period are not complete")
        return keys
    first, last = keys.opened_by_any(given.first, "the first checkpoint"), keys.opened_by_any(given.last, "the last checkpoint")
    _check_prefix(first, last, given.first_to_last)
    _check_prefix(last, newest, given.last_to_newest)
    return keys


def _check_prefix(old: Checkpoint, new: Checkpoint, proof: Sequence[str]) -> None:
    what = f"checkpoints of {old.size} and {new.size} entries"
    if not is_consistent(old.size, new.size, [decoded(node, what) for node in proof], old.root, new.root):
        raise ProofError(f"{what}: the one is not shown to be a prefix of the other")


def _text(statement: Statement) -> str:
    return f"{FORMAT}\n{statement.ledger}\n{canonical(statement.model_dump())}\n"


def canonical(value: Any) -> str:
    """The one way to write a statement as JSON. Raises ProofError for a float, which has many."""
    if _holds_float(value):
        raise ProofError("a statement holds no floating-point numbers")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _holds_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_float, value.values()))
    return any(map(_holds_float, value)) if isinstance(value, list) else isinstance(value, float)
