"""Planned = complete on every document of a folder: permitted lanes, deciding rule, requirements. Ends with 1 when one differs.

`make planned-equals-complete CORPORA=DIR`; without a folder, the committed evaluation set and the bundled inbox.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from documents import documents

from detectors import load
from flows.agreement import differing
from policies.load import DEFAULT_POLICY, load_policy

AT_ONCE = 1_000


def main() -> int:
    """Compare, and name the documents that differ by file and line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", type=Path, nargs="?")
    parser.add_argument("--policy", type=Path, default=DEFAULT_POLICY)
    arguments = parser.parse_args()
    policy = load_policy(arguments.policy)
    detectors = load(ner=policy.ner, participants=policy.participants)
    chosen = documents(arguments.corpora)
    different: list[str] = []
    for start in range(0, len(chosen), AT_ONCE):
        different += differing(chosen[start : start + AT_ONCE], policy, detectors)
    print(f"{len(chosen):,} documents, {len(different)} decided differently", *different[:50], sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
