"""`python -m sinks.emulator --state DIR [--port 0] [--faults plan.json] [--s3-url http://127.0.0.1:5000]`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from sinks.emulator.bedrock_api.provider import Limits
from sinks.emulator.house import Behaviour
from sinks.emulator.openai_api.provider import Dialect
from sinks.emulator.server import Settings, serve
from sinks.errors import EmulatorError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sinks.emulator", description="The batch APIs of three providers, on loopback")
    parser.add_argument("--state", type=Path, required=True, help="folder for files, batches and the log of received bytes")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", type=Path, help="plan of the faults to inject (JSON)")
    parser.add_argument("--delay-s", type=float, default=0.0, help="how long each batch takes at the least, in the emulator's time")
    parser.add_argument("--quick", action="store_true", help="answer with the document's beginning instead of a summary")
    dialects = [one.name for one in fields(Dialect)]
    parser.add_argument("--dialect", action="append", default=[], choices=dialects, help="how the OpenAI side differs; may be repeated")
    parser.add_argument("--s3-url", default="", help="where Bedrock's inputs and outputs lie: http on loopback")
    parser.add_argument("--min-records", type=int, default=Limits().min_records, help="the least records of a Bedrock job")
    parser.add_argument("--max-jobs", type=int, default=Limits().jobs, help="how many Bedrock jobs may be under way")
    parser.add_argument("--retention", default="default", help="the data-retention mode of the Bedrock account")
    return parser.parse_args()


def main() -> int:
    """Serve until standard input ends; 2 when that is not possible."""
    given = _arguments()
    behaviour = Behaviour(
        faults=given.faults,
        delay_s=given.delay_s,
        quick=given.quick,
        dialect=Dialect(**dict.fromkeys(given.dialect, True)),
        s3_url=given.s3_url,
        limits=Limits(min_records=given.min_records, jobs=given.max_jobs),
        retention=given.retention,
    )
    try:
        serve(Settings(state=given.state, host=given.host, port=given.port, behaviour=behaviour))
    except (EmulatorError, OSError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
