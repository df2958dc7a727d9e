"""`python vllm_tiny_model.py FOLDER`, under vLLM's interpreter: a tiny random Llama and an adapter for it in `FOLDER/adapter`.

It writes nonsense of a dozen tokens; all else is real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEXTS = ["The bridge over the river is closed for repairs.", "The ferry crosses the river every hour."]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
HIDDEN, LAYERS, RANK, END = 128, 2, 4, 1


def make(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=HIDDEN,
        intermediate_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=END,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # one dimension that every token has, and that speaks for the end: answers are short
        model.model.embed_tokens.weight[:, 0] = 0.3
        model.lm_head.weight[END, 0] = 0.98
    model.save_pretrained(folder)


def make_adapter(folder: Path) -> None:
    """Random, and strong enough to be seen."""
    folder.mkdir()
    torch.manual_seed(1)
    weights = {}
    for layer in range(LAYERS):
        for part in ("q_proj", "v_proj", "o_proj"):
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            weights[f"{prefix}.lora_A.weight"] = torch.randn(RANK, HIDDEN)
            weights[f"{prefix}.lora_B.weight"] = torch.randn(HIDDEN, RANK)
    save_file(weights, folder / "adapter_model.safetensors")
    form = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "o_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(form))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
    make_adapter(Path(sys.argv[1]) / "adapter")
