"""A process that hands rows to the vLLM lane and then looks after them until it is killed: `vllm_lane_driver.py FACTS.json`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard

WORKER = Path(__file__).with_name("scripted_worker.py")
PROMPT = Prompt(kind=TaskKind.SUMMARIZE, messages=(Message(role="user", parts=(Part(text="Say: "), Part(slot="text"))),), max_tokens=100)


def endpoint(**settings: Any) -> Endpoint:
    facts = {"model_path": "a-model", "device": "cpu", "window": 3, **settings}
    return Endpoint(name="vllm", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model="quill-7b", settings=facts)


def make_lane(folder: Path, target: Endpoint) -> VllmOfflineLane:
    return VllmOfflineLane(folder / "spool", Path(sys.executable), target, worker=(str(WORKER),), locks=folder / "locks")


def cleared(lane: VllmOfflineLane, target: Endpoint, texts: list[str], *, intent: str) -> ClearedShard:
    """A shard as the gate issues it."""
    trees = [
        lane.row(f"{intent[:4]}-{number}", lane.body(PROMPT.fill({"text": text}), PROMPT, target), target)
        for number, text in enumerate(texts)
    ]
    content = b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)
    ids = tuple(tree["custom_id"] for tree in trees)
    shard = ClearedShard(intent_id=intent, run_id="r", endpoint=target, attempt=1, content=content, row_ids=ids, digest="d")
    egress._issued[intent] = shard
    return shard


def main(facts: dict[str, Any]) -> None:
    target = endpoint(**facts["settings"])
    lane = make_lane(Path(facts["folder"]), target)
    lane.hand_over(cleared(lane, target, facts["texts"], intent=facts["intent"]))
    while True:
        lane.poll(facts["intent"])
        time.sleep(0.02)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
