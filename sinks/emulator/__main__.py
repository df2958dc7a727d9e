"""`python -m sinks.emulator --state DIR [--port 0] [--faults plan.json] [--delay-s 0.5]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sinks.emulator.lifecycle import Timing
from sinks.emulator.server import Settings, serve
from sinks.errors import EmulatorError


def main() -> int:
    """Serve until standard input ends; 2 when that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m sinks.emulator", description="OpenAI Files + Batches on loopback")
    parser.add_argument("--state", type=Path, required=True, help="folder for files, batches and the log of received bytes")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", type=Path, help="JSON list of faults to inject")
    parser.add_argument("--delay-s", type=float, default=0.0, help="how long each batch takes at the least")
    given = parser.parse_args()
    timing = Timing(delay_s=given.delay_s)
    try:
        serve(Settings(state=given.state, host=given.host, port=given.port, faults=given.faults, timing=timing))
    except (EmulatorError, OSError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
