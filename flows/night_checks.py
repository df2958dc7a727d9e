"""What would make a whole night wrong, found before its ledger is opened: a policy with errors, a template that may not leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from detectors.detector import DetectorSet
from detectors.document import Document
from flows.errors import JobError
from flows.job import Job
from flows.scanner import Scanner
from policies.assign import permits
from policies.check import Severity, check
from policies.decide import decide
from policies.model import CLEAN, Endpoint, Lane
from policies.policy import Policy
from policies.prices import Prices
from sinks.request import Prompt

OF_THE_WORDS = frozenset({"lane_not_permitted", "facts_missing"})
"""Refusals that other words would not get. An endpoint past its dates is refused to every record, whatever the template says."""


def check_policy(policy: Policy, endpoints: Sequence[Endpoint], detectors: DetectorSet, prices: Prices) -> None:
    """Refuse a policy that `waybill policy check` finds errors in, with the endpoints that this job uses."""
    used = {endpoint.name: endpoint for endpoint in endpoints}
    problems = check(policy, used, today=datetime.now(UTC).date(), known=detectors.kinds, prices=prices)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more: see `waybill policy check`)" if len(errors) > 1 else ""
        raise JobError(f"{errors[0].where}: {errors[0].message}{more}")


def check_template(prompt: Prompt, policy: Policy, scanner: Scanner, job: Job, endpoints: Sequence[Endpoint]) -> None:
    """Refuse a template whose own words may not go where its records go."""
    constants = Document(record_id="template", text="\n".join(prompt.constants), source="template", family="template")
    if not constants.text.strip() or job.lanes.cloud is None:
        return
    (evidence,) = scanner.scan([constants])
    decision = decide("template", evidence, policy, detectors_hash="")
    if set(decision.data_classes) <= {CLEAN}:
        return  # no record is freer than a clean document (policies/monotone.py), so each one's own decision says all
    today = datetime.now(UTC).date()
    for endpoint in endpoints:
        if endpoint.lane is Lane.CLOUD and permits(decision, endpoint, today=today) in OF_THE_WORDS:
            raise JobError(
                f"{job.file}: the prompt template or schema itself is {', '.join(decision.data_classes)} under this policy, so it may not "
                f"leave for {endpoint.name}; take the restricted words out, or set lanes.cloud: null"
            )
