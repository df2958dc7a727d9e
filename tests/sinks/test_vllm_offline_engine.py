"""The lane, its worker and the real engine together. Runs where vLLM's own environment is: `make vllm`, or WAYBILL_VLLM_PYTHON."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.lanes.vllm_process import worker_environment
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard

PYTHON = Path(os.environ.get("WAYBILL_VLLM_PYTHON", Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"))
INTENT = "c1b2c3d4e5f60718293a4b5c6d7e8f90"
MESSAGES = (Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))),)
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["letter", "memo"]}, "urgent": {"type": "boolean"}},
    "required": ["kind", "urgent"],
    "additionalProperties": False,
}
SUMMARIZE = Prompt(kind=TaskKind.SUMMARIZE, messages=MESSAGES, max_tokens=120, temperature=1.0, seed=2, salt_slot="matter")
EXTRACT = Prompt(kind=TaskKind.EXTRACT, messages=MESSAGES, max_tokens=60, schema=SCHEMA)
LONG = "The zephyr crosses the river. " * 200
ROWS = ((SUMMARIZE, "A zephyr crosses the river."), (EXTRACT, "zephyr form"), (SUMMARIZE, LONG), (EXTRACT, LONG))

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


def test_the_lane_answers_through_the_real_engine(tmp_path: Path, model: Path) -> None:
    settings: dict[str, str | int] = {
        "model_path": str(model),
        "device": "cpu",
        "dtype": "float32",
        "max_model_len": 512,
        "kv_cache_memory_bytes": 32 << 20,
    }
    target = Endpoint(name="vllm", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="tiny", settings=settings)
    lane = VllmOfflineLane(tmp_path / "spool", PYTHON, target, locks=tmp_path / "locks")
    trees = [
        lane.row(f"row-{number}", lane.body(prompt.fill({"text": text, "matter": "M-17"}), prompt, target), target)
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
        short, form, long, too_long = sorted(lane.collect(INTENT), key=lambda result: result.row_id)
        logs = b"".join(path.read_bytes() for path in (tmp_path / "spool").glob("*.log"))
    finally:
        lane.discard(INTENT)
        lane.close()
    assert [result.error_code for result in (short, form, long, too_long)] == [None, None, None, "prompt_too_long"], logs[-3000:]
    assert set(json.loads(form.output or "")) == {"kind", "urgent"}
    assert short.confidence is not None
    assert short.confidence < 0
    assert long.chunks is not None
    assert "".join(LONG[start:end] for start, end in long.chunks) == LONG
    assert all(
        result.weights_digest and result.revision and result.revision.startswith("vllm-") for result in (short, form, long, too_long)
    )
    assert b"zephyr" not in logs
