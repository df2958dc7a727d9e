"""The walk of `docs/adding-a-detector.md`, block by block, in a copy of the repository.

A block with `file=` is written, a `diff` block is put into the file it names, and every `$ ` line of a `console` block is run; what stands
below it must be what it says, with `…` for anything, also for any number of lines. Only `pip install` is done by hand, because tests have
no network: the metadata that it would write are written from the package's own `pyproject.toml`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-detector.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("detectors", "policies", "sinks", "flows", "tests/detectors", "pyproject.toml")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def test_the_walk(copy: Path) -> None:
    done = dict.fromkeys(("file", "diff", "console"), 0)
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        step = "file" if block["file"] else block["kind"]
        assert step in done, f"a block that the walk does not know: {block['kind']}"
        done[step] += 1
        if step == "file":
            path = copy / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["body"], encoding="utf-8")
        elif step == "diff":
            patch(copy, block["body"])
        else:
            for command, expected in commands(block["body"]):
                compare(command, run(copy, command), expected)
    assert all(count >= 3 for count in done.values()), done


def patch(copy: Path, body: str) -> None:
    """Put the lines with `+` where the others stand, which must be in exactly one place."""
    head, *lines = body.splitlines(keepends=True)
    path = copy / head.removeprefix("--- ").strip()
    before = "".join(line[1:] for line in lines if line[0] == " ")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name}: the lines around the new one are not there once: {before}"
    path.write_text(text.replace(before, "".join(line[1:] for line in lines)), encoding="utf-8")


def commands(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines expected of it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        yield command, expected


def run(copy: Path, command: str) -> str:
    words = shlex.split(command)
    if words[:2] == ["pip", "install"]:
        install(copy, copy / words[2])
        return ""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join([str(copy), str(copy / "site")]), "COLUMNS": "200"}
    done = subprocess.run(words, cwd=copy, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(copy: Path, package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(package / "harbour_detectors", copy / "site" / "harbour_detectors")
    information = copy / "site" / f"harbour_detectors-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    entries = "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items()) for group, found in groups)
    (information / "entry_points.txt").write_text(entries)


def compare(command: str, said: str, expected: list[str]) -> None:
    if expected:
        pattern = "\n".join(".*" if line == "…" else re.escape(line).replace("…", "[^\n]*") for line in expected)
        assert re.fullmatch(pattern + "\n", said, re.DOTALL), f"{command} said:\n{said}"
