"""Counts of the committed evaluation set, and the baseline that CI compares them with: `make evaluation-baseline` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.evaluation_report import as_json
from flows.evaluation_run import evaluate_files

SET = Path(__file__).parents[1] / "tests" / "evaluation"
DOCUMENTS, BASELINE = SET / "documents.jsonl", SET / "baseline.json"


Counts = dict[str, dict[str, dict[str, int]]]
"""Part → class or kind → k of n."""


def counts(*, planned: bool = False) -> Counts:
    """Leaks by class, over-blocked documents by kind, and documents in another language that the cloud would have got."""
    result: dict[str, Any] = as_json(evaluate_files([DOCUMENTS], planned=planned).evaluation)
    parts = {
        "leak": result["leak"],
        "over_block": result["over_block"]["waybill evaluation"]["kinds"],
        "not_english": result["not_english"],
    }
    return {part: {name: {"k": entry["k"], "n": entry["n"]} for name, entry in sorted(entries.items())} for part, entries in parts.items()}


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(counts(), indent=2) + "\n", encoding="utf-8")
    print(BASELINE.read_text(encoding="utf-8"), end="")
