"""`waybill doctor --lane local|cloud`: what would stop the local engine tonight, with the sums, on real folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import checkup_local
from flows.checkup import Health
from flows.checkup_engine import probe_engine
from flows.model_folder import GIB, ModelFolderError, adapter_rank, fit, read_model_folder
from tests.flows.doctor_lines import findings

DENSE = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 8192,
}


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """A model's folder: sparse weights of so many bytes, a configuration, a tokenizer."""

    def make(*, weights: int = 15 * GIB, template: bool = True, tokenizer: bool = True, **config: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**DENSE, **config}))
        with (folder / "model.safetensors").open("wb") as file:
            file.truncate(weights)
        if tokenizer:
            (folder / "tokenizer.json").write_text("{}")
        if template:
            (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
        return folder

    return make


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., Path]:
    """An interpreter with a torch that sees so many GPUs of 24 GiB, and a vLLM of this version, or none."""

    def make(*, vllm: str | None = "0.32.1", gpus: int = 1, cuda: str | None = "13.0", free: float = 1.0) -> Path:
        packages = tmp_path / "packages"
        (packages / "torch").mkdir(parents=True)
        (packages / "torch" / "__init__.py").write_text(
            "from types import SimpleNamespace\n__version__ = '2.13.0'\n"
            f"version = SimpleNamespace(cuda={cuda!r}, hip=None)\n"
            f"cuda = SimpleNamespace(device_count=lambda: {gpus}, get_device_name=lambda n: 'L4',\n"
            f"    mem_get_info=lambda n: (int({free} * 24 * 2**30), 24 * 2**30))\n"
        )
        if vllm is not None:
            (packages / "vllm").mkdir()
            (packages / "vllm" / "__init__.py").write_text(f"print('a word of its own')\n__version__ = {vllm!r}\n")
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n')
        python.chmod(0o700)
        return python

    return make


def test_the_sums_of_an_8b_model_on_24_gib(model: Callable[..., Path]) -> None:
    read = read_model_folder(model())
    assert (read.architecture, read.max_model_len, read.cache_bytes) == ("LlamaForCausalLM", 8192, 131_072)
    need = fit(read, usable=int(24 * 0.92 * GIB), devices=1, settings={})
    assert (need.document, need.documents) == (GIB, 5)
    assert fit(read, usable=int(24 * 0.92 * GIB), devices=1, settings={"kv_cache_dtype": "fp8"}).documents == 11
    assert fit(read, usable=int(24 * 0.92 * GIB), devices=1, settings={"max_model_len": 4096}).documents == 11
    assert fit(read, usable=int(24 * 0.92 * GIB), devices=1, settings={"dtype": "float32"}).documents == 2
    assert fit(read, usable=int(24 * 0.92 * GIB), devices=1, settings={"kv_cache_memory_bytes": 3 * GIB}).documents == 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"head_dim": 256}, 2 * 32 * 8 * 256 * 2),
        ({"num_key_value_heads": None}, 2 * 32 * 32 * 128 * 2),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 32 * 576 * 2),
        ({"text_config": {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 128}}, 2 * 2 * 4 * 32 * 2),
        ({"num_hidden_layers": True, "num_attention_heads": "many"}, 0),
    ],
    ids=["wide heads", "no grouping", "latent attention", "a model that sees", "nothing to go by"],
)
def test_what_a_token_takes(model: Callable[..., Path], config: dict[str, Any], expected: int) -> None:
    assert read_model_folder(model(**config)).cache_bytes == expected


def test_the_same_weights_in_two_formats_count_once(model: Callable[..., Path]) -> None:
    folder = model(weights=1000)
    (folder / "pytorch_model.bin").write_bytes(bytes(990))
    assert read_model_folder(folder).weight_bytes == 1000


