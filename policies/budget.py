"""What a job may spend at providers, and whether one more record still fits. Pure; Decimal throughout.

What is *committed* is what is settled, by reported usage, and the most that everything else which was handed over can still cost. As long
as no record is handed over that does not fit beside what is committed, no order of events brings the bill above the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

BUDGET_NIGHT = "budget_night"
BUDGET_MONTH = "budget_month"
NO_PRICE = "no_price"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """US dollars. None: no limit."""

    night: Decimal | None = None
    month: Decimal | None = None

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep."""
        return self.night is not None or self.month is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """US dollars that a job is committed to: for the night, and for the month."""

    night: Decimal = Decimal(0)
    month: Decimal = Decimal(0)

    def plus(self, amount: Decimal) -> Committed:
        """With one more record handed over."""
        return Committed(night=self.night + amount, month=self.month + amount)


def refusal(budget: Budget, committed: Committed, bound: Decimal | None) -> str | None:
    """None when a record that costs at most `bound` fits; else why not. The month's limit is named first: a night passes sooner."""
    if not budget.limited or bound == 0:
        return None
    if bound is None:
        return NO_PRICE
    if budget.month is not None and committed.month + bound > budget.month:
        return BUDGET_MONTH
    if budget.night is not None and committed.night + bound > budget.night:
        return BUDGET_NIGHT
    return None
