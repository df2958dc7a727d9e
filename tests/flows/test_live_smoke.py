"""`make live-…`: refuses what is not meant or not ready; against the emulator it is a whole night."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "live_smoke.py"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WAYBILL_AWS_PROFILE", "WAYBILL_LIVE")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("live_smoke", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def refuse(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str, dict[str, str]], str]:
    """Call the script under this environment; what it says when it refuses."""

    def call(provider: str, environment: dict[str, str]) -> str:
        for name in KEYS:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["live_smoke.py", provider, "--out", str(tmp_path)])
        assert script.main() == 2
        out, err = capsys.readouterr()
        assert out == ""
        return str(err)

    return call


@pytest.mark.parametrize(
    ("provider", "environment", "said"),
    [
        ("openai", {"OPENAI_API_KEY": "sk-secret"}, "set WAYBILL_LIVE=1"),
        ("openai", {"OPENAI_API_KEY": "sk-secret", "WAYBILL_LIVE": "yes"}, "set WAYBILL_LIVE=1"),
        ("anthropic", {"WAYBILL_LIVE": "1"}, "ANTHROPIC_API_KEY; it is not set"),
        ("bedrock", {"WAYBILL_LIVE": "1", "WAYBILL_AWS_PROFILE": "AKIA:x"}, "put your bucket and role there"),
    ],
    ids=["not meant", "not quite", "no key", "example bucket"],
)
def test_it_refuses(
    provider: str,
    environment: dict[str, str],
    said: str,
    refuse: Callable[..., str],
) -> None:
    err = refuse(provider, environment)
    assert said in err
    assert "sk-secret" not in err


def test_every_document_is_one_of_its_own(script: ModuleType) -> None:
    documents: Callable[[int], list[str]] = script.documents
    assert len(set(documents(100))) == 100, "so many does Bedrock want"


def test_against_the_emulator_it_is_a_whole_night(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in KEYS} | {"WAYBILL_LIVE": "1"}
    command = [sys.executable, str(SCRIPT), "openai", "--endpoint", "emulator", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "2 invented documents to emulator, 0.000 US cents at the most" in done.stdout
    assert len(list((tmp_path / "live-openai" / "results").rglob("clean/*.parquet"))) == 1
