"""The second look: before the cloud is assigned, a model inside is asked what a document is. Its word is evidence of the kind `llm`.

Invariants kept here:
- It can only raise (9): `policies/decide.py` adds its classes to what other evidence raised. Whatever is not one of the class names that
  were asked about, or is no answer at all, makes the record UNSCANNABLE, which never leaves (1).
- A look is a hand-over like any other (3, 4): decided (local lane only), assigned, cleared, frozen, through the gate, collected, under a
  run of its own (`flows/look_run.py`).
- What the model said is in the ledger before the record is decided: a night that is killed goes on from there and asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from detectors.document import LLM, Document, Evidence, Judgement
from flows.clearing import clear_judged, decision_entries
from flows.deciding import decide_documents
from flows.job_parts import SecondLook
from flows.look_question import RULE, asked_classes
from flows.look_run import begun_look, wait_for_answers
from flows.night import Night
from flows.submitting import freeze_records, hand_over
from policies.model import Decision, Lane, Lowered
from policies.policy import Policy
from policies.thresholds import Thresholds
from sinks.ledger.entry import Entry, Event
from sinks.ledger.keys import Keys
from sinks.ledger.lookup import LastWord, last_words

UNANSWERED = "second_look_unanswered"
FAILED = "second_look_failed"
UNKNOWN_CLASS = "second_look_unknown_class"

Asked = tuple[Document, Evidence, Decision]


def second_look(
    night: Night,
    documents: Sequence[Document],
    evidence: Sequence[Evidence],
    lowered: Mapping[str, Sequence[Lowered]] = MappingProxyType({}),
) -> list[Evidence]:
    """The evidence, and beside it what a model inside says of the documents that would be permitted to the cloud.

    lowered: what an approver let be taken out. It opens the cloud to a record, so such a record is looked at like any other; for the look
    itself it stays what the evidence says.
    """
    looked = list(evidence)
    if night.job.second_look is None:
        return looked
    decisions = decide_documents(documents, evidence, night.policy, night.detectors.hash)
    finally_decided = decide_documents(documents, evidence, night.policy, night.detectors.hash, lowered=lowered)
    chosen = choice(night.job.second_look, night.policy, night.keys)
    asked = {
        place: one
        for place, (one, last) in enumerate(zip(zip(documents, evidence, decisions, strict=True), finally_decided, strict=True))
        if Lane.CLOUD in last.lanes and chosen(one[0], one[1])
    }
    if asked:
        words = answers(night, list(asked.values()))
        for place, (document, found, _) in asked.items():
            looked[place] = found.merge(said(words.get(document.record_id), asked_classes(night.policy)))
    return looked


def choice(wanted: SecondLook, policy: Policy, keys: Keys) -> Callable[[Document, Evidence], bool]:
    """Which documents the job wants looked at. A share is picked by a keyed digest: the same records every time."""
    if wanted.near is not None:
        limits, within = Thresholds.of(policy), wanted.near
        return lambda _, evidence: limits.near(evidence, within)
    share = wanted.share or 0.0
    return lambda document, _: int(digest := keys.hmac(RULE, document.record_id.encode()), 16) < share * 16 ** len(digest)


def said(word: LastWord | None, known: Sequence[str]) -> Evidence:
    """An answer as evidence. No answer, an error, or a name that was not asked about is a failure: the record stays inside."""
    if word is None:
        return Evidence(failures=frozenset({UNANSWERED}))
    if word.event != Event.JUDGED:
        return Evidence(failures=frozenset({FAILED}))
    unknown = bool(word.code) or not set(word.data_classes) <= set(known)
    return Evidence(
        judged=frozenset(Judgement(data_class=name, model=word.model) for name in word.data_classes if name in known),
        failures=frozenset({UNKNOWN_CLASS} if unknown else ()),
        settled=frozenset({LLM}),
    )


def answers(night: Night, asked: Sequence[Asked]) -> dict[str, LastWord]:
    """What the model says of each document: asked now, unless the ledger knows it of this very text. What has no answer is absent."""
    look = begun_look(night)
    texts = {document.record_id: look.keys.document_hmac(look.keys.part_hmacs(document.parts)) for document, _, _ in asked}
    words = _answered(look, texts)
    unasked = [one for one in asked if one[0].record_id not in words]
    if unasked:
        look.progress.stage(f"second look at {len(unasked)} documents")
        refused = look.refused
        ask(look, unasked)
        night.refused += look.refused - refused
        words |= _answered(look, texts)
        look.progress.stage("carrying documents")
    if len(words) < len(texts):
        look.refresh()  # should one of them come by again in this night, it needs to know how often it was asked
    return words


def _answered(look: Night, texts: Mapping[str, str]) -> dict[str, LastWord]:
    words = last_words(look.ledger, look.run_id, list(texts))
    settled = {Event.JUDGED, Event.FAILED}
    return {name: word for name, word in words.items() if word.event in settled and word.document_hmac == texts[name]}


def ask(look: Night, asked: Sequence[Asked]) -> None:
    """Decide → clear → ledger → freeze → gate → lane → ledger, and wait. What no lane took is released: nothing waits for it."""
    cleared = clear_judged(
        look,
        [(document, found, replace(decision, lanes=(Lane.LOCAL,), rule=RULE, cloud_requires={})) for document, found, decision in asked],
    )
    look.ledger.commit(decision_entries(look, cleared))
    handed_over = [intent for shard in freeze_records(look, cleared) if (intent := hand_over(look, shard)) is not None]
    wait_for_answers(look, handed_over)
    words, now = last_words(look.ledger, look.run_id, [document.record_id for document, _, _ in asked]), datetime.now(UTC)
    look.ledger.commit(
        [
            Entry(event=Event.RELEASED, at=now, run_id=look.run_id, record_id=record_id, reason=UNANSWERED)
            for record_id, word in words.items()
            if word.event == Event.HELD
        ]
    )
