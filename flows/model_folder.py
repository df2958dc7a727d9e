"""What lies in a model's folder, and whether it fits a machine: sizes, the cache that a token takes, tokenizer, chat template, adapter.

Reads the small JSON files and the sizes of the others; no weight is opened. The arithmetic is an estimate from a model's own
configuration: it says too much rather than too little for models whose layers do not all keep the whole context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIB, MIB = 2**30, 2**20
_KINDS_OF_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
"""In the order in which vLLM prefers them: a folder may hold the same weights twice."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json")
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "tekken.json")  # Mistral's tokenizer brings its own
_BYTES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2, "auto": 2}


class ModelFolderError(Exception):
    """The folder is none of a model. The message says what was expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model on disk. max_model_len: as it is configured. cache_bytes: of one token at 2 bytes a value. 0 where it says nothing."""

    architecture: str
    weight_bytes: int
    max_model_len: int
    cache_bytes: int
    tokenizer: str
    chat_template: str
    quantization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A model's demand on the memory of one replica: bytes. document: the cache of one of full length. limit: of the cache, if set."""

    weights: int
    usable: int
    activations: int
    document: int
    limit: int | None = None

    @property
    def left(self) -> int:
        """What the weights and the work space leave for the cache; may be negative."""
        return self.usable - self.weights - self.activations

    @property
    def documents(self) -> int:
        """How many documents of full length fit at once; 0 also where that is unknown."""
        room = max(0, self.left if self.limit is None else min(self.left, self.limit))
        return room // self.document if self.document else 0


def read_model_folder(folder: Path) -> ModelFolder:
    """The facts of a model's folder. Raises ModelFolderError."""
    if not folder.is_dir():
        raise ModelFolderError(f"expected a model's folder at {folder}, found none; put the model there, or correct engine.model")
    config = _json(folder / "config.json")
    if config is None:
        raise ModelFolderError(f"expected config.json in {folder}, found none that can be read; the copy is not complete")
    weight_bytes = next((total for kind in _KINDS_OF_WEIGHTS if (total := _size_of(folder, kind))), 0)
    if not weight_bytes:
        raise ModelFolderError(f"expected weights ({', '.join(_KINDS_OF_WEIGHTS)}) in {folder}, found none; the copy is not complete")
    inner = config.get("text_config")  # of models that also see pictures
    text = inner if isinstance(inner, dict) else config
    return ModelFolder(
        architecture=str((config.get("architectures") or ["unknown"])[0]),
        weight_bytes=weight_bytes,
        max_model_len=_whole(text, "max_position_embeddings"),
        cache_bytes=_cache_bytes(text),
        tokenizer=next((name for name in _TOKENIZERS if (folder / name).is_file()), ""),
        chat_template=_template(folder),
        quantization=str((config.get("quantization_config") or {}).get("quant_method", "")),
    )


def adapter_rank(folder: Path) -> int:
    """The rank of a LoRA adapter. Raises ModelFolderError."""
    rank = _whole(_json(folder / "adapter_config.json") or {}, "r")
    if not rank:
        raise ModelFolderError(f"expected a LoRA adapter (adapter_config.json with a rank) in {folder}, found none; correct engine.lora")
    if not (_size_of(folder, ".safetensors") or _size_of(folder, ".bin")):
        raise ModelFolderError(f"expected the adapter's weights in {folder}, found none; the copy is not complete")
    return rank


def fit(model: ModelFolder, *, usable: int, devices: int, settings: Mapping[str, Any]) -> Fit:
    """How the model fits into so many bytes on so many devices, under an endpoint's settings."""
    length = int(settings.get("max_model_len", model.max_model_len))
    narrow = 1 if str(settings.get("kv_cache_dtype", "auto")).startswith("fp8") else _BYTES.get(str(settings.get("dtype", "auto")), 2)
    return Fit(
        weights=model.weight_bytes,
        usable=usable,
        activations=devices * ACTIVATIONS,
        document=model.cache_bytes * narrow // 2 * length,
        limit=settings.get("kv_cache_memory_bytes"),
    )


ACTIVATIONS = 3 * GIB // 2
"""Of work space on each GPU, for activations and captured graphs; about what vLLM measures at its start for models of 8 to 70 billion."""


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / GIB:.1f} GiB" if abs(count) >= GIB // 10 else f"{count / MIB:.1f} MiB"


def _cache_bytes(config: Mapping[str, Any]) -> int:
    layers = _whole(config, "num_hidden_layers")
    if "kv_lora_rank" in config:  # latent attention keeps one compressed vector instead of keys and values
        return layers * (_whole(config, "kv_lora_rank") + _whole(config, "qk_rope_head_dim")) * 2
    heads = _whole(config, "num_attention_heads")
    width = _whole(config, "head_dim") or (_whole(config, "hidden_size") // heads if heads else 0)
    return 2 * layers * (_whole(config, "num_key_value_heads") or heads) * width * 2


def _template(folder: Path) -> str:
    for name in _TEMPLATES:
        if (folder / name).is_file():
            return name
    return "tokenizer_config.json" if (_json(folder / "tokenizer_config.json") or {}).get("chat_template") else ""


def _size_of(folder: Path, suffix: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"*{suffix}") if path.is_file())


def _whole(form: Mapping[str, Any], name: str) -> int:
    value = form.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _json(path: Path) -> dict[str, Any] | None:
    try:
        form = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return form if isinstance(form, dict) else None
