"""A stand-in for vLLM's offline API, as version 0.32 has it: what the worker uses, and nothing else. It answers prompts reversed."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm import sampling_params

__version__ = "0.32.0"
SamplingParams = sampling_params.SamplingParams


class VLLMValidationError(Exception):
    """Not a ValueError, in vLLM either."""


@dataclass
class Completion:
    text: str
    finish_reason: str
    token_ids: list[int]
    cumulative_logprob: float


@dataclass
class Request:
    request_id: str
    outputs: list[Completion]
    prompt_token_ids: list[int]
    finished: bool = True


@dataclass
class Engine:
    waiting: dict[str, tuple[str, SamplingParams]] = field(default_factory=dict)

    def step(self) -> list[Request]:
        """The newest request is done first: batches finish in any order."""
        request_id, (prompt, parameters) = self.waiting.popitem()
        if "CRASH" in prompt and not (marker := Path("crashed")).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "POISON" in prompt:
            raise RuntimeError(prompt)
        structured = parameters.structured_outputs
        text = '{"name":"Ines"}' if structured is not None else prompt[::-1]
        ends = len(text) <= parameters.max_tokens
        completion = Completion(
            text=text[: parameters.max_tokens], finish_reason="stop" if ends else "length", token_ids=[1, 2], cumulative_logprob=-3.0
        )
        return [Request(request_id=request_id, outputs=[completion], prompt_token_ids=list(range(len(prompt))))]


class LLM:
    def __init__(self, *, model: str, structured_outputs_config: dict[str, Any], disable_log_stats: bool, seed: int, **engine: Any) -> None:
        assert structured_outputs_config["backend"] == "guidance"
        assert disable_log_stats
        assert seed == 0
        assert Path(model).is_dir(), f"no model at {model}"
        assert set(engine) <= {"max_model_len", "block_size", "distributed_executor_backend", "enforce_eager"}
        self.llm_engine = Engine()
        self.count = 0

    def enqueue_chat(
        self, messages: list[list[dict[str, str]]], sampling_params: SamplingParams, *, use_tqdm: bool, lora_request: object = None
    ) -> list[str]:
        assert use_tqdm is False
        prompt = "\n".join(f"{message['role']}: {message['content']}" for message in messages[0])
        if "LONG" in prompt:
            raise VLLMValidationError(f"This model's maximum context length is 9 tokens. {prompt}")
        sys.stderr.write("INFO a request came\n")
        request_id = str(self.count)
        self.count += 1
        self.llm_engine.waiting[request_id] = (prompt, sampling_params)
        assert len(self.llm_engine.waiting) <= 3
        return [f"{request_id}-1f2e3d4c"]
