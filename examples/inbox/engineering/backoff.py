# SPDX-License-Identifier: MIT
# Copyright (c) 2023 the tidypool contributors
#
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
# documentation files (the "Software"), to deal in the Software without restriction, including without limitation
# the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
# permit persons to whom the Software is furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all copies or substantial portions of
# the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND.
"""Waiting times for clients that must try again.

The waits grow by a factor and are spread at random, so that many clients which failed together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


def waits(first_s: float = 0.5, factor: float = 2.0, longest_s: float = 60.0) -> Iterator[float]:
    """Yield waiting times in seconds, each drawn between zero and a ceiling that grows up to `longest_s`."""
    if first_s <= 0 or factor < 1:
        message = f"expected first_s > 0 and factor >= 1, got {first_s} and {factor}"
        raise ValueError(message)
    ceiling = first_s
    while True:
        yield random.uniform(0.0, ceiling)  # noqa: S311
        ceiling = min(longest_s, ceiling * factor)
