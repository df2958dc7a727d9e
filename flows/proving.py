"""Proofs for people outside: one record, or one class and one lane, with what is proven, what is only stated, and what is not known.

- Nothing that does not hold is handed out: a proof is checked before it leaves, a statement only made over a ledger that verifies.
- What cannot be known is counted apart and said in words: no decision, partial evidence, no look-back, no review sample.
- Who checks needs the file and, better, a pinned key. The ledger is not read, and no word of the file is believed that does not follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flows.proof_words import LIMITS, LOCAL, WORDS, summary_of
from flows.review_bounds import review_bounds
from flows.statement_words import STATED_LIMITS, statement_text
from sinks.errors import LedgerError, ProofError
from sinks.ledger.keys import default_path
from sinks.ledger.note import VerifierKey
from sinks.ledger.proof import STATING, RecordProof, Source, chain_of, check_record, from_files, prove_record, sound
from sinks.ledger.proven import json_of, parsed, rows_as_entries
from sinks.ledger.reader import reading
from sinks.ledger.seal import origin, unverified
from sinks.ledger.sources import FORGOTTEN, lookup
from sinks.ledger.statement import UNKNOWN, Findings, HandOver, Question, findings
from sinks.ledger.statement_file import FORMAT as STATEMENT
from sinks.ledger.statement_file import SignedStatement, Statement, check_statement, covered, signed
from sinks.ledger.tree_nodes import LogTree
from sinks.ledger.verify import Verdict, verify

MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOptions:
    """since is included, until is not (UTC). keys: the folder of the signing key. deep, pinned, anchors: how the ledger is verified."""

    ledger: Path
    data_class: str
    lane: str
    since: date | None = None
    until: date | None = None
    endpoint: str | None = None
    keys: Path | None = None
    deep: bool = False
    pinned: tuple[VerifierKey, ...] = ()
    anchors: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a file says once it has been checked. pinned: a key of the checker's own vouches for it.

    own_words: the summary in the file is of another version of Waybill, and was not looked at; `text` is made of what is proven.
    """

    text: Sequence[str]
    limits: Sequence[str]
    key: VerifierKey
    pinned: bool
    own_words: bool = False


def record_proof(ledger: Path, record_id: str, *, with_source: bool, pinned: Sequence[VerifierKey] = ()) -> RecordProof | None:
    """The proof of a record, in words too; None when the ledger has no entry about it. Raises ProofError where no pinned key vouches."""
    made = prove_record(ledger.resolve(), record_id)
    if made is None:
        return None
    if pinned:
        check_record(made, pinned)
    source = _source(ledger, record_id) if with_source else None
    return made.model_copy(update={"words": WORDS, "summary": _summary(made), "limits": list(LIMITS), "source": source})


def _source(ledger: Path, record_id: str) -> Source | None:
    try:
        name = lookup(ledger, [record_id]).get(record_id)
    except PermissionError:
        raise LedgerError(f"{ledger}/sources: you may not read what records are called; ask again without --with-source") from None
    return None if name is None or name.source == FORGOTTEN else Source(source=name.source, source_id=name.source_id)


def _summary(proof: RecordProof) -> list[str]:
    checkpoint = unverified(proof.checkpoint)
    return summary_of(
        [one.entry for one in proof.entries],
        [one.entry for one in proof.policies],
        record_id=proof.record_id,
        ledger=proof.ledger,
        size=checkpoint.size,
        segment=checkpoint.segment,
    )


