"""The local lane against vLLM alone: tokens a second through lane and worker, of bare `LLM.chat` on the same prompts, of `vllm run-batch`.

Everything runs on the same machine, one after the other, with the same model, prompts and settings. Bare runs are programs of their own
under the same interpreter (`local_bare.py`), so that set-up and memory can be compared; a first small call warms each engine, as the
lane's first rows do. Without `--model` a tiny random model is made on the spot and run on the CPU: it shows what the lane costs, not what
a GPU gives. `make bench-local MODEL=/srv/models/instruct-8b` on a GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nightly import CLINICAL, FILLER, FIRST, LAST
from processes import cpu_seconds, watched
from report import Figure, write

from policies.model import Endpoint, Lane
from sinks import egress
from sinks.lanes.vllm_offline import VllmOfflineLane
from sinks.lanes.vllm_process import worker_environment
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import ClearedShard

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("WAYBILL_VLLM_PYTHON", HERE.parent / ".venv-vllm" / "bin" / "python"))
TINY_MODEL = HERE.parent / "tests" / "sinks" / "vllm_tiny_model.py"
PROMPT = Prompt(
    kind=TaskKind.SUMMARIZE,
    messages=(
        Message(role="system", parts=(Part(text="You summarize letters. Two sentences, no names."),)),
        Message(role="user", parts=(Part(text="Summarize:\n"), Part(slot="text"))),
    ),
    temperature=0.0,  # every way has the same work to do
)
SHARD = 1_000
"""Rows of a hand-over: a job's default batch."""
TARGET = 95.0
MOST_GROWTH = 1.3
LOOK_S = 0.05
TALKATIVE = """
import sys
from safetensors.torch import load_file, save_file
path = sys.argv[1] + "/model.safetensors"
weights = load_file(path)
weights["lm_head.weight"][1] = -1  # the end of an answer: never, so that every answer has all its tokens
weights["lm_head.weight"][1, 0] = -1000
save_file(weights, path, metadata={"format": "pt"})
"""
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all ways have in common. engine: keyword arguments of `vllm.LLM`. filler: further sentences of each letter."""

    model: Path
    device: str
    engine: dict[str, Any]
    window: int
    prompt: Prompt
    filler: int

    def endpoint(self) -> Endpoint:
        """The same as an endpoint of a registry."""
        settings = {**self.engine, "window": self.window, **({"device": "cpu"} if self.device else {})}
        return Endpoint(name="bench", lane=Lane.LOCAL, engine="vllm_offline", provider="vllm", model=str(self.model), settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. tokens: of prompts and answers. seconds: from the first row at work to the last answer. Memory in MiB, at the peak.

    cpu_s: of the engine's process and ours in that time; it says more than the clock where a machine is shared.
    """

    tokens: int
    answered: int
    seconds: float
    set_up_s: float
    cpu_s: float = 0.0
    engine_mib: float = 0.0
    ours_mib: float = 0.0

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def letters(count: int, sentences: int) -> Iterator[str]:
    """Invented letters, 150 words with eight further sentences; every one differs early: no prefix cache may answer for the engine."""
    chance = random.Random(count)  # noqa: S311 - test data, not secrets
    for _ in range(count):
        values = {"name": f"{chance.choice(FIRST)} {chance.choice(LAST)}", "number": str(chance.randrange(10**7, 10**8))}
        filler = [f"{chance.choice(FILLER)[:-1]} ({chance.randrange(9999)})." for _ in range(sentences)]
        yield "\n".join([f"Letter {chance.randrange(10**9)}.", *(frame.format(**values) for frame in CLINICAL), *filler])


def through_the_lane(setting: Setting, count: int, scratch: Path) -> Measured:
    """The pipeline's own way: shards handed over, a worker that is told of them, results read back and removed."""
    endpoint = setting.endpoint()
    lane = VllmOfflineLane(scratch / "spool", PYTHON, endpoint, locks=scratch / "locks")
    begun = time.monotonic()
    try:
        collect(lane, hand_over(lane, setting, "warm-up", letters(2, setting.filler)))
        set_up = time.monotonic() - begun
        worker = worker_of(scratch / "spool")
        with watched(worker) as peak:
            begun, cpu = time.monotonic(), cpu_seconds(worker) + time.process_time()
            texts = letters(count, setting.filler)
            shards = range(0, count, SHARD)
            intents = [hand_over(lane, setting, f"from {first}", islice(texts, SHARD)) for first in shards]
            tokens, answered = (sum(pair) for pair in zip(*(collect(lane, intent) for intent in intents), strict=True))
            seconds, cpu = time.monotonic() - begun, cpu_seconds(worker) + time.process_time() - cpu
    finally:
        lane.close()
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(tokens=tokens, answered=answered, seconds=seconds, set_up_s=set_up, cpu_s=cpu, engine_mib=peak["mib"], ours_mib=ours)


