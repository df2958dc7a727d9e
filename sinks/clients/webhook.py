"""Alerts to a webhook: counts and codes, nothing that names a document (invariant 5).

The URL comes from the job file, never from the environment; proxies named there are not used, redirects not followed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from sinks.errors import EndpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """Where alerts go. The URL often carries a token, so it is not shown."""

    url: str = field(repr=False)
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What an operator is woken for. Only numbers and our own ids: there is no field a text would fit in.

    deadline: hand-overs past their deadline. extra_jobs: jobs found twice at a provider and cancelled.
    unanchored: anchors that did not take the ledger's newest checkpoint. local_down: records that the engine inside did not take.
    contradicted: records not sent because the provider's account contradicts the registry. wrong_account: jobs that the provider does not
    know any more. unknown_state: jobs in a state that nobody knows. budget_50, budget_80, budget_100: limits of the budget that have just
    come to so much percent, each counted at the highest.
    """

    run_id: str
    held: int = 0
    ambiguous: int = 0
    failed: int = 0
    deadline: int = 0
    quarantined: int = 0
    extra_jobs: int = 0
    unanchored: int = 0
    local_down: int = 0
    contradicted: int = 0
    wrong_account: int = 0
    unknown_state: int = 0
    budget_50: int = 0
    budget_80: int = 0
    budget_100: int = 0

    @property
    def news(self) -> bool:
        """Whether this start met something to look after, also while a collection is still waiting for results."""
        trouble = (self.deadline, self.quarantined, self.local_down, self.contradicted, self.wrong_account, self.unknown_state)
        return any((*trouble, self.budget_50, self.budget_80, self.budget_100))


def send_alert(alert: Alert, options: WebhookOptions) -> None:
    """POST the alert as JSON, once. Raises EndpointError when the receiver did not take it; the night goes on either way."""
    import httpx  # noqa: PLC0415 - only a job with alerts pays for the import

    try:
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=options.timeout_s) as client:
            status = client.post(options.url, json=asdict(alert)).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # the message would quote the URL and its token
        msg = f"the alert webhook was not reached ({type(error).__name__}); check alerts.webhook in the job file"
        raise EndpointError(msg) from None
    if not 200 <= status < 300:  # noqa: PLR2004 - the HTTP success range
        msg = f"the alert webhook answered HTTP {status}; redirects are not followed: give the final URL in alerts.webhook"
        raise EndpointError(msg)