def check_file(path: Path, pinned: Sequence[VerifierKey] = ()) -> Checked:
    """Check a proof or a statement. Raises ProofError that says what does not hold."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ProofError(f"{path}: expected at most {MOST_BYTES} bytes, found more")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProofError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ProofError(f"{path}: not a proof or a statement, which are in UTF-8") from None
    document = json_of(text)
    if isinstance(document, dict) and document.get("format") == STATEMENT:
        return _checked_statement(parsed(text, SignedStatement), pinned)
    return _checked_record(parsed(text, RecordProof), pinned)


def _checked_record(proof: RecordProof, pinned: Sequence[VerifierKey]) -> Checked:
    keys = check_record(proof, pinned)
    summary = _summary(proof)
    same = proof.words == WORDS
    if same and (proof.summary != summary or proof.limits != list(LIMITS)):
        raise ProofError("the summary is not what follows from the entries")
    return Checked(text=summary, limits=LIMITS, key=keys.keys[-1], pinned=keys.pinned, own_words=not same)


def _checked_statement(made: SignedStatement, pinned: Sequence[VerifierKey]) -> Checked:
    keys = check_statement(made, pinned)
    return Checked(text=made.statement.text, limits=made.statement.limits, key=keys.keys[-1], pinned=keys.pinned)


def state(options: StatementOptions, *, now: datetime) -> SignedStatement:
    """Verify the ledger, ask it, and sign the answer. Raises LedgerError where it does not verify: nothing is signed then."""
    ledger = options.ledger.resolve()
    verdict = verify(ledger, deep=options.deep, pinned=options.pinned, anchors=options.anchors)
    if verdict.fault:
        raise LedgerError(f"{ledger}: NOT INTACT, entry {verdict.fault.seq}: {verdict.fault.reason}; nothing was signed")
    return from_files(ledger, lambda tree: _state(tree, ledger, options, verdict, now))


def _state(tree: LogTree, ledger: Path, options: StatementOptions, verdict: Verdict, now: datetime) -> SignedStatement:
    named: dict[str, Any] = {name: getattr(options, name) for name in ("data_class", "lane", "since", "until", "endpoint")}
    size = verdict.entries  # what was committed since has not been verified
    found = findings(ledger, Question(size=size, **named))
    with reading(ledger) as reader:
        stating = rows_as_entries(reader.table(STATING, size=size))
    answer = _answer(found, verdict)
    if options.lane != LOCAL:  # samples are drawn of what left
        answer["review_samples"] = review_bounds(ledger, options.data_class, found, since=options.since, until=options.until)
    question = {name: value.isoformat() if isinstance(value, date) else value for name, value in named.items()}
    checkpoints = covered(tree, found.period, size=size)
    newest = unverified(checkpoints.newest)
    answer["as_of"] = {"segment": newest.segment, "entries": newest.size}
    statement = Statement(
        ledger=origin(tree.newest.ledger_id),
        made_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        question=question,
        answer=answer,
        checkpoints=checkpoints,
        text=statement_text(question, answer),
        limits=list(STATED_LIMITS),
    )
    made = signed(statement, chain_of(tree, stating, before=size + 1), options.keys or default_path(ledger))
    sound(ledger, lambda: check_statement(made))
    return made


def _answer(found: Findings, verdict: Verdict) -> dict[str, Any]:
    totals = found.totals
    return {
        "verification": {
            "intact": True,
            "deep": verdict.deep,
            "key_pinned": verdict.pinned,
            "entries": verdict.entries,
            "segments": verdict.segments,
        },
        "handed_over": {"records": totals["records"], "hand_overs": totals["hand_overs"], "without_clearance": totals["not_cleared"]},
        "as_decided_then": {"records": totals["then_records"], "hand_overs": totals["then_hand_overs"]},
        "as_known_now": {
            "further_records": found.newly_known,
            "records_by_word": dict(found.known_now),
            "lowered_by_approval": found.lowered,
            "reviews_in_doubt": found.in_doubt,
        },
        "unknown": {
            "hand_overs": sum(found.unknown.values()),
            "by_reason": {why: found.unknown[why] for why in UNKNOWN},
            "records": list(found.unknown_records),
        },
        "partial_evidence": {"records": totals["partial_records"], "hand_overs": totals["partial_hand_overs"]},
        "looked_back": dict(found.looked),
        "policies": [{"policy_hash": name, "hand_overs": count} for name, count in found.policies],
        "detectors": [{"detectors_hash": name, "hand_overs": count} for name, count in found.detectors],
        "records": _records(found.listed),
        "records_not_listed": found.concerned - len({one.record_id for one in found.listed}),
    }


def _records(listed: Sequence[HandOver]) -> list[dict[str, Any]]:
    records: dict[str, dict[str, Any]] = {}
    for one in listed:
        known = records.setdefault(one.record_id, {"record_id": one.record_id, "decided_then": False, "sent": [], "said_by": {}})
        known["decided_then"] |= one.then
        known["sent"].append({"entry": one.seq, "at": _moment(one.at), "endpoint": one.endpoint})
        for word in one.words:
            known["said_by"][word["seq"]] = {
                "entry": word["seq"],
                "event": word["event"],
                "at": _moment(word["at"]),
                "reason": word["reason"],
            }
    return [known | {"said_by": [known["said_by"][seq] for seq in sorted(known["said_by"])]} for known in records.values()]


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
