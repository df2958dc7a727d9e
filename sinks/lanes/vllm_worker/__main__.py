"""The worker's start: assert, isolate, load, tell that it is ready, work until standard input ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .discretion import assert_discretion
from .engine import Engine
from .errors import WorkerError
from .identity import start_digests
from .isolation import isolate
from .jobs import Orders
from .prompts import Prompts
from .spec import Spec, read_spec
from .window import Window
from .words import say


def main(spec_path: str) -> int:
    """Serve the lane until it closes our standard input; the exit code says how it ended."""
    try:
        spec = read_spec(Path(spec_path))
        if spec.lock_fd is not None:
            os.set_inheritable(spec.lock_fd, False)  # noqa: FBT003 - the standard library's signature
        assert_discretion(os.environ, spec.engine)
        isolate(spec.isolation)  # before the first thread: a process with threads cannot leave
        _serve(spec)
    except WorkerError as error:
        say(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - its message, and a traceback, may quote a record
        say(f"failed: {type(error).__name__}")
        return 1
    return 0


def _serve(spec: Spec) -> None:
    orders = Orders(sys.stdin.fileno())
    digests = start_digests(spec.model_path, spec.lora_path)
    engine = Engine(spec)
    prompts = Prompts(engine.tokenizer)
    _tell_ready(spec, engine)
    Window(spec, engine, prompts, digests, orders).run()


def _tell_ready(spec: Spec, engine: Engine) -> None:
    """Whole or not at all: the lane reads it as soon as it is there."""
    form = {
        "pid": os.getpid(),
        "engine": f"vllm-{engine.version}",
        "max_model_len": engine.max_model_len,
        "isolation": spec.isolation,
    }
    temporary = spec.ready.with_name(f"{spec.ready.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(form).encode())
    temporary.replace(spec.ready)


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))  # after the folder that we are found in
