"""The process that runs vLLM: `python -P vllm_worker.py SPEC.json` under the interpreter of vLLM's own environment.

It imports the standard library and vLLM, nothing of Waybill: the two cannot share an environment. Rows in, one flushed JSON line per
row out, in the order in which they finish; rows that have a line already are skipped, so that a killed worker is simply started again.

Text goes to the output file only: never to a log, and never into an exception's message (those of the engine may quote it).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "chat_template.jinja",
)
_CHUNK_BYTES = 1 << 20
# guidance, never xgrammar: that lets raw control characters into JSON strings with a maxLength. No white space between tokens: a weak
# model would write it until its limit.
_STRUCTURED = {"backend": "guidance", "disable_any_whitespace": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What answered: stated with every row."""

    model: str
    revision: str
    weights_digest: str
    lora_digest: str | None


class Output:
    """The output file: appended to, one line per row, each on disk before the next is taken."""

    def __init__(self, path: Path) -> None:
        self.finished = _finished(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "ab", buffering=0)

    def write(self, result: Mapping[str, Any]) -> None:
        """Add one line."""
        line = {name: value for name, value in result.items() if value is not None}
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")


def main(spec_path: str) -> int:
    """Answer every row that has no answer yet."""
    spec = json.loads(Path(spec_path).read_bytes())
    # The lane gave us the lock of this job; a child that the engine starts must not keep it after us.
    os.set_inheritable(spec["lock_fd"], False)  # noqa: FBT003 - the standard library's signature
    output = Output(Path(spec["output"]))
    rows = [row for row in _rows(Path(spec["input"])) if row["custom_id"] not in output.finished]
    if not rows:
        return 0
    with Path(spec["engine_lock"]).open("ab") as engine_lock:
        fcntl.flock(engine_lock, fcntl.LOCK_EX)  # one engine at a time: two do not fit on one device
        batch = Batch(spec, output)
        try:
            batch.run(iter(rows))
        except Exception as error:  # noqa: BLE001 - a message from here on may quote a record: its name has to do
            sys.stderr.write(f"vllm_worker: the engine failed while it was working: {type(error).__name__}\n")
            return 1
    return 0


class Batch:
    """One engine and the rows that it works on."""

    def __init__(self, spec: Mapping[str, Any], output: Output) -> None:
        import vllm  # noqa: PLC0415 - seconds, and only when there is a row to answer

        self._vllm = vllm
        self._window: int = spec["window"]
        self._output = output
        self._identity = _identity(Path(spec["model_path"]), spec["lora_path"], spec["model"], vllm.__version__)
        self._lora = _lora_request(spec["lora_path"])
        self._llm = vllm.LLM(model=spec["model_path"], structured_outputs_config=_STRUCTURED, disable_log_stats=True, **spec["engine"])
        self._pending: dict[str, str] = {}

    def run(self, rows: Iterator[Mapping[str, Any]]) -> None:
        """Keep the window full until there are no more rows."""
        more = True
        while more or self._pending:
            while more and len(self._pending) < self._window:
                row = next(rows, None)
                more = row is not None
                if row is not None:
                    self._enqueue(row)
            for request in self._llm.llm_engine.step() if self._pending else ():
                if request.finished:
                    self._finish(request)

    def _enqueue(self, row: Mapping[str, Any]) -> None:
        """Hand one row to the engine. What it refuses is an error row, and nothing of it stays behind in the engine."""
        body = row["body"]
        try:
            (request_id,) = self._llm.enqueue_chat([_messages(body)], self._parameters(body), use_tqdm=False, lora_request=self._lora)
        except Exception as error:  # not all of vLLM's refusals are ValueErrors; one record must not stop the others
            if type(error).__name__ == "EngineDeadError":
                raise
            too_long = "context length" in str(error) or "longer than" in str(error)
            self._write(row["custom_id"], error_code="prompt_too_long" if too_long else "request_refused")
            return
        # `enqueue_chat` returns the id with a random suffix, `step` reports it without.
        self._pending[request_id.partition("-")[0]] = row["custom_id"]

    def _parameters(self, body: Mapping[str, Any]) -> Any:
        schema = body["schema"]
        structured = None if schema is None else self._vllm.sampling_params.StructuredOutputsParams(json=schema)
        return self._vllm.SamplingParams(
            max_tokens=body["max_tokens"], temperature=body["temperature"], seed=body["seed"], logprobs=0, structured_outputs=structured
        )

    def _finish(self, request: Any) -> None:
        row_id = self._pending.pop(request.request_id.partition("-")[0], None)
        if row_id is None:
            return
        completion = request.outputs[0]
        count = len(completion.token_ids)
        done: dict[str, Any] = {
            "finish_reason": completion.finish_reason,
            "tokens_in": len(request.prompt_token_ids or ()),
            "tokens_out": count,
            "confidence": _mean(completion.cumulative_logprob, count),
        }
        if completion.finish_reason == "stop":
            answered = bool(completion.text.strip())
            self._write(row_id, **({"output": completion.text} if answered else {"error_code": "empty_output"}), **done)
        else:  # cut at the limit: half an answer, and no valid JSON
            self._write(row_id, error_code="max_tokens" if completion.finish_reason == "length" else "engine_error", **done)

    def _write(self, row_id: str, **result: Any) -> None:
        identity = self._identity
        self._output.write(
            {
                "row_id": row_id,
                **result,
                "model": identity.model,
                "revision": identity.revision,
                "weights_digest": identity.weights_digest,
                "lora_digest": identity.lora_digest,
            }
        )


def _messages(body: Mapping[str, Any]) -> list[dict[str, str]]:
    """Each message with its parts joined as the template has them: the engine itself would put line breaks between parts."""
    return [{"role": message["role"], "content": "".join(part["text"] for part in message["content"])} for message in body["messages"]]


def _mean(total: float | None, count: int) -> float | None:
    return None if total is None or not count else total / count


def _lora_request(path: str | None) -> Any:
    if path is None:
        return None
    from vllm.lora.request import LoRARequest  # noqa: PLC0415 - as vllm itself

    return LoRARequest("job", 1, path)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _finished(path: Path) -> frozenset[str]:
    """The rows that have a line. A last line that a crash tore is cut off."""
    if not path.exists():
        return frozenset()
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return frozenset(json.loads(line)["row_id"] for line in whole.split(b"\n") if line)


def _identity(model_path: Path, lora_path: str | None, model: str, version: str) -> Identity:
    tokenizer = _digest(model_path, lambda name: name in _TOKENIZER)
    return Identity(
        model=model,
        revision=f"vllm-{version}+tokenizer-{tokenizer[:16]}",
        weights_digest=_digest(model_path, lambda name: name.endswith(_WEIGHTS) or name == "config.json"),
        lora_digest=_digest(Path(lora_path), lambda name: name.endswith(_WEIGHTS) or name == "adapter_config.json") if lora_path else None,
    )


def _digest(folder: Path, belongs: Any) -> str:
    """SHA-256 over the names and contents of the folder's files that belong."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and belongs(path.name)):
        one = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                one.update(chunk)
        total.update(f"{path.name}\0{one.hexdigest()}\n".encode())
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
