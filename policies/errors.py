"""Everything that can go wrong in `policies/`.

    PolicyError
    ├── PolicyFileError    a policy, registry, price or case file is not what it should be; says FILE:LINE: key, what was expected
    ├── RuleError          a rule or a strategy that cannot mean anything (an empty `all`, a score above 1, an unknown strategy)
    └── ClearanceError     a payload was to be cleared for an endpoint that its decision does not permit

Messages quote policy files and codes; never a document.
"""

from __future__ import annotations


class PolicyError(Exception):
    """Any refusal of this package."""


class PolicyFileError(PolicyError):
    """A file cannot be used; the message starts with FILE:LINE and the key."""


class RuleError(PolicyError):
    """A rule that cannot be evaluated."""


class ClearanceError(PolicyError):
    """A clearance was refused. `code` is the refusal reason, fit for the ledger."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