def hand_over(lane: VllmOfflineLane, setting: Setting, name: str, texts: Iterable[str]) -> str:
    """Hand these texts over as one shard; its intent."""
    endpoint, prompt = setting.endpoint(), setting.prompt
    intent = hashlib.sha256(name.encode()).hexdigest()[:32]
    rows = [
        lane.row(f"{intent[:12]}-{number:06d}", lane.body(prompt.fill({"text": text}), prompt, endpoint), endpoint)
        for number, text in enumerate(texts)
    ]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    ids = tuple(row["custom_id"] for row in rows)
    shard = ClearedShard(intent_id=intent, run_id="bench", endpoint=endpoint, attempt=1, content=content, row_ids=ids, digest="bench")
    egress._issued[intent] = shard  # noqa: SLF001 - invented letters pass no gate; what is measured begins behind it
    lane.hand_over(shard)
    return intent


def collect(lane: VllmOfflineLane, intent: str) -> tuple[int, int]:
    """Wait for the shard's end; its tokens, and how many of its rows the engine answered (an answer that was cut is one, here)."""
    while not lane.poll(intent).ended:
        time.sleep(LOOK_S)
    tokens = answered = 0
    for result in lane.collect(intent):
        tokens += (result.tokens_in or 0) + (result.tokens_out or 0)
        answered += result.finish_reason in {"stop", "length"}
    lane.discard(intent)
    return tokens, answered


def worker_of(spool: Path) -> int:
    """The worker's pid, as it says itself."""
    (ready,) = spool.rglob("vllm.0.ready.json")
    return int(json.loads(ready.read_bytes())["pid"])


def bare(setting: Setting, count: int, scratch: Path, way: str) -> Measured | None:
    """`LLM.chat` over all, or `vllm run-batch`, in a process of its own; None where this installation cannot do it."""
    rows = scratch / f"{way}.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for number, text in enumerate(letters(count, setting.filler)):
            messages = [
                {"role": message.role, "content": "".join(part.text for part in message.parts)}
                for message in setting.prompt.fill({"text": text})
            ]
            file.write(json.dumps({"id": f"row-{number:06d}", "messages": messages}) + "\n")
    plan = {
        "model": str(setting.model),
        "rows": str(rows),
        "engine": {"seed": 0, **setting.engine}
        | ({"distributed_executor_backend": "uni", "block_size": 32, "enforce_eager": True} if setting.device else {}),
        "sampling": {"max_tokens": setting.prompt.max_tokens, "temperature": setting.prompt.temperature, "seed": setting.prompt.seed},
        "out": str(scratch / f"{way}.out.json"),
    }
    (scratch / f"{way}.json").write_text(json.dumps(plan))
    with (scratch / f"{way}.log").open("wb") as log:
        command = [str(PYTHON), "-P", str(HERE / "local_bare.py"), way, str(scratch / f"{way}.json")]
        options: dict[str, Any] = {"env": worker_environment(setting.device), "stdout": log, "stderr": log, "cwd": scratch}
        with subprocess.Popen(command, **options) as process, watched(process.pid) as peak:
            process.wait()
    if process.returncode:
        said = (scratch / f"{way}.log").read_text(errors="replace").splitlines()
        sys.stderr.write(f"bench: {way} does not work here: {said[-1] if said else 'it said nothing'}\n")
        return None
    measured = Measured(**json.loads((scratch / f"{way}.out.json").read_text()), engine_mib=peak["mib"])
    if measured.answered < count:
        sys.stderr.write(f"bench: {way} answered {measured.answered} of {count} records; it is left out\n")
        return None
    return measured


