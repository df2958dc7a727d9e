"""What the worker says in its log: one line, no content."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"vllm_worker: {message}\n")
    sys.stderr.flush()