@pytest.mark.parametrize("spoilt", ["config.json", "model.safetensors"])
def test_a_copy_that_is_not_complete(model: Callable[..., Path], spoilt: str) -> None:
    folder = model()
    (folder / spoilt).write_text("")
    with pytest.raises(ModelFolderError, match="not complete"):
        read_model_folder(folder)


def test_an_adapter(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="found none"):
        adapter_rank(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"r": 16}')
    with pytest.raises(ModelFolderError, match="weights"):
        adapter_rank(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"w")
    assert adapter_rank(tmp_path) == 16


@pytest.mark.parametrize(
    ("given", "device", "engine_health", "device_health", "words"),
    [
        ({}, "", Health.GOOD, Health.GOOD, "L4 24.0 GiB (24.0 free)"),
        ({"gpus": 2}, "", Health.GOOD, Health.GOOD, "L4 24.0 GiB (24.0 free), L4"),
        ({"free": 0.5}, "", Health.GOOD, Health.DOUBTFUL, "something else uses it"),
        ({"gpus": 0, "cuda": None}, "", Health.GOOD, Health.BAD, "built for CPUs"),
        ({"gpus": 0}, "", Health.GOOD, Health.BAD, "no GPU"),
        ({"gpus": 0, "cuda": None}, "cpu", Health.GOOD, Health.GOOD, "cores"),
        ({"vllm": "0.35.0+cpu"}, "", Health.DOUBTFUL, Health.GOOD, "L4"),
        ({"vllm": None}, "", Health.BAD, Health.GOOD, "L4"),
    ],
    ids=["a gpu", "two", "taken", "cpu build", "no gpu", "meant for the cpu", "newer vllm", "no vllm"],
)
def test_an_environment(
    *, engine: Callable[..., Path], given: dict[str, Any], device: str, engine_health: Health, device_health: Health, words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shutil.which", lambda name: None)
    machine = probe_engine(engine(**given), device)
    assert (machine.engine.health, machine.device.health) == (engine_health, device_health)
    assert words in machine.device.detail
    assert ("make vllm" in machine.engine.detail) == (engine_health is Health.BAD)


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 7\n", "#!/bin/sh\necho no json\n", "#!/bin/sh\necho '[]'\n", ""], ids=str.split)
def test_an_interpreter_that_is_none(tmp_path: Path, program: str) -> None:
    python = tmp_path / "python"
    python.write_text(program)
    python.chmod(0o700)
    assert probe_engine(python, "").engine.health is Health.BAD
    assert probe_engine(tmp_path / "absent", "").engine.health is Health.BAD


def offline(night: Any, python: Path, folder: Path, more: str = "") -> None:
    """Let the night's job name the offline engine."""
    with night.job.open("a") as file:
        file.write(f"lanes: {{local: vllm, cloud: null}}\nengine: {{python: {python}, model: {folder}{more}}}\n")


@pytest.mark.parametrize(
    ("given", "what", "words"),
    [
        ({"weights": 30 * GIB}, "memory", "too little"),
        ({"max_position_embeddings": 131_072}, "memory", "max_model_len"),
        ({"template": False}, "chat template", "instruct"),
        ({"tokenizer": False}, "tokenizer", "tokenizer.json"),
    ],
    ids=["too big", "context too long", "base model", "no tokenizer"],
)
def test_doctor_finds_what_the_model_lacks(
    *, given: dict[str, Any], what: str, words: str, night: Any, model: Callable[..., Path], engine: Callable[..., Path],
    cli: Callable[..., Any],
) -> None:  # fmt: skip
    offline(night, engine(), model(**given))
    found = findings(cli("doctor", "--lane", "local", "--job", night.job, code=1))
    assert {name for name, (health, _) in found.items() if health == "FAIL"} == {what}
    assert words in found[what][1]
    assert found["generation"] == ("warn", "not tried; correct the lines above first")
    assert "24.0 GiB × 0.92 = 22.1 GiB" in found["memory"][1]


def test_doctor_without_a_model(night: Any, engine: Callable[..., Path], tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "empty").mkdir()
    offline(night, engine(), tmp_path / "empty")
    found = findings(cli("doctor", "--lane", "local", "--job", night.job, code=1))
    assert found["model"][0] == "FAIL"
    assert "config.json" in found["model"][1]


@pytest.fixture(autouse=True)
def own_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another worker of this machine's may have the device."""
    monkeypatch.setattr("sinks.lanes.vllm_trial.device_locks", lambda: tmp_path / "locks")


def test_a_worker_that_cannot_load_says_why(
    night: Any, engine: Callable[..., Path], model: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    offline(night, engine(), model(weights=1000))  # a vLLM without an LLM
    found = findings(cli("doctor", "--lane", "local", "--job", night.job, code=1))
    assert [name for name, (health, _) in found.items() if health == "FAIL"] == ["generation"]
    assert "could not load" in found["generation"][1]


def test_isolation_is_tried_and_a_demand_is_a_failure(night: Any, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> None:
    monkeypatch.setattr(checkup_local, "_ISOLATE", "import sys; sys.exit('this system makes no network namespace (refused)')")
    assert findings(cli("doctor", "--lane", "local"))["isolation"] == ("warn", "this system makes no network namespace (refused)")
    assert checkup_local._isolation(demanded=True).health is Health.BAD


def test_doctor_on_the_embedded_engine_and_on_nothing(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    found = findings(cli("doctor", "--lane", "local", "--job", night.job))
    assert found["engine"] == ("ok", "extractive: no model, no GPU, no network; nothing to load")
    assert findings(cli("doctor", "--lane", "local", "--job", tmp_path / "absent.yaml", code=1))["job"][0] == "FAIL"
    assert findings(cli("doctor", "--lane", "local"))["job"][0] == "warn"


def test_doctor_looks_at_every_endpoint_inside(night: Any, engine: Callable[..., Path], tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "empty").mkdir()
    with night.job.open("a") as file:
        file.write(f"lanes: {{local: [extractive, vllm], cloud: null}}\nengine: {{python: {engine()}, model: {tmp_path / 'empty'}}}\n")
    said = cli("doctor", "--lane", "local", "--job", night.job, code=1)
    assert [line.split(" go to ")[1] for line in said.out.splitlines() if " go to " in line] == [
        "extractive (extractive)",
        "vllm (vllm_offline)",
    ]
    assert findings(said)["model"][0] == "FAIL"


def test_the_memory_of_several_gpus(model: Callable[..., Path], night: Any, engine: Callable[..., Path], tmp_path: Path) -> None:
    folder = model(weights=30 * GIB)
    registry = tmp_path / "endpoints.yaml"
    registry.write_text(
        "version: 2026-11-22\nendpoints:\n"
        "  pair: {lane: local, engine: vllm_offline, provider: vllm, model: m, settings: {gpus_per_replica: 2}}\n"
    )
    with night.job.open("a") as file:
        file.write(f"registry: {registry}\nlanes: {{local: pair, cloud: null}}\nengine: {{python: {engine(gpus=2)}, model: {folder}}}\n")
    checks = {check.what: check for check in checkup_local.examine_local(night.job)}
    assert checks["memory"].health is Health.GOOD
    assert "24.0 GiB × 0.92 × 2 GPUs = 44.2 GiB, less weights 30.0 GiB and work space 3.0 GiB, leaves 11.2 GiB" in checks["memory"].detail


def test_the_cloud_lane_alone(night: Any, cli: Callable[..., Any]) -> None:
    found = findings(cli("doctor", "--lane", "cloud", "--job", night.job))
    assert set(found) == {"job", "policy", "cloud lane"}
    with night.job.open("a") as file:
        file.write("lanes: {cloud: nowhere}\n")
    assert findings(cli("doctor", "--lane", "cloud", "--job", night.job, code=1))["lanes"][0] == "FAIL"
    assert findings(cli("doctor", "--lane", "cloud"))["job"][0] == "warn"
