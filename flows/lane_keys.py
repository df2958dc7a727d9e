"""The keys under `lanes` of a job file: endpoints by lane, the strategy, and what each strategy wants to be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flows.job_parts import Strict
from flows.job_paths import ExistingPath
from flows.marked_yaml import KeyPath

STRATEGIES_OF: dict[str, tuple[str, ...]] = {
    "escalate_below": ("waterfall",),
    "calibration": ("waterfall",),
    "router": ("tiered",),
    "complexity": ("tiered",),
    "quality_floor": ("tiered", "cheapest"),
}
"""Keys that mean something to some strategies only."""


def _one_or_more(value: object) -> object:
    """A name alone stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("expected the name of an endpoint, or a list of at least one")
    if len(set(names)) < len(names):
        raise ValueError("expected different endpoints, found one of them twice")
    return names


EndpointNames = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_one_or_more),
    Field(strict=False),
    AfterValidator(_different),
]


class ComplexityLimits(Strict):
    """From which score (0..1) on `tiered` wants a medium model, and a large one."""

    medium_from: float = Field(1 / 3, ge=0, le=1)
    large_from: float = Field(2 / 3, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> ComplexityLimits:
        if self.medium_from > self.large_from:
            raise ValueError("expected medium_from not above large_from")
        return self


class Lanes(Strict):
    """Endpoint names of the registry, and how to choose where more than one is permitted. No cloud endpoint: everything stays inside.

    local, cloud: a name or a list; the first is preferred, the next takes over when it fails. escalate_below: of `waterfall`, the
    confidence (0..1) below which an answer is asked for again in the cloud; calibration: a file of `waybill router calibrate` that says it.
    """

    local: EndpointNames = ("extractive",)
    cloud: EndpointNames | None = ("emulator",)
    strategy: Literal["cloud_first", "local_first", "tiered", "waterfall", "cheapest"] = "cloud_first"
    escalate_below: float | None = Field(None, gt=0, le=1)
    calibration: ExistingPath | None = None
    router: ExistingPath | None = None
    complexity: ComplexityLimits | None = None
    quality_floor: Literal["small", "medium", "large", "frontier"] | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Every endpoint, those inside first."""
        return (*self.local, *(self.cloud or ()))


def lanes_mistake(lanes: Lanes) -> tuple[KeyPath, str] | None:
    """What no single key can know: where the mistake is, and what it is."""
    for key, strategies in STRATEGIES_OF.items():
        if getattr(lanes, key) is not None and lanes.strategy not in strategies:
            wanted = " or ".join(strategies)
            return ("lanes", key), f"expected this key with strategy: {wanted} only, found strategy: {lanes.strategy}; remove it"
    if lanes.strategy != "waterfall":
        return None
    if lanes.cloud is None:
        return ("lanes", "cloud"), "expected an endpoint, because strategy: waterfall escalates to the cloud; found null"
    if (lanes.escalate_below is None) == (lanes.calibration is None):
        found = "neither" if lanes.calibration is None else "both"
        return ("lanes", "strategy"), f"expected either lanes.escalate_below or lanes.calibration beside waterfall, found {found}"
    return None
