"""A stand-in for the vLLM worker: the lane's contract with the standard library alone. What it does with a row, the row's text says.

    KILL          the engine dies of it, every time           ONCE       the engine dies of it, the first time
    TORN          dies half-way through writing its answer, the first time
    WAIT:PATH     is not answered before PATH exists          TERM       ends as by SIGTERM, the first time
    GONE          finds the model's files gone (exit 3)

Likewise the model's path: `unloadable` (exit 3), `unloadable-once`, `second-unloadable` (worker 1 only), `dies-loading`, `stubborn`
(does not end when it should), `wait:PATH` (is not loaded before PATH exists). In `journal`, in the spool, it says what it did.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Rows = Iterator[tuple[dict[str, Any], dict[str, Any]]]


def note(*words: object) -> None:
    with Path("journal").open("a", encoding="utf-8") as journal:
        journal.write(" ".join(map(str, words)) + "\n")


def first_time(what: str) -> bool:
    try:
        Path(f"first-{what.replace('/', '_')}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def load(spec: dict[str, Any]) -> None:
    model = spec["model_path"]
    note("start", os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.getpid())
    if model == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if model == "dies-loading":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "second-unloadable" and ".1." in sys.argv[1]:
        sys.exit(4)
    if model == "unloadable" or (model == "unloadable-once" and first_time("load")):
        sys.stderr.write("vllm_worker: no such model\n")
        sys.exit(3)
    while model.startswith("wait:") and not Path(model.partition(":")[2]).exists():
        time.sleep(0.01)
    ready = Path(spec["ready"])
    ready.with_suffix(".new").write_text(json.dumps({"pid": os.getpid(), "engine": "scripted", "max_model_len": 512}))
    ready.with_suffix(".new").replace(ready)


def orders() -> queue.Queue[dict[str, Any] | None]:
    told: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            told.put(json.loads(line))
        told.put(None)

    threading.Thread(target=listen, daemon=True).start()
    return told


def rows_of(order: dict[str, Any]) -> Rows:
    output = Path(order["output"])
    content = output.read_bytes() if output.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(output, len(whole))
    answered = {json.loads(line)["row_id"] for line in whole.split(b"\n") if line}
    note("told", order["job"], order["window"])
    with Path(order["input"]).open("rb") as file:
        for line in file:
            row = json.loads(line)
            if row["custom_id"] not in answered:
                yield order, row


def append(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)


def text_of(row: dict[str, Any]) -> str:
    return "".join(element["text"] for message in row["body"]["messages"] for element in message["content"])


def blocked(row: dict[str, Any]) -> bool:
    path = text_of(row).partition("WAIT:")[2].partition(" ")[0]
    return bool(path) and not Path(path).exists()


def finish(order: dict[str, Any], row: dict[str, Any], model: str) -> None:
    text, row_id = text_of(row), row["custom_id"]
    if "KILL" in text or ("ONCE" in text and first_time(f"once-{row_id}")):
        os.kill(os.getpid(), signal.SIGKILL)
    if "GONE" in text:
        os._exit(3)
    if "TERM" in text and first_time(f"term-{row_id}"):
        os.kill(os.getpid(), signal.SIGTERM)
    result = {"row_id": row_id, "output": text[::-1], "finish_reason": "stop", "model": model, "tokens_in": len(text), "tokens_out": 2}
    line = json.dumps(result).encode() + b"\n"
    if "TORN" in text and first_time(f"torn-{row_id}"):
        append(order["output"], line[: len(line) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    append(order["output"], line)
    note("answered", row_id)


def work(spec: dict[str, Any]) -> None:
    told = orders()
    flying: list[tuple[dict[str, Any], dict[str, Any]]] = []
    current: Rows = iter(())
    window, over = spec["window"], False
    while True:
        while len(flying) < window:
            following = next(current, None)
            if following is None:
                if over or (flying and told.empty()) or (flying and window != spec["window"]):
                    break
                order = told.get()
                if order is None:
                    over = True
                    break
                current, window = rows_of(order), order["window"] or spec["window"]
                continue
            append(following[0]["started"], following[1]["custom_id"].encode() + b"\n")
            flying.append(following)
        if not flying:
            if over:
                return
            continue
        ready = next((position for position, (_, row) in enumerate(flying) if not blocked(row)), None)
        if ready is None:
            if not Path("journal").exists():  # the test is over, and has failed
                return
            time.sleep(0.01)
        else:
            finish(*flying.pop(ready), spec["model"])


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_bytes())
    os.fstat(spec["lock_fd"])  # it is there, or we die
    os.set_inheritable(spec["lock_fd"], False)  # noqa: FBT003 - the standard library's signature
    load(spec)
    work(spec)
    note("end", os.getpid())
    while spec["model_path"] == "stubborn":
        time.sleep(0.05)


if __name__ == "__main__":
    main()
