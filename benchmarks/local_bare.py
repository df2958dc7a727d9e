"""vLLM without Waybill, for `local.py`: `python local_bare.py chat|run-batch PLAN.json`, under vLLM's interpreter.

Nothing of the project is imported here. The plan names model, rows, settings and where the figures go.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NO_CONTENT = {"use_tqdm": False}


def chat(plan: dict[str, Any], rows: list[dict[str, Any]], begun: float) -> dict[str, Any]:
    """All rows in one call, as vLLM's own examples do it; log-probabilities and a prefix salt as the lane has them."""
    import vllm  # noqa: PLC0415 - seconds, which are part of the set-up

    engine = vllm.LLM(model=plan["model"], disable_log_stats=True, **plan["engine"])
    sampling = vllm.SamplingParams(**plan["sampling"], logprobs=0)
    engine.chat([row["messages"] for row in rows[:2]], sampling, **NO_CONTENT)
    set_up = time.monotonic() - begun
    begun, cpu = time.monotonic(), time.process_time()
    outputs = engine.chat([row["messages"] for row in rows], sampling, **NO_CONTENT)
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    tokens = sum(len(output.prompt_token_ids) + len(output.outputs[0].token_ids) for output in outputs)
    return {"tokens": tokens, "answered": len(outputs), "seconds": seconds, "set_up_s": set_up, "cpu_s": cpu}


def run_batch(plan: dict[str, Any], rows: list[dict[str, Any]], begun: float) -> dict[str, Any]:
    """The same rows as an OpenAI batch file; the command loads the engine itself, so its seconds have the loading in them."""
    source, target = Path(plan["out"]).with_suffix(".in.jsonl"), Path(plan["out"]).with_suffix(".jsonl")
    with source.open("w", encoding="utf-8") as file:
        for row in rows:
            body = {"model": plan["model"], "messages": row["messages"], **plan["sampling"]}
            file.write(json.dumps({"custom_id": row["id"], "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n")
    options = [part for name, value in plan["engine"].items() for part in _option(name, value)]
    command = [
        sys.executable,
        "-P",
        "-m",
        "vllm.entrypoints.openai.run_batch",
        "-i",
        str(source),
        "-o",
        str(target),
        "--model",
        plan["model"],
    ]
    subprocess.run([*command, *options], check=True)
    answers = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    used = [answer["response"]["body"]["usage"]["total_tokens"] for answer in answers if answer.get("error") is None]
    return {"tokens": sum(used), "answered": len(used), "seconds": time.monotonic() - begun, "set_up_s": 0.0}


def _option(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, str(value)]


def main(way: str, plan_path: str) -> None:
    """Run and write the figures."""
    begun = time.monotonic()
    plan = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in Path(plan["rows"]).read_text(encoding="utf-8").splitlines()]
    figures = {"chat": chat, "run-batch": run_batch}[way](plan, rows, begun)
    Path(plan["out"]).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
