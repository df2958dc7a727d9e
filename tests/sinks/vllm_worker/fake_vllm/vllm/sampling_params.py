from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class StructuredOutputsParams:
    json: dict[str, Any] | None = None


@dataclass
class SamplingParams:
    max_tokens: int
    temperature: float
    seed: int
    logprobs: int
    structured_outputs: StructuredOutputsParams | None
