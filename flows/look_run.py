"""The run of a night's second looks: a night of its own within the night, with the same ledger, keys and lanes.

- Its job's name is one that no job can have, so that none of its records counts as a result, a held record or an unchanged document of
  the job, and its tokens are accounted apart.
- One run for each question and model: an answer to another question, or of another model, is none to this one.
- What the model said goes into the ledger as class names (`judged`), in a commit before the one that ends the hand-over.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from flows.collecting import FASTEST_POLL_S, collect, overdue
from flows.errors import JobError
from flows.look_question import RULE, asked_classes, look_prompt
from flows.night import Night
from flows.runs import begin_run, logical_date
from flows.submitting import recover_hand_overs
from flows.superseding import superseded_hand_over
from flows.templates import keep_template
from policies.model import Endpoint
from sinks.freeze import canonical
from sinks.ingest import CompletedRow, ResultPlace
from sinks.ledger.entry import Entry, Event
from sinks.ledger.lookup import last_words
from sinks.ledger.queries import OpenIntent, job_runs, open_intents, run_state
from sinks.request import Prompt

NOT_ASKED_ABOUT = "class_not_asked_about"
SLOWEST_POLL_S = 2.0
_DIGEST_DIGITS = 12
_RUN_DIGITS = 8


@contextmanager
def second_looks(night: Night) -> Iterator[None]:
    """Go on with the looks that an earlier start left open; state at the end how this night's ended."""
    _resume(night)
    yield
    look = night.look
    if look is not None:
        code = "pending" if open_intents(look.ledger, look.run_id) else "gate_refused" if look.refused else "done"
        look.ledger.commit([Entry(event=Event.RUN_ENDED, at=datetime.now(UTC), run_id=look.run_id, detail_code=code)])


def begun_look(night: Night) -> Night:
    """The night of the look; it begins when it is first needed."""
    if night.look is None:
        prompt, endpoint = _prompt(night), _endpoint(night)
        run_id = _run_id(night, prompt, endpoint)
        keep_template(night.ledger.path, prompt)
        begin_run(
            night.ledger,
            _job_name(night),
            run_id,
            policy=night.policy,
            template_hash=prompt.hash,
            detectors_hash=night.detectors.hash,
            logical_date=logical_date(night.options.date),
        )
        night.look = replace(
            night,
            run_id=run_id,
            prompt=prompt,
            endpoints=[endpoint],
            states=run_state(night.ledger, run_id),
            keep=keep_judgements,
            refused=0,
            lost=0,
            unchanged=0,
            closed={},
            escalated={},
            score=None,
            load=None,
        )
    return night.look


def wait_for_answers(look: Night, handed_over: Sequence[OpenIntent]) -> None:
    """Ask the lane until every hand-over has been taken in, or the job's deadline has passed."""
    waiting, poll_s = handed_over, FASTEST_POLL_S
    while waiting := [intent for intent in waiting if not collect(look, intent) and not overdue(look, intent)]:
        with look.timed("inference"):
            time.sleep(poll_s)
        poll_s = min(poll_s * 2, SLOWEST_POLL_S, look.job.poll_s)


def keep_judgements(look: Night, rows: Sequence[CompletedRow]) -> dict[str, ResultPlace]:
    """Put the answers into the ledger: class names only."""
    known, now = asked_classes(look.policy), datetime.now(UTC)
    texts = last_words(look.ledger, look.run_id, [row.record_id for row in rows])
    judged = [(row, classes_in(row.result.output or "", known)) for row in rows]
    look.ledger.commit(
        [
            Entry(
                event=Event.JUDGED,
                at=now,
                run_id=look.run_id,
                record_id=row.record_id,
                detail_code=NOT_ASKED_ABOUT if None in names else None,
                data_classes=tuple(name for name in known if name in names),
                document_hmac=texts[row.record_id].document_hmac,
                lane=row.endpoint.lane,
                endpoint=row.endpoint.name,
                reason=RULE,
                attempt=row.attempt,
                intent_id=row.intent_id,
                model=_identity(row),
                revision=row.result.revision,
                weights_digest=row.result.weights_digest,
                lora_digest=row.result.lora_digest,
            )
            for row, names in judged
        ]
    )
    return {
        row.record_id: ResultPlace(file=None, row=None, digest=look.keys.hmac("result", canonical(sorted(map(str, names)))))
        for row, names in judged
    }


def classes_in(output: str, known: Sequence[str]) -> set[str | None]:
    """The names in a checked answer; None for anything else. Of a key that is there twice both count: the check saw only the last."""
    values = [value for _, value in json.loads(output, object_pairs_hook=list)]
    given = [name for value in values for name in (value if isinstance(value, list) else [None])]
    return {name if isinstance(name, str) and name in known else None for name in given}


def _identity(row: CompletedRow) -> str:
    """Which model said so: its name, and the digest of its weights or its revision where the lane knows it."""
    exactly = (row.result.weights_digest or "")[:_DIGEST_DIGITS] or row.result.revision
    return (row.result.model or row.endpoint.model) + (f"@{exactly}" if exactly else "")


def _resume(night: Night) -> None:
    """Take in what an earlier start of this run asked. Looks that nobody goes on with are given up, so that their text is deleted."""
    begun = {run.run_id for run in job_runs(night.ledger, _job_name(night))}
    if not begun:
        return
    own = _run_id(night, _prompt(night), _endpoint(night)) if night.job.second_look else ""
    left = [intent for intent in open_intents(night.ledger) if intent.run_id in begun]
    if not night.options.collect_only:  # a collection is of an older run: the night that was killed goes on later
        night.ledger.commit([superseded_hand_over(intent) for intent in left if intent.run_id != own])
    if any(intent.run_id == own for intent in left):
        look = begun_look(night)
        recover_hand_overs(look)
        wait_for_answers(look, [intent for intent in open_intents(look.ledger, own) if intent.provider_job_id is not None])


def _prompt(night: Night) -> Prompt:
    return look_prompt(night.job, night.policy, night.prompt, night.keys)


def _endpoint(night: Night) -> Endpoint:
    wanted = night.job.second_look
    if wanted is None:
        raise JobError(f"{night.job.at('second_look')}: expected the key, found none")
    return night.registry[wanted.endpoint]


def _job_name(night: Night) -> str:
    """A name that no job can have: the pattern of job names knows no full stop."""
    return f"{night.job.name}.second-look"


def _run_id(night: Night, prompt: Prompt, endpoint: Endpoint) -> str:
    asked = hashlib.sha256(canonical([prompt.hash, endpoint.name, endpoint.model, endpoint.revision])).hexdigest()
    return f"{night.run_id}.look-{asked[:_RUN_DIGITS]}"
