"""Does the account itself contradict what the registry vouches for? Pure: the account's own words are passed in.

The registry's facts are somebody's reading of a contract; the account is what runs. Where it says otherwise, or may not be asked,
nothing is sent (invariant 1), unless the endpoint's `unsafe_accept` names the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from policies.model import Endpoint
from sinks.clients.bedrock_client import UNREADABLE, AccountState
from sinks.lanes.bedrock_settings import accepted_codes

# What each mode contradicts. `default` and `inherit` leave it to the model: no promise that nothing is kept, but no review or sharing
# that the registry would have to know of either. A mode that nobody knows contradicts every promise. How long a review keeps what it
# looks at is said nowhere, so no number of days holds there.
DAYS = "retention_days"
_PROMISES = {"zero_data_retention": True, "human_review": False, "training_use": False}
NOTHING_KEPT = "none"
_BROKEN = {
    NOTHING_KEPT: frozenset[str](),
    "default": frozenset({"zero_data_retention"}),
    "inherit": frozenset({"zero_data_retention"}),
    "aws_review": frozenset({"zero_data_retention", "human_review", DAYS}),
}
# Inference profiles route a request to any region of a geography; their ids begin with it. The profile of an ARN cannot be judged.
_PROFILE = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|il|in|uk|global)\..+|arn:.*inference-profile/.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """One thing that the account or the model says otherwise: a code of `bedrock_settings.CODES`, and what to do about it.

    accepted: the endpoint's `unsafe_accept` names the code.
    """

    code: str
    message: str
    accepted: bool = False


def contradictions(endpoint: Endpoint, state: AccountState) -> tuple[Contradiction, ...]:
    """All of them, for this endpoint."""
    accepted = accepted_codes(endpoint)
    return tuple(replace(one, accepted=one.code in accepted) for one in _found(endpoint, state))


def _stated(endpoint: Endpoint) -> list[str]:
    """The facts of the registry that a mode may contradict."""
    days = [DAYS] if DAYS in endpoint.facts else []
    return [name for name, promise in _PROMISES.items() if endpoint.facts.get(name) is promise] + days


def _found(endpoint: Endpoint, state: AccountState) -> Iterator[Contradiction]:
    if state.logs_text is None or state.retention == UNREADABLE:
        message = "its settings may not be read; allow bedrock:GetModelInvocationLoggingConfiguration and bedrock:GetAccountDataRetention"
        yield Contradiction(code="account_unreadable", message=message)
    if state.logs_text:
        message = f"model invocation logging is on in {endpoint.region}, so prompts and answers are kept in a log; switch text off there"
        yield Contradiction(code="invocation_logging", message=message)
    broken = [name for name in _stated(endpoint) if name in _BROKEN.get(state.retention, (*_PROMISES, DAYS))]
    if endpoint.facts.get(DAYS) == 0 and DAYS not in broken and state.retention != NOTHING_KEPT:  # zero days are zero retention
        broken.append(DAYS)
    if broken and state.retention != UNREADABLE:
        message = f"its data retention in {endpoint.region} is {state.retention}, which contradicts {', '.join(broken)} in the registry"
        yield Contradiction(code="data_retention", message=message)
    if _PROFILE.fullmatch(endpoint.model):
        message = f"the model {endpoint.model} is an inference profile, which may run outside {endpoint.region}; name a model of the region"
        yield Contradiction(code="cross_region", message=message)
