"""The figures of others that the advice goes by, each with where it is from, and the few of our own, which say so.

"Guides": five guides on local against cloud models of 2025 and 2026, as `docs/economics.md` has them. None of them decides over the law,
and none over a computed cost: they say where computing begins.
"""

from __future__ import annotations

from decimal import Decimal

API_UP_TO_TOKENS = 50_000_000
"""Tokens a month up to which the API dominates: guides, "below 10-50M tokens a month the API dominates"; the upper end of theirs."""

SELF_HOST_FROM_TOKENS = 500_000_000
"""Tokens a month above which self-hosting tends to win, and at which who stays on the API looks again: guides."""

API_UP_TO_YEARLY_USD = Decimal(50_000)
"""By the yearly API bill, "under 50k stay on the API": guides."""

SELF_HOST_FROM_YEARLY_USD = Decimal(500_000)
"""By the yearly API bill, "50k-500k hybrid; above 500k own": guides."""

PLAN_FROM_MONTHLY_USD = Decimal(5_000)
"""By the monthly API bill, "at 5,000 start planning": guides."""

SWITCH_FROM_MONTHLY_USD = Decimal(10_000)
"""By the monthly API bill, "at 10,000 switch": guides."""

INSIDE_UP_TO_MS = 100
"""Milliseconds: who must answer within so many cannot ask over the internet and wait in a shared queue. Guides, the trading firm."""

TYPICAL_LOCAL_SHARE = Decimal("0.80")
"""Of the tokens, what a model inside can take where nobody has measured it: guides, "80% of tokens local, 20% escalated"."""

SPIKY_FROM = Decimal(3)
"""Peak over mean from which a load is spiky. Our own: from there on hosts for the peak are idle two thirds of the time."""

WORTH_FROM_SAVING = Decimal("0.20")
"""Of the API bill, what own machines must save before a second way to run models is worth its trouble. Our own; it gives what the
guides say: "a 60k bill that is 80% extraction gains, a 200k bill that is 80% frontier reasoning does not"."""

WHOLE_FROM_SHARE = Decimal("0.95")
"""Of a workload's tokens, what a model inside must be able to take before the rest is not worth an API as well. Our own: the guides' best
case, "80-95% of calls can be served locally"."""

BUSY_AT_MOST = Decimal("0.80")
"""Of its time, what a host is planned to be busy. Our own: the rest is for restarts, updates and nights that are longer than others."""

TRIED_FROM = 30
"""Records that a model inside was tried on, before the share that it answered is taken for a measurement. Our own."""
