"""What answered: digests of weights, tokenizer and adapter, and the engine's version. Stated with every row.

Hashing takes minutes for a large model, so it runs beside the loading of the engine and is awaited before the first line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_WEIGHT_FILES = ("config.json", "generation_config.json", "adapter_config.json")
_TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """SHA-256, hex."""

    weights: str
    tokenizer: str
    lora: str | None


def start_digests(model_path: Path, lora_path: Path | None) -> Future[Digests]:
    """The digests, once they are known; an OSError if a file cannot be read."""
    future: Future[Digests] = Future()

    def work() -> None:
        try:
            future.set_result(_digests(model_path, lora_path))
        except OSError as error:
            future.set_exception(error)

    # A daemon: when the engine cannot be loaded, nobody waits for the hashing.
    Thread(target=work, name="digests", daemon=True).start()
    return future


def identity(model: str, version: str, digests: Digests) -> dict[str, str | None]:
    """The fields of every result that say what answered."""
    return {
        "model": model,
        "revision": f"vllm-{version}+tokenizer-{digests.tokenizer[:16]}",
        "weights_digest": digests.weights,
        "lora_digest": digests.lora,
    }


def _digests(model_path: Path, lora_path: Path | None) -> Digests:
    return Digests(
        weights=_digest(model_path, _is_weight),
        tokenizer=_digest(model_path, lambda name: name in _TOKENIZER_FILES),
        lora=None if lora_path is None else _digest(lora_path, _is_weight),
    )


def _is_weight(name: str) -> bool:
    return name.endswith(_WEIGHTS) or name in _WEIGHT_FILES


def _digest(folder: Path, belongs: Callable[[str], bool]) -> str:
    """SHA-256 over the names and contents of the folder's files that belong."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and belongs(path.name)):
        one = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                one.update(chunk)
        total.update(f"{path.name}\0{one.hexdigest()}\n".encode())
    return total.hexdigest()
