"""The campaign's short version, with fixed seeds; and that its checks find what they are for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.chaos.judging import judge
from tests.chaos.seen import Seen, look
from tests.chaos.story import PROVIDERS, RESTRICTED, Text, story

SEED, NIGHTS = 69, 8
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Eight nights, in a process of its own: a process that forks must not be one that runs tests."""
    keep = tmp_path_factory.mktemp("chaos")
    command = [
        sys.executable,
        "-m",
        "tests.chaos.campaign",
        "--nights",
        str(NIGHTS),
        "--seed",
        str(SEED),
        "--keep",
        str(keep),
        "--keep-all",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    return done, keep


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_sent_uncleared(lived: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = lived
    assert done.returncode == 0, done.stdout + done.stderr
    last = re.fullmatch(
        rf"nights {NIGHTS} faults injected (\d+) records (\d+) lost 0 duplicated 0 uncleared 0", done.stdout.splitlines()[-1]
    )
    assert last
    assert int(last[1]) > 10
    assert int(last[2]) > 100


@pytest.fixture(params=PROVIDERS)
def night(
    request: pytest.FixtureRequest, lived: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> tuple[Path, dict[str, Text]]:
    """A copy of a night that sent something, and its documents."""
    _, keep = lived
    folders = sorted(path for path in keep.glob(f"{request.param}-*") if created_and_received(look(path)))
    folder = tmp_path / folders[0].name
    shutil.copytree(folders[0], folder)
    told = story(int(folder.name.rpartition("-")[2]), request.param)
    assert not judge(look(folder), told.documents).failed
    return folder, dict(told.documents)


def created_and_received(seen: Seen) -> bool:
    return bool(seen.received and seen.created)


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    table = pq.ParquetFile(path).read()
    pq.write_table(table.from_pylist(change(table.to_pylist()), schema=table.schema), path)


def results(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("out/results/*/*/*.parquet"))))


def drop_a_row(folder: Path) -> None:
    rewrite(results(folder), lambda rows: rows[1:])


def double_a_row(folder: Path) -> None:
    rewrite(results(folder), lambda rows: [*rows, rows[0]])


def receive(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Once more what a provider received first, changed."""
    log = folder / "emulator" / "received.jsonl"
    operations = {"openai.files.create", "anthropic.batches.create", "bedrock.s3.put"}
    entry = next(one for one in map(json.loads, log.read_text().splitlines()) if one["operation"] in operations and one["body"])
    content = (folder / "emulator" / entry["body"]).read_bytes()
    (folder / "emulator" / "received" / "added.bin").write_bytes(change(content))
    with log.open("a") as lines:
        lines.write(json.dumps(entry | {"body": "received/added.bin"}) + "\n")


def change_a_payload(folder: Path) -> None:
    receive(folder, lambda content: content.replace(b"harbour", b"harbor").replace(b"museum", b"gallery").replace(b"moss", b"fern"))


def send_restricted_words(folder: Path) -> None:
    told = story(int(folder.name.rpartition("-")[2]), folder.name.partition("-")[0])
    canary = next(text.canary for text in told.documents.values() if text.restricted and text.content)
    receive(folder, lambda _: RESTRICTED[0].format(canary=canary).encode())


def create_again(folder: Path) -> None:
    log = folder / "emulator" / "created.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ours = next(line["job"] for line in lines if "rows" in line)
    again = [
        line | {"job": "another", "twin": False} if "twin" in line else line | {"job": "another"} for line in lines if line["job"] == ours
    ]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, *again]))


def leave_in_spool(folder: Path) -> None:
    (folder / "out" / "spool" / "chaos" / f"{'0' * 32}.jsonl").write_text("{}")


def leak_a_canary(folder: Path) -> None:
    (folder / "out" / "ledger" / "notes.txt").write_text("quetzalcoatl-0001")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (drop_a_row, "lost"),
        (double_a_row, "duplicated"),
        (create_again, "duplicated"),
        (change_a_payload, "uncleared"),
        (send_restricted_words, "uncleared"),
        (leave_in_spool, "other"),
        (leak_a_canary, "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_checks_find(harm: Callable[[Path], None], found: str, night: tuple[Path, dict[str, Text]]) -> None:
    folder, documents = night
    harm(folder)
    assert getattr(judge(look(folder), documents), found)


def without(seen: Seen, event: str) -> Seen:
    return replace(seen, entries=tuple(entry for entry in seen.entries if entry["event"] != event))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "found"), [("cleared", "uncleared"), ("submitting", "uncleared"), ("decided", "uncleared"), ("completed", "lost")]
)
def test_a_ledger_that_does_not_say_it(event: str, found: str, night: tuple[Path, dict[str, Text]]) -> None:
    folder, documents = night
    assert getattr(judge(without(look(folder), event), documents), found)
