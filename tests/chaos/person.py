"""A person at an open hand-over, as with `waybill jobs cancel` and `waybill jobs resolve`: drawn from the night's seed, and truthful."""

from __future__ import annotations

import json
import random
from pathlib import Path

from flows.errors import RequestRefusedError
from flows.job import load_job
from flows.jobs_by_hand import Person, adopt, cancel, release
from sinks.errors import EndpointError
from sinks.ledger.files import head
from sinks.ledger.queries import OpenIntent, open_intents
from tests.chaos.story import CANCEL

SOMEBODY = Person(actor="hana", reason="by_the_campaign")


def decide(act: str, path: Path, out: Path, state: Path, *, seed: str) -> str:
    """Cancel a job, or say what became of a hand-over in doubt; returns what came of it. A refusal is an answer, not an error."""
    chance, job = random.Random(seed), load_job(path, out=out)
    intents = [one for one in (open_intents(job.ledger.path) if head(job.ledger.path) else ()) if one.endpoint.startswith("chaos-")]
    known = [one for one in intents if (one.provider_job_id is not None) == (act == CANCEL)]
    if not known:
        return "nothing to decide"
    intent = chance.choice(known)
    try:
        if act == CANCEL:
            cancel(job, intent.intent_id, rest=chance.choice(("hold", "resend")), person=SOMEBODY)
        elif jobs := _created(intent, state):
            adopt(job, intent.intent_id, jobs[0], person=SOMEBODY)
        else:
            release(job, intent.intent_id, person=SOMEBODY, unsafe_unlisted=False)
    except (RequestRefusedError, EndpointError) as refusal:
        return f"{act} was refused: {type(refusal).__name__}"
    return act


def _created(intent: OpenIntent, state: Path) -> list[str]:
    """What the provider's own books say that it made of a hand-over: a person can ask there."""
    log = state / "created.jsonl"
    lines = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
    digits = intent.intent_id[:12]
    ours = {line["job"] for line in lines if digits in (line.get("intents") or [line.get("label", "").rpartition("-")[2][:12]])}
    return [line["job"] for line in lines if line["job"] in ours and line.get("twin") is False]
