"""One vLLM engine: tokens in, answers out. The only module that touches vLLM, and late: importing it takes seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import EngineFailedError, RowError, UnloadableError
from .spec import Spec
from .summaries import Answer

# guidance, never xgrammar: that lets raw control characters into JSON strings with a maxLength. No white space between tokens: a weak
# model would write it until its limit.
_STRUCTURED = {"backend": "guidance", "disable_any_whitespace": True}
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what `max_lora_rank` takes
_FATAL = ("EngineDeadError", "MemoryError")


class Engine:
    """A loaded engine. `max_model_len`: tokens of prompt and answer together."""

    def __init__(self, spec: Spec) -> None:
        """Load it. Raises UnloadableError."""
        if not spec.model_path.is_dir():
            raise UnloadableError(f"expected a model's folder at {spec.model_path}, found none; correct the endpoint's model_path")
        settings = {**_lora_settings(spec.lora_path), **spec.engine}
        try:
            import vllm  # noqa: PLC0415 - seconds, and its failure has to be told
            from vllm.lora.request import LoRARequest  # noqa: PLC0415 - as vllm itself

            self._vllm = vllm
            self._llm = vllm.LLM(
                model=str(spec.model_path), structured_outputs_config=dict(_STRUCTURED), disable_log_stats=True, **settings
            )
            self._lora = None if spec.lora_path is None else LoRARequest("job", 1, str(spec.lora_path))
            is_taken = self._lora is None or self._llm.llm_engine.add_lora(self._lora)  # now, not with the first record
        except Exception as error:  # noqa: BLE001 - whatever it is, the lane has to know that there is no engine
            raise UnloadableError(f"vLLM could not load the model: {type(error).__name__}{_hint(spec.device)}") from None
        if not is_taken:
            raise UnloadableError("vLLM did not take the LoRA adapter; see whether it was made for this model")
        self.max_model_len: int = self._llm.model_config.max_model_len
        self.version: str = vllm.__version__

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._llm.get_tokenizer()

    def submit(self, ids: list[int], body: Mapping[str, Any], salt: str) -> str:
        """Hand over one prompt and return its id. Raises RowError when the engine refuses it; nothing of it stays behind then."""
        try:
            prompt = self._vllm.inputs.TokensPrompt(prompt_token_ids=ids, cache_salt=salt)
            (request_id,) = self._llm.enqueue([prompt], self._parameters(body), use_tqdm=False, lora_request=self._lora)
        except Exception as error:  # noqa: BLE001 - not all of vLLM's refusals are ValueErrors; one record must not stop the others
            if type(error).__name__ in _FATAL:
                raise EngineFailedError(f"the engine failed while it was working: {type(error).__name__}") from None
            raise RowError(_refusal(error, body)) from None
        return str(request_id)

    def step(self) -> list[tuple[str, Answer]]:
        """Work a little: the calls that ended, by the bare id (see `bare`). Raises EngineFailedError."""
        try:
            outputs = self._llm.llm_engine.step()
        except Exception as error:  # noqa: BLE001 - an engine that failed in the middle of a step cannot be trusted with the next
            raise EngineFailedError(f"the engine failed while it was working: {type(error).__name__}") from None
        return [(bare(output.request_id), _answer(output)) for output in outputs if output.finished]

    def abort(self, request_ids: list[str]) -> None:
        """Forget calls whose row has failed. Ids as `submit` gave them."""
        self._llm.llm_engine.abort_request(request_ids, internal=True)

    def is_idle(self) -> bool:
        """Whether nothing is left to answer."""
        return not self._llm.llm_engine.has_unfinished_requests()

    def _parameters(self, body: Mapping[str, Any]) -> Any:
        schema = body["schema"]
        structured = None if schema is None else self._vllm.sampling_params.StructuredOutputsParams(json=schema)
        return self._vllm.SamplingParams(
            max_tokens=body["max_tokens"], temperature=body["temperature"], seed=body["seed"], logprobs=0, structured_outputs=structured
        )


def bare(request_id: str) -> str:
    """`enqueue` returns the id with a random suffix, `step` reports it without."""
    return request_id.partition("-")[0]


def _answer(output: Any) -> Answer:
    completion = output.outputs[0]
    return Answer(
        text=completion.text,
        finish_reason=completion.finish_reason,
        tokens_in=len(output.prompt_token_ids or ()),
        tokens_out=len(completion.token_ids),
        logprob=completion.cumulative_logprob,
    )


def _refusal(error: Exception, body: Mapping[str, Any]) -> str:
    if "context length" in str(error) or "longer than" in str(error):
        return "prompt_too_long"
    return "request_refused" if body.get("schema") is None else "invalid_schema"


def _lora_settings(path: Path | None) -> dict[str, Any]:
    """What the adapter's own configuration asks of the engine."""
    if path is None:
        return {}
    try:
        form = json.loads((path / "adapter_config.json").read_bytes())
        rank = max([int(form["r"]), *(int(value) for value in (form.get("rank_pattern") or {}).values())])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UnloadableError(f"expected a LoRA adapter at {path}, found none that can be read; correct the endpoint's lora_path") from None
    allowed = next((allowed for allowed in _LORA_RANKS if allowed >= rank), None)
    if allowed is None:
        raise UnloadableError(f"expected a LoRA adapter of rank {_LORA_RANKS[-1]} at most, found {rank}")
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": allowed}


def _hint(device: str) -> str:
    """The likeliest reason on a machine without a GPU."""
    if device == "cpu":
        return ""
    try:
        from vllm.platforms import current_platform  # noqa: PLC0415 - as vllm
    except Exception:  # noqa: BLE001 - a vLLM that cannot be imported has no device to name
        return ""
    return "" if current_platform.device_type else "; it sees no GPU (give it one, or set `device: cpu` with a CPU build)"
