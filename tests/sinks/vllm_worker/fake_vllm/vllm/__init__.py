"""A stand-in for vLLM's offline API, as version 0.32 has it: what the worker uses, and nothing else.

It stands for the engine in tests of the lane and of the worker's protocol. One character is one token, `</s>` is a control token, and it
answers prompts reversed. Words in a prompt make things happen: CRASH kills the process once, POISON fails each step, LONG is refused as
too long, REFUSED is refused, BRIEF is answered by its first words, EMPTY by nothing, LOST by never.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm import inputs, sampling_params
from vllm.lora.request import LoRARequest

__version__ = "0.32.0"
SamplingParams = sampling_params.SamplingParams
CONTROL = "</s>"
CONTROL_ID = 0x110000  # one more than the last character
BRIEF_LENGTH = 12


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
class ModelConfig:
    max_model_len: int


@dataclass
class AddedToken:
    content: str
    special: bool = True

    def __str__(self) -> str:
        return self.content


class Tokenizer:
    """Its template writes a line per message. A model's `chat_template.jinja` may say `none`, or `no system` to refuse system messages."""

    added_tokens_decoder = {CONTROL_ID: AddedToken(CONTROL)}  # noqa: RUF012 - as transformers has it
    all_special_tokens = [CONTROL]  # noqa: RUF012 - as transformers has it

    def __init__(self, folder: Path) -> None:
        template = folder / "chat_template.jinja"
        self.template = template.read_text() if template.exists() else "a line per message"

    def __call__(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        pieces = [text] if split_special_tokens else text.split(CONTROL)
        ids: list[int] = []
        for number, piece in enumerate(pieces):
            ids += [CONTROL_ID] * (number > 0) + [ord(character) for character in piece]
        return {"input_ids": ids}

    def apply_chat_template(
        self, messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, return_dict: bool = True
    ) -> str | list[int]:
        assert add_generation_prompt
        if self.template == "none" or (self.template == "no system" and messages[0]["role"] == "system"):
            raise ValueError(f"no template for {messages}")
        text = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
        if not tokenize:
            return text
        assert not return_dict
        return self(text, add_special_tokens=False, split_special_tokens=False)["input_ids"]


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
        if "LOST" in prompt:
            return []
        text = '{"name":"Ines"}' if parameters.structured_outputs is not None else _answer(prompt)
        ends = len(text) <= parameters.max_tokens
        completion = Completion(
            text=text[: parameters.max_tokens], finish_reason="stop" if ends else "length", token_ids=[1, 2], cumulative_logprob=-3.0
        )
        bare, _, suffix = request_id.partition("-")
        assert suffix
        return [Request(request_id=bare, outputs=[completion], prompt_token_ids=list(range(len(prompt))))]

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def abort_request(self, request_ids: list[str], *, internal: bool) -> None:
        assert internal
        for request_id in request_ids:
            self.waiting.pop(request_id, None)

    def add_lora(self, request: LoRARequest) -> bool:
        return (Path(request.lora_path) / "adapter_model.safetensors").exists()


class LLM:
    def __init__(self, *, model: str, structured_outputs_config: dict[str, Any], disable_log_stats: bool, **engine: Any) -> None:
        assert structured_outputs_config["backend"] == "guidance"
        assert disable_log_stats
        if (Path(model) / "unloadable").exists():
            raise RuntimeError("these weights are not for this engine")
        self.llm_engine = Engine()
        self.model_config = ModelConfig(engine.get("max_model_len", 4000))
        self.tokenizer = Tokenizer(Path(model))
        self.lora = engine.get("enable_lora", False)
        self.count = 0

    def get_tokenizer(self) -> Tokenizer:
        return self.tokenizer

    def enqueue(
        self,
        prompts: list[inputs.TokensPrompt],
        sampling_params: SamplingParams,
        *,
        use_tqdm: bool,
        lora_request: LoRARequest | None,
    ) -> list[str]:
        assert use_tqdm is False
        assert (lora_request is not None) == self.lora
        (prompt,) = prompts
        assert len(prompt["cache_salt"]) == 64
        text = "".join(CONTROL if token == CONTROL_ID else chr(token) for token in prompt["prompt_token_ids"])
        if "LONG" in text:
            raise VLLMValidationError(f"The decoder prompt is longer than the maximum model length of 9. {text}")
        structured = sampling_params.structured_outputs
        if "REFUSED" in text or (structured is not None and structured.json == {"type": "nonsense"}):
            raise VLLMValidationError(text)
        sys.stderr.write("INFO a request came\n")
        request_id = f"{self.count}-1f2e3d4c"
        self.count += 1
        self.llm_engine.waiting[request_id] = (text, sampling_params)
        Path("most_in_flight").write_text(json.dumps(max(len(self.llm_engine.waiting), _most_in_flight())))
        return [request_id]


def _most_in_flight() -> int:
    path = Path("most_in_flight")
    return int(path.read_text()) if path.exists() else 0


def _answer(prompt: str) -> str:
    if "EMPTY" in prompt:
        return " "
    return prompt.partition("BRIEF ")[2][:BRIEF_LENGTH] if "BRIEF" in prompt else prompt[::-1]
