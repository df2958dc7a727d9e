"""Who takes part in what: directories that a policy lists, such as the addresses of counsel. Pure data; cheap to import."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """People by whatever is known of them, in lower case. domains: and all below them (`firm.example` is `mail.firm.example` too)."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether nobody is listed."""
        return not (self.addresses or self.domains or self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participants:
    """The directories of a policy. counsel: in-house and outside lawyers."""

    counsel: Directory = Directory()

    @property
    def digest(self) -> str:
        """SHA-256 over all entries, hex: part of the detector-set hash."""
        digest = hashlib.sha256()
        for entries in (self.counsel.addresses, self.counsel.domains, self.counsel.names):
            digest.update("\n".join(sorted(entries)).encode() + b"\0")
        return digest.hexdigest()


NOBODY = Participants()
