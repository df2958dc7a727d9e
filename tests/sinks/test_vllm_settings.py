"""What the vLLM lane takes from a registry, and what it makes of a record."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.errors import EndpointError
from sinks.lanes.vllm_locks import lock_path
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.lanes.vllm_process import worker_environment
from sinks.lanes.vllm_settings import check_settings, read_settings
from sinks.lanes.vllm_worker.discretion import assert_discretion
from sinks.lanes.vllm_worker.errors import RefusedError
from sinks.request import Message, Part, Prompt, TaskKind


def endpoint(**settings: Any) -> Endpoint:
    return Endpoint(name="vllm", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="/srv/quill", settings=settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"enable_log_requests": True}, "settings.enable_log_requests: what the engine logs", id="logs requests"),
        pytest.param({"enable_log_outputs": False}, "settings.enable_log_outputs", id="logs outputs, even off"),
        pytest.param({"VLLM_LOGGING_LEVEL": "DEBUG"}, "settings.VLLM_LOGGING_LEVEL", id="log level"),
        pytest.param({"trust_remote_code": True}, "settings.trust_remote_code: no such setting", id="unknown"),
        pytest.param({"windw": 3}, "settings.windw: no such setting; expected one of block_size", id="misspelt"),
        pytest.param({"window": 0}, "settings.window: expected 1 or more, found 0", id="no window"),
        pytest.param({"replicas": True}, "settings.replicas: expected a whole number, found True", id="true is no number"),
        pytest.param({"model_path": 7}, "settings.model_path: expected a text, found 7", id="a path"),
        pytest.param({"enforce_eager": 1}, "settings.enforce_eager: expected true or false, found 1", id="one is not true"),
        pytest.param({"device": "tpu"}, "settings.device: expected one of '', 'cpu', found 'tpu'", id="device"),
        pytest.param({"distributed_executor_backend": "ray"}, "expected one of 'mp', 'uni', found 'ray'", id="ray"),
        pytest.param({"distributed_executor_backend": "somewhere.Executor"}, "found 'somewhere.Executor'", id="an import path"),
        pytest.param({"isolation": "docker"}, "settings.isolation: expected one of 'none', 'netns'", id="isolation"),
        pytest.param({"gpus_per_replica": 2, "tensor_parallel_size": 4}, "name one of the two", id="two words for one thing"),
        pytest.param({"replicas": 3}, "3 with 1 GPU(s) each need 3 devices, CUDA_VISIBLE_DEVICES names 2", id="too few devices"),
    ],
)
def test_what_cannot_be_right_is_refused_with_one_line(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], said: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,1,-1,7")
    with pytest.raises(EndpointError) as caught:
        check_settings(endpoint(**settings))
    assert said in str(caught.value)
    assert "endpoint 'vllm'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_right_goes_to_the_engine_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a-12, GPU-2b,GPU-3c,GPU-4d")
    found = read_settings(endpoint(replicas=2, gpus_per_replica=2, lora_path="/srv/lora", gpu_memory_utilization=0.8, dtype="bfloat16"))
    assert found.devices == (("GPU-1a-12", "GPU-2b"), ("GPU-3c", "GPU-4d"))
    assert found.engine == {
        "seed": 0,
        "enable_lora": True,
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.8,
        "dtype": "bfloat16",
    }
    assert (found.model_path, found.window, found.isolation, found.long_documents) == ("/srv/quill", 64, "none", True)


def test_without_a_list_of_devices_the_first_ones_are_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert read_settings(endpoint(tensor_parallel_size=2, replicas=2)).devices == (("0", "1"), ("2", "3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert read_settings(endpoint(device="cpu", replicas=2)).devices == (("cpu-0",), ("cpu-1",))
    with pytest.raises(EndpointError, match="names 0"):
        check_settings(endpoint())


@pytest.mark.parametrize("backend", ["ray", "external_launcher", "somewhere.Executor", ["mp"]], ids=str)
def test_the_worker_refuses_an_executor_of_another_kind_too(backend: Any) -> None:
    with pytest.raises(RefusedError, match="expected mp or uni"):
        assert_discretion(worker_environment(""), {"distributed_executor_backend": backend})


@pytest.mark.parametrize("settings", [{}, {"distributed_executor_backend": "mp"}, {"distributed_executor_backend": "uni"}], ids=str)
def test_processes_of_this_machine_may_be_the_executor(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert_discretion(worker_environment(""), read_settings(endpoint(**settings)).engine)


@pytest.mark.parametrize(("setting", "noted"), [("none", ""), ("netns", "netns")])
def test_the_lane_says_how_its_workers_are_isolated(tmp_path: Path, setting: str, noted: str) -> None:
    lane = VllmOfflineLane(tmp_path / "spool", Path("python"), endpoint(device="cpu", isolation=setting), locks=tmp_path / "locks")
    assert lane.isolation == noted
    assert stat.S_IMODE((tmp_path / "locks").stat().st_mode) == 0o700


def test_a_lock_is_named_by_its_device_and_stays_in_its_folder(tmp_path: Path) -> None:
    assert lock_path(tmp_path, "MIG-GPU-1/../2").parent == tmp_path
    assert lock_path(tmp_path, "0") != lock_path(tmp_path, "1")


SALTED = Prompt(
    kind=TaskKind.EXTRACT,
    messages=(
        Message(role="system", parts=(Part(text="Be brief."),)),
        Message(role="user", parts=(Part(text="Of "), Part(slot="sender"), Part(text=": "), Part(slot="text"))),
    ),
    schema={"type": "object"},
    max_tokens=9,
    seed=4,
    salt_slot="matter",
)
PARTS = {"text": 'a "text"\u2028', "sender": "Ines", "matter": "M-17"}


def make_lane(folder: Path) -> VllmOfflineLane:
    return VllmOfflineLane(folder / "spool", Path("python"), endpoint(device="cpu"), locks=folder / "locks")


def test_the_body_holds_every_part_as_a_string_of_its_own(tmp_path: Path) -> None:
    lane, target = make_lane(tmp_path), endpoint(device="cpu")
    body = lane.body(SALTED.fill(PARTS), SALTED, target)
    assert body == {
        "model": "/srv/quill",
        "kind": "extract",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Of "},
                    {"type": "text", "text": "Ines", "slot": "sender"},
                    {"type": "text", "text": ": "},
                    {"type": "text", "text": 'a "text"\u2028', "slot": "text"},
                ],
            },
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 4,
        "schema": {"type": "object"},
        "cache_salt": [{"type": "text", "text": "M-17", "slot": "matter"}],
    }
    assert [list(leaves(body)).count(text) for text in PARTS.values()] == [1, 1, 1]
    assert lane.body(SALTED.fill(PARTS), SALTED, target) == body
    assert lane.row("row-1", body, target) == {"custom_id": "row-1", "body": body}


def test_a_record_without_a_salt_has_none(tmp_path: Path) -> None:
    body = make_lane(tmp_path).body(SALTED.fill({"text": "a"}), SALTED, endpoint(device="cpu"))
    assert "cache_salt" not in body
    assert json.dumps(body).count("matter") == 0


def test_the_worker_has_no_secrets_no_proxies_and_asks_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "OPENAI_API_KEY", "HF_TOKEN", "VLLM_LOGGING_LEVEL", "PYTHONPATH"):
        monkeypatch.setenv(name, "DEBUG")
    environment = worker_environment("cpu")
    assert "DEBUG" not in environment.values()
    assert {"VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE", "VLLM_HOST_IP", "TORCHDYNAMO_DISABLE"} <= set(environment)
    assert environment["PATH"] == os.environ["PATH"]
    assert "TORCHDYNAMO_DISABLE" not in worker_environment("")


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree
