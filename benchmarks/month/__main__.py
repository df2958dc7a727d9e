"""A simulated month of routing (`make month`): every strategy through the same December, beside what hindsight could have done.

It fails when a strategy misses a deadline, leaves a record without an answer, exceeds a budget, or lets a restricted record out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.month.report import WIDTH, drawn, live, rows

RESULTS = Path(__file__).parents[1] / "results" / "month.json"
SEED = 7
"""Whose table is kept in RESULTS, and in docs/routing.md."""

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=SEED)
    seed = arguments.parse_args().seed
    month = live(seed=seed)
    heading, *lines = rows(month)
    console = Console(width=WIDTH)
    console.print(
        drawn(
            heading,
            lines,
            title=f"a simulated month, seed {seed}: {month.records:,} documents, {month.tokens / 10**9:.2f} billion tokens",
        )
    )
    for note in month.notes:
        console.print(note)
    if month.faults:
        sys.exit("\n".join(month.faults))
    if seed == SEED:
        RESULTS.write_text(json.dumps({"seed": seed, "heading": heading, "rows": lines}, indent=1) + "\n")
