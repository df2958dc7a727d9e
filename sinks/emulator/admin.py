"""The emulator's own door, beside the providers': its clock and what it has seen. Not recorded, no key, loopback only."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from starlette.responses import JSONResponse, Response

from sinks.emulator.clock import Clock
from sinks.emulator.faults import FaultPlan, parse
from sinks.emulator.receipts import tally
from sinks.errors import EmulatorError


class Admin:
    """`/_emulator/clock` (GET, POST `{"advance_s": 3600}`), `/_emulator/faults` (POST, a plan's list), `/_emulator/receipts` (GET)."""

    def __init__(self, folder: Path, clock: Clock, plan: FaultPlan) -> None:
        self._folder, self._clock, self._plan = folder, clock, plan

    def answer(self, method: str, path: str, body: bytes) -> Response:
        """One request."""
        if path == "/_emulator/clock" and method == "POST":
            return self._advance(body)
        if path == "/_emulator/clock" and method == "GET":
            return JSONResponse({"now": self._clock.now()})
        if path == "/_emulator/faults" and method == "POST":
            return self._add_faults(body)
        if path == "/_emulator/receipts" and method == "GET":
            return JSONResponse({provider: asdict(found) for provider, found in tally(self._folder).items()})
        return JSONResponse(
            {"error": "expected GET or POST /_emulator/clock, POST /_emulator/faults or GET /_emulator/receipts"}, status_code=404
        )

    def _advance(self, body: bytes) -> Response:
        try:
            seconds = float(json.loads(body)["advance_s"])
            return JSONResponse({"now": self._clock.advance(seconds)})
        except (ValueError, TypeError, KeyError, EmulatorError):
            return JSONResponse({"error": 'expected {"advance_s": SECONDS}, 0 or more'}, status_code=400)

    def _add_faults(self, body: bytes) -> Response:
        try:
            self._plan.add(parse(json.loads(body)))
        except EmulatorError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except ValueError:  # of json and of pydantic
            return JSONResponse({"error": "expected a JSON list of faults, as in a plan file"}, status_code=400)
        return JSONResponse({"planned": True})
