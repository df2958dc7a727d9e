"""A night is opened once from its job file, and closed when it is over.

One runner per ledger and job: the second leaves before it reads anything (invariant 6).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from flows.fallback import Closed
from flows.lanes import build_lane, start_endpoints
from flows.night import Night, NightOptions, escalated_in
from flows.progress import Progress, SilentProgress
from flows.ready import Ready, checked
from flows.runs import begin_run, choose_run, logical_date, out_elsewhere, register_policy, template_of
from flows.scoring import scorer_of
from flows.strategy_checks import escalate_below, routed_by
from flows.templates import keep_template
from flows.workload import Workload
from policies.model import Endpoint, Lane
from sinks.ledger.completions import completed_before
from sinks.ledger.erasure import finish_forgetting
from sinks.ledger.lock import one_runner
from sinks.ledger.overrides import OverrideBook
from sinks.ledger.queries import run_state
from sinks.ledger.reader import one_thread
from sinks.ledger.repairs import repaired
from sinks.ledger.segments import Ledger
from sinks.request import Prompt

LOGGER = logging.getLogger("waybill")
REFUSED_AT_START = "refused_at_start"
"""Why a collection hands nothing to the cloud: a policy, its dates or a template forbid it."""

_OPEN: dict[NightOptions, Night] = {}


def opened(options: NightOptions) -> Night:
    """The night that is open in this process under these options."""
    return _OPEN[options]


@contextmanager
def open_night(options: NightOptions, progress: Progress | None = None) -> Iterator[Night]:
    """Open everything, in the order in which it is cheapest to find out that something is wrong."""
    progress = progress or SilentProgress()
    with ExitStack() as stack:
        ready = stack.enter_context(checked(options, progress))
        job = ready.job
        ledger = Ledger.open(job.ledger.path, keys=job.ledger_keys)
        # A scheduled night and a collection begin in the same second every quarter of an hour: the night waits its turn.
        stack.enter_context(one_runner(job.ledger.path, job.name, wait=options.scheduled and not options.collect_only))
        stack.enter_context(one_thread())
        run_id, prompt, refusal = _run_of(ready, ledger)
        endpoints = start_endpoints(job, ready.endpoints, stack)
        used = {endpoint.name: endpoint for endpoint in [*endpoints, *([ready.looking] if ready.looking else [])]}
        stages = {"detection": 0.0, "inference": 0.0}
        salt = ledger.keys.hmac("cache_salt", job.name.encode())
        night = Night(
            options=options,
            job=job,
            run_id=run_id,
            keys=ledger.keys,
            ledger=ledger,
            policy=ready.policy,
            registry={**ready.registry, **used},
            prices=ready.prices,
            endpoints=endpoints,
            prompt=prompt,
            detectors=ready.detectors,
            scanner=ready.scanner,
            lanes={name: build_lane(endpoint, job, stages, stack, salt=salt) for name, endpoint in used.items()},
            states=run_state(ledger, run_id),
            repairs=repaired(ledger, run_id) if prompt.repair else frozenset(),
            escalated=escalated_in(job, ledger, run_id),
            escalate_below=escalate_below(job),
            score=scorer_of(job, prompt),
            load=Workload.of(job, ledger, run_id, endpoints),
            before=completed_before(ledger, job.name, run_id=run_id),
            out=out_elsewhere(ledger, job, run_id=run_id),
            overrides=OverrideBook(ledger),
            tokenizers=ready.tokenizers,
            closed=_closed(endpoints, refusal),
            progress=progress,
            stages=stages,
        )
        _OPEN[options] = night
        stack.callback(_OPEN.pop, options, None)
        yield night


def _closed(endpoints: Sequence[Endpoint], refusal: str) -> dict[str, Closed]:
    """A collection that may hand nothing to the cloud has it closed; what would be sent there again waits for the next start."""
    if not refusal:
        return {}
    LOGGER.warning("%s; nothing is handed over, what is out is collected", refusal)
    return {one.name: Closed(failure=REFUSED_AT_START, way="wait") for one in endpoints if one.lane is Lane.CLOUD}


def _run_of(ready: Ready, ledger: Ledger) -> tuple[str, Prompt, str]:
    """The run to begin or to go on with, stated in the ledger, the template that it was begun with, and why nothing may be sent."""
    options, job, prompt = ready.options, ready.job, ready.prompt
    day = logical_date(options.date)
    run_id = options.run_id or choose_run(
        ledger, job, logical_date=day, template_hash=prompt.hash, reprocess=options.reprocess or job.reprocess
    )
    begun_with, refusal = template_of(ledger, run_id, prompt), ready.refusal
    if begun_with != prompt:
        prompt = begun_with
        refusal = refusal or ready.refused_for(prompt)
    keep_template(ledger.path, prompt)
    finish_forgetting(ledger)
    register_policy(ledger, ready.policy)
    if not options.collect_only:
        begin_run(
            ledger,
            job.name,
            run_id,
            policy=ready.policy,
            template_hash=prompt.hash,
            detectors_hash=ready.detectors.hash,
            logical_date=day,
            cost_centre=job.cost_centre,
            routed_by=routed_by(job),
        )
    return run_id, prompt, refusal
