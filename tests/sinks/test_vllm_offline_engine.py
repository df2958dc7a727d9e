"""The lane with the real engine. Runs where vLLM's own environment is installed: `make vllm`, or WAYBILL_VLLM_PYTHON."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.lanes.vllm_offline import VllmOfflineLane, worker_environment
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard, LaneResult

PYTHON = Path(os.environ.get("WAYBILL_VLLM_PYTHON", Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"))
INTENT = "c1b2c3d4e5f60718293a4b5c6d7e8f90"
MESSAGES = (Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))),)
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["letter", "memo"]}, "urgent": {"type": "boolean"}},
    "required": ["kind", "urgent"],
    "additionalProperties": False,
}
SUMMARIZE = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=400, temperature=1.0, seed=3)
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=MESSAGES, max_tokens=60, schema=SCHEMA)
CUT = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=4)
# SIOCSIFFLAGS, IFF_UP | IFF_RUNNING: torch's process group wants 127.0.0.1 even when it is alone.
LOOPBACK_UP = (
    "import fcntl, os, socket, struct, sys; "
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); os.execv(sys.argv[1], sys.argv[1:])"
)
ROWS = ((SUMMARIZE, "zephyr"), (EXTRACT, "zephyr form"), (SUMMARIZE, "zephyr " * 2000), (CUT, "zephyr cut"), (EXTRACT, "another"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="no vLLM environment: `make vllm`, or point WAYBILL_VLLM_PYTHON at its interpreter"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-model")
    program = Path(__file__).with_name("vllm_tiny_model.py")
    subprocess.run([PYTHON, "-P", program, folder], check=True, env=worker_environment("cpu"), capture_output=True)
    return folder


def run(spool: Path, model: Path, python: Path) -> tuple[list[LaneResult], bytes]:
    """The answers to ROWS and the worker's log."""
    lane = VllmOfflineLane(spool, python)
    settings: dict[str, str | int] = {
        "model_path": str(model),
        "device": "cpu",
        "dtype": "float32",
        "max_model_len": 512,
        "kv_cache_memory_bytes": 32 << 20,
    }
    target = Endpoint(name="vllm", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="tiny", settings=settings)
    trees = [
        lane.row(f"row-{number}", lane.body(prompt.fill({"text": text}), prompt, target), target)
        for number, (prompt, text) in enumerate(ROWS)
    ]
    content = b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)
    ids = tuple(tree["custom_id"] for tree in trees)
    shard = ClearedShard(intent_id=INTENT, run_id="r", endpoint=target, attempt=1, content=content, row_ids=ids, digest="d")
    egress._issued[INTENT] = shard
    try:
        lane.hand_over(shard)
        deadline = time.monotonic() + 240
        while not lane.poll(INTENT).ended:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return list(lane.collect(INTENT)), (spool / f"{INTENT}.log").read_bytes()
    finally:
        lane.discard(INTENT)


def test_the_real_engine(tmp_path: Path, model: Path) -> None:
    results, log = run(tmp_path, model, PYTHON)
    free, form, long, cut, other = results
    assert [result.error_code for result in results] == [None, None, "prompt_too_long", "max_tokens", None], log.decode("utf-8", "replace")[
        -3000:
    ]
    for result in (form, other):
        Draft202012Validator(SCHEMA).validate(json.loads(result.output or ""))
    assert free.output
    assert free.confidence is not None
    assert free.confidence < 0
    assert (free.finish_reason, cut.finish_reason, cut.tokens_out) == ("stop", "length", 4)
    assert long.output is None
    assert len({result.weights_digest for result in results}) == 1
    assert all(result.revision and result.revision.startswith("vllm-") for result in results)
    assert b"zephyr" not in log


def test_the_real_engine_with_nothing_but_loopback(tmp_path: Path, model: Path) -> None:
    unshare = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets no one make a network namespace")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {" ".join(unshare)} "{PYTHON}" -c "{LOOPBACK_UP}" "{PYTHON}" "$@"\n')
    script.chmod(0o700)
    alone, _ = run(tmp_path / "a", model, script)
    assert [result.error_code for result in alone] == [None, None, "prompt_too_long", "max_tokens", None]
    connected, _ = run(tmp_path / "b", model, PYTHON)
    assert [result.output for result in alone] == [result.output for result in connected]  # seeded: the same in every process
