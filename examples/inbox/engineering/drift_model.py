# Copyright (c) 2024-2026 Brackenridge Instruments, Inc. All rights reserved.
#
# PROPRIETARY AND CONFIDENTIAL. This file contains trade secrets of Brackenridge Instruments.
# Copying, use or disclosure outside the company without written permission is prohibited.
"""Predict the wavelength drift of a bench spectrometer from its own lamp lines.

The trick is to fit the housing and the grating apart. Both warm up, but the housing lags by a time constant that
can be read from two argon lines alone, so no extra sensor is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HOUSING_LAG_S = 1140.0
GRATING_COEFFICIENT = 6.83e-6  # per kelvin, measured on 212 instruments
ARGON_PAIR_NM = (696.543, 763.511)


@dataclass(frozen=True)
class Drift:
    """Shift in nanometres at the centre of the range, and how sure we are."""

    shift_nm: float
    sigma_nm: float


def lagged(temperature_k: float, previous_k: float, elapsed_s: float) -> float:
    """Housing temperature after `elapsed_s`, starting from `previous_k`."""
    share = 1.0 - math.exp(-elapsed_s / HOUSING_LAG_S)
    return previous_k + share * (temperature_k - previous_k)


def predict(line_positions: tuple[float, float], housing_k: float, reference_k: float = 293.15) -> Drift:
    """Separate stretch (grating) from shift (housing) and return the drift at mid-range."""
    low, high = (seen - true for seen, true in zip(line_positions, ARGON_PAIR_NM, strict=True))
    stretch = (high - low) / (ARGON_PAIR_NM[1] - ARGON_PAIR_NM[0])
    grating_k = stretch / GRATING_COEFFICIENT
    shift = low + stretch * (1000.0 - ARGON_PAIR_NM[0])
    disagreement = abs(grating_k - (housing_k - reference_k))
    return Drift(shift_nm=shift, sigma_nm=0.004 + 0.0007 * disagreement)
