"""What `waybill doctor` printed, by name."""

from __future__ import annotations

from typing import Any


def findings(said: Any) -> dict[str, tuple[str, str]]:
    return {line[6:25].strip(): (line[:4].strip(), line[25:]) for line in said.out.splitlines()}
