"""Local means local: a night without a cloud endpoint runs in a network namespace that has no interface at all (invariant 8)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

ISOLATE = ("unshare", "--map-root-user", "--net")


def can_isolate() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*ISOLATE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_isolate(), reason="this system allows no network namespaces (unshare --map-root-user --net)")
def test_the_restricted_path_needs_no_network(make_night: Callable[..., Any]) -> None:
    night = make_night(extra="lanes: {cloud: null}\n")
    done = subprocess.run([*ISOLATE, *night.command()], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["results"], report["held"], report["failed"]) == (7, 1, 0)


def test_a_ledger_that_cannot_be_written_stops_the_night_before_anything_is_sent(night: Any) -> None:
    night.out.mkdir()
    night.ledger.write_text("a file where the ledger should be")
    done = subprocess.run(night.command(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (night.out / "emulator").exists()
