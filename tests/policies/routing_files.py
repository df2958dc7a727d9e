"""A router and a calibration, as their files hold them."""

from __future__ import annotations

from datetime import date

from policies.strategies.calibration import Calibration
from policies.strategies.router import MEASURES, Measure, Router, Training

ROUTER = Router(
    features=("characters", "digits"),
    weights=(0.5, -2.0),
    means=(5.0, 0.1),
    scales=(2.0, 0.05),
    intercept=-1.0,
    trained=Training(rows=900, subjects=12, source="outcomes", digest="a" * 64, made_on=date(2026, 11, 23)),
    metrics={name: Measure(0.6, 0.55, 0.65) for name in MEASURES},
    usable=True,
)
CALIBRATION = Calibration(
    threshold=0.9,
    target=0.95,
    confidence=0.95,
    reviewed=400,
    accepted=300,
    wrong=4,
    right_at_least=0.961,
    endpoint="inside",
    digest="b" * 64,
    made_on=date(2026, 11, 23),
)
