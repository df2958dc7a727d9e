"""The words of a verdict: lanes, endpoints, decisions, assignments, clearances. Frozen, pure, without document text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

CLEAN = "CLEAN"
UNSCANNABLE = "UNSCANNABLE"
BUILT_IN_CLASSES = ("PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", "PII", UNSCANNABLE, CLEAN)
EMULATOR = "emulator"
"""The provider of endpoints that are the bundled stand-in, which runs on this machine."""
TIERS = ("small", "medium", "large", "frontier")
"""What a model can do, in order; declared in the registry."""
CLASS_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,39}")


class Lane(StrEnum):
    """The two ways a record can go. Absence of both is `held`."""

    LOCAL = "local"
    CLOUD = "cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place a payload can go, with the facts the registry vouches for.

    engine: the module in `sinks/lanes/`. base_url, proxy and ca_file come from here and nowhere else (invariant 8).
    facts: baa, dpa, zero_data_retention, retention_days, training_use, …; a fact that is absent is not satisfied.
    review_by: the day after which the facts are no longer believed. secret: the name under which the key is looked up.
    tier: one of TIERS, or "" where nobody declared it. tokens_per_s: declared throughput, in and out together. deprecated_on: its maker
    announced its end. retires_on: the first day on which nothing is sent there.
    """

    name: str
    lane: Lane
    engine: str
    provider: str
    model: str
    region: str = ""
    feature: str = ""
    base_url: str = ""
    proxy: str = ""
    ca_file: str = ""
    secret: str = ""
    revision: str = ""
    facts: Mapping[str, bool | int | str] = field(default_factory=dict)
    evidence_link: str = ""
    review_by: date | None = None
    settings: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    tier: str = ""
    tokens_per_s: float | None = None
    deprecated_on: date | None = None
    retires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A class that a decision was made without, by which override, until when."""

    data_class: str
    override_id: str
    expiry: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a record may go, and why. It names no endpoint.

    lanes: permitted, in the policy's order; empty means held, and `reason` then says why. cloud_requires: facts that a cloud
    endpoint must have. partial: the scan stopped early, so the classes are a lower bound. inherited: classes that came
    from other members of the family. lowered: classes that were found, and taken out as an approver signed.
    """

    record_id: str
    data_classes: tuple[str, ...]
    lanes: tuple[Lane, ...]
    rule: str
    policy_hash: str
    detectors_hash: str
    cloud_requires: Mapping[str, bool | int | str] = field(default_factory=dict)
    partial: bool = False
    inherited: tuple[str, ...] = ()
    lowered: tuple[Lowered, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The endpoint chosen within a decision. endpoint is None when none is permitted: the record is held for `reason`."""

    record_id: str
    endpoint: Endpoint | None
    strategy: str
    reason: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """Permission for one exact payload to go to one endpoint under one decision, once.

    payload_hmac: keyed digest of the canonical wire body, hex. payload_bytes: its length. attempt counts from 1. reserved_usd: the
    most that it may cost there; None where the endpoint has no price.
    """

    clearance_id: str
    record_id: str
    endpoint: str
    lane: Lane
    payload_hmac: str
    payload_bytes: int = field(repr=False)
    attempt: int = 1
    reserved_usd: Decimal | None = None