def tiny(scratch: Path) -> Path:
    """The tests' tiny random model, changed so that it goes on until the limit."""
    folder = scratch / "model"
    subprocess.run([str(PYTHON), "-P", str(TINY_MODEL), str(folder)], check=True, env=worker_environment("cpu"), capture_output=True)
    subprocess.run([str(PYTHON), "-P", "-c", TALKATIVE, str(folder)], check=True, env=worker_environment("cpu"), capture_output=True)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 2048}))
    return folder


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model's folder, on a GPU; without it a tiny one on the CPU")
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--compared", type=int, default=1_000, help="records of each run against bare vLLM")
    parser.add_argument("--sentences", type=int, help="further sentences of each letter: 8 on a GPU, none on the CPU")
    parser.add_argument("--max-tokens", type=int, help="of each answer: 128 on a GPU, 16 on the CPU")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison; medians count")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--max-model-len", type=int, default=2048)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        on_cpu = arguments.model is None
        engine: dict[str, Any] = {"max_model_len": arguments.max_model_len, "max_num_seqs": arguments.window}
        if on_cpu:
            engine |= {"dtype": "float32", "kv_cache_memory_bytes": 512 * MIB}
        prompt = replace(PROMPT, max_tokens=arguments.max_tokens or (16 if on_cpu else 128))
        sentences = arguments.sentences if arguments.sentences is not None else (0 if on_cpu else 8)
        setting = Setting(
            model=tiny(scratch) if on_cpu else arguments.model.absolute(),
            device="cpu" if on_cpu else "",
            engine=engine,
            window=arguments.window,
            prompt=prompt,
            filler=sentences,
        )
        figures = measure(setting, arguments, scratch)
    write("local", figures)


def measure(setting: Setting, arguments: argparse.Namespace, scratch: Path) -> dict[str, Figure]:
    """Memory at two sizes, the small one first, because a peak never falls; then the comparison in turns."""
    sizes = {}
    for count in (arguments.small, arguments.large):
        sizes[count] = through_the_lane(setting, count, _folder(scratch, f"size-{count}"))
    lanes: list[Measured] = []
    bares: list[Measured] = []
    for number in range(arguments.rounds):
        lanes.append(through_the_lane(setting, arguments.compared, _folder(scratch, f"lane-{number}")))
        if (measured := bare(setting, arguments.compared, _folder(scratch, f"chat-{number}"), "chat")) is not None:
            bares.append(measured)
    batch = bare(setting, arguments.compared, _folder(scratch, "batch"), "run-batch")
    return figures_of(arguments, lanes, bares, batch, sizes)


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir()
    return folder


def figures_of(
    arguments: argparse.Namespace, lanes: list[Measured], bares: list[Measured], batch: Measured | None, sizes: dict[int, Measured]
) -> dict[str, Figure]:
    """All figures; what could not be measured is left out."""
    speed = statistics.median(one.speed for one in lanes)
    figures = {
        f"through the lane, {arguments.compared:,} records": Figure(value=speed, unit="tokens/s"),
        "set-up through the lane": Figure(value=statistics.median(one.set_up_s for one in lanes), unit="s"),
    }
    if bares:
        of_bare = statistics.median(one.speed for one in bares)
        share = statistics.median(ours.speed / theirs.speed for ours, theirs in zip(lanes, bares, strict=True)) * 100
        figures["bare LLM.chat"] = Figure(value=of_bare, unit="tokens/s")
        figures["set-up of bare LLM.chat"] = Figure(value=statistics.median(one.set_up_s for one in bares), unit="s")
        cost = statistics.median(theirs.cpu_s / ours.cpu_s for ours, theirs in zip(lanes, bares, strict=True)) * 100
        figures["CPU time of bare LLM.chat over that of the lane and ours"] = Figure(value=cost, unit="%")
        figures["the lane over bare LLM.chat"] = Figure(value=share, unit="%", target=">= 95", met=share >= TARGET)
    if batch is not None:
        figures["vllm run-batch, loading included"] = Figure(value=batch.speed, unit="tokens/s")
        figures["peak memory of vllm run-batch"] = Figure(value=batch.engine_mib, unit="MiB")
    (small, first), (large, second) = sizes.items()
    for count, one in ((small, first), (large, second)):
        figures[f"through the lane, {count:,} records"] = Figure(value=one.speed, unit="tokens/s")
        figures[f"answered of {count:,} records"] = Figure(value=one.answered, unit="records", target=f"{count}", met=one.answered == count)
        figures[f"peak memory of the worker, {count:,} records"] = Figure(value=one.engine_mib, unit="MiB")
        figures[f"peak memory of our process, {count:,} records"] = Figure(value=one.ours_mib, unit="MiB")
    for what, ratio in (("the worker", second.engine_mib / first.engine_mib), ("our process", second.ours_mib / first.ours_mib)):
        figures[f"memory of {what}, large over small"] = Figure(value=ratio, unit="x", target="<= 1.3", met=ratio <= MOST_GROWTH)
    return figures


if __name__ == "__main__":
    main()
