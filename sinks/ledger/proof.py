"""The proof of one record: everything that the ledger says of it, each entry with its place in the tree that the newest checkpoint signs.

It proves that these entries are in the log, as they were written. It cannot prove that there are no others: no proof of a few leaves can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from sinks.errors import LedgerUnavailableError, ProofError
from sinks.ledger.entry import Event
from sinks.ledger.note import VerifierKey
from sinks.ledger.proven import KeyChain, ProvenEntry, Strict, TrustedKeys, check_entry, check_keys, key_chain, proven, rows_as_entries
from sinks.ledger.reader import reading
from sinks.ledger.seal import origin
from sinks.ledger.tree_nodes import LogTree

FORMAT: Literal["waybill-proof/1"] = "waybill-proof/1"
Answer = TypeVar("Answer")

# The first entry states the first key. Asked one by one: for an OR, DuckDB reads every column of every row.
STATING = """
    SELECT * FROM (
        FROM entries WHERE seq = 1
        UNION ALL FROM entries WHERE event = 'key_rotated' AND seq <= $size
        UNION ALL FROM entries WHERE event = 'policy_registered' AND seq <= $size
    ) ORDER BY seq
"""


class Source(Strict):
    """What the record is called outside. It stands in no entry, so nothing proves it."""

    source: str
    source_id: str | None


class RecordProof(Strict):
    """The file. entries: of the record and of its hand-overs, in order. policies: the entries with the text of each policy they name."""

    format: Literal["waybill-proof/1"]
    ledger: str
    record_id: str
    source: Source | None = None
    words: int = 0
    summary: list[str]
    limits: list[str]
    checkpoint: str
    keys: KeyChain
    entries: list[ProvenEntry]
    policies: list[ProvenEntry]


def prove_record(ledger: Path, record_id: str) -> RecordProof | None:
    """The proof of a record, without its summary; None when the ledger has no entry about it.

    Raises LedgerError when there is no ledger, LedgerUnavailableError when what its files hold does not lead to the root that was signed.
    """
    made = from_files(ledger, lambda tree: _prove_record(tree, ledger, record_id))
    if made is not None:
        sound(ledger, lambda: check_record(made))
    return made


def from_files(ledger: Path, work: Callable[[LogTree], Answer]) -> Answer:
    """Do some work on the tree as it is now. Where a file went meanwhile, because it was compacted, do it again on those that came."""
    try:
        try:
            return work(LogTree.of(ledger))
        except FileNotFoundError:
            return work(LogTree.of(ledger))
    except OSError as error:
        raise LedgerUnavailableError(f"{error.filename or ledger}: cannot be read ({error.strerror}); check the permissions") from error


def sound(ledger: Path, check: Callable[[], object]) -> None:
    """Check what was just made: no proof that does not hold leaves the program."""
    try:
        check()
    except ProofError as error:
        raise LedgerUnavailableError(
            f"{ledger}: the ledger is not what was signed ({error}); nothing was proven: run `waybill audit verify --deep`"
        ) from error


def _prove_record(tree: LogTree, ledger: Path, record_id: str) -> RecordProof | None:
    with reading(ledger, ("document_history",)) as reader:
        own = reader.table("SELECT * FROM document_history($id) WHERE seq <= $size ORDER BY seq", id=record_id, size=tree.size)
        if not own.num_rows:
            return None
        more = reader.table(STATING, size=tree.size)
    own, more = rows_as_entries(own), rows_as_entries(more)
    policies = _first_of_each(more.filter(pc.equal(more["event"], Event.POLICY_REGISTERED.value)), set(own["policy_hash"].to_pylist()))
    made = proven(tree, pa.concat_tables([own, policies]), size=tree.size)
    return RecordProof(
        format=FORMAT,
        ledger=origin(tree.newest.ledger_id),
        record_id=record_id,
        summary=[],
        limits=[],
        checkpoint=tree.newest.checkpoint,
        keys=chain_of(tree, more, before=tree.size),
        entries=made[: own.num_rows],
        policies=made[own.num_rows :],
    )


def chain_of(tree: LogTree, stating: pa.Table, *, before: int) -> KeyChain:
    """The keys in force up to a commit. A hand-over is signed by the old key, so that one at this very commit is left out."""
    first = stating.slice(0, 1)["after"].to_pylist()[0]
    rotated = pc.and_(pc.equal(stating["event"], Event.KEY_ROTATED.value), pc.less(stating["seq"], before))
    return key_chain(tree, first or "", stating.filter(rotated))


def _first_of_each(registered: pa.Table, wanted: set[str | None]) -> pa.Table:
    """The first entry of each policy: a policy that is registered again says the same."""
    seen: dict[str, int] = {}
    for row, policy in enumerate(registered["policy_hash"].to_pylist()):
        if policy in wanted and policy is not None:
            seen.setdefault(policy, row)
    return registered.take(pa.array(sorted(seen.values()), pa.int64()))


def check_record(proof: RecordProof, pinned: Sequence[VerifierKey] = ()) -> TrustedKeys:
    """Check everything of a proof but its words. Raises ProofError that says what does not hold."""
    keys = check_keys(proof.keys, pinned)
    checkpoint = keys.opened(proof.checkpoint, "the checkpoint")
    if checkpoint.origin != proof.ledger:
        raise ProofError("the checkpoint is of another ledger than the proof says")
    entries = [check_entry(one, checkpoint) for one in proof.entries]
    policies = [check_entry(one, checkpoint) for one in proof.policies]
    for given in (entries, policies):
        numbers = [entry["seq"] for entry in given]
        if numbers != sorted(set(numbers)):
            raise ProofError("the entries are not in order, each once")
    handed = {entry.get("intent_id") for entry in entries if entry["event"] == Event.SUBMITTING} - {None}
    for entry in entries:
        if entry.get("record_id") != proof.record_id and not (entry.get("record_id") is None and entry.get("intent_id") in handed):
            raise ProofError(f"entry {entry['seq']}: it is about something else than the record")
    if not any(entry.get("record_id") == proof.record_id for entry in entries):
        raise ProofError("no entry is about the record")
    _check_policies(entries, policies)
    return keys


def _check_policies(entries: Sequence[Mapping[str, Any]], policies: Sequence[Mapping[str, Any]]) -> None:
    named = {entry.get("policy_hash") for entry in entries}
    given = [entry.get("policy_hash") for entry in policies]
    if any(entry["event"] != Event.POLICY_REGISTERED for entry in policies) or len(set(given)) != len(given) or not named.issuperset(given):
        raise ProofError("the policies are not those that the entries name, each once")
