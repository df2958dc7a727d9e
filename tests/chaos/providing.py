"""The provider of a night: the emulator in a child that was forked, and for Bedrock a bucket at an S3 server of all nights."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sinks.emulator import clock, server
from sinks.emulator.bedrock_api.provider import Limits
from sinks.emulator.house import Behaviour
from sinks.emulator.openai_api.provider import Dialect
from sinks.errors import EndpointError
from tests.chaos.story import Story

_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Bucket:
    """An S3 server for all nights, started for the first that needs one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def new(self, name: str) -> str:
        """Make a bucket; returns its name."""
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                [sys.executable, "-c", _S3], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={}
            )
            assert self._process.stdout
            self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        connection.request("PUT", f"/{name}")
        connection.getresponse().read()
        connection.close()
        return name

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate("")


def pass_time(state: Path, port: int, seconds: float) -> None:
    """Let virtual time go by for the provider, running or not, and for us."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/_emulator/clock", json.dumps({"advance_s": seconds}))
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        clock.advance(state, seconds)
    finally:
        connection.close()


@contextmanager
def provider(told: Story, folder: Path, port: int, *, calm: bool, s3_url: str) -> Iterator[int]:
    """The emulator over the night's state, in a child; gives its port. calm: without faults, and at once."""
    behaviour = Behaviour(
        faults=None if calm else folder / "plan.json",
        delay_s=0.0 if calm else told.delay_s,
        dialect=Dialect(**dict.fromkeys(told.dialects, True)),
        s3_url=s3_url,
        limits=Limits(min_records=int(str(told.settings.get("shard_min_rows", 100)))),
    )
    settings = server.Settings(state=folder / "emulator", port=port, behaviour=behaviour)
    (folder / "emulator").mkdir(mode=0o700, parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    listening, saying = os.pipe()
    child = os.fork()
    if not child:
        _serve(settings, ours, saying, folder / "emulator" / "emulator.log", close=(theirs, listening))
    os.close(ours)
    os.close(saying)
    try:
        with os.fdopen(listening) as told_by_it:
            line = told_by_it.readline()
            if not line:
                raise EndpointError(f"the emulator did not start; see {folder / 'emulator' / 'emulator.log'}")
            yield int(json.loads(line)["root"].rpartition(":")[2])
    finally:
        os.close(theirs)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # it never has to do anything at its end
        os.waitpid(child, 0)


def _serve(settings: server.Settings, standard_input: int, standard_output: int, log: Path, *, close: Sequence[int]) -> None:
    """What the emulator's process does; it never returns."""
    try:
        for descriptor in close:
            os.close(descriptor)
        os.dup2(standard_input, 0)
        os.dup2(standard_output, 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        sys.stdout = os.fdopen(1, "w")
        server.serve(settings)
    except BaseException:  # noqa: BLE001 - the log says it, and the parent sees that nothing answers
        traceback.print_exc()
    os._exit(0)
