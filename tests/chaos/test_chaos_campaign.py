"""The campaign's short version, with fixed seeds; and that its checks find what they are for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.chaos.documents import RESTRICTED
from tests.chaos.judging import judge
from tests.chaos.recounting import InRun, completions, is_look
from tests.chaos.seen import Seen, look
from tests.chaos.story import PROVIDERS, Story, story

SEED, NIGHTS = 8910, 4
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Four nights, in a process of its own: a process that forks must not be one that runs tests."""
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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    return done, keep


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_sent_uncleared(lived: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = lived
    assert done.returncode == 0, done.stdout + done.stderr
    last = re.fullmatch(
        rf"nights {NIGHTS} faults injected (\d+) records (\d+) lost 0 duplicated 0 uncleared 0", done.stdout.splitlines()[-1]
    )
    killed = re.search(r"starts killed (\d+)", done.stdout)
    assert last
    assert killed
    # How many of the planned faults and kills are met hangs on the machine's speed; these nights meet about 40 and 14.
    assert int(last[1]) > 10
    assert int(killed[1]) > 2
    assert int(last[2]) > 90


Night = tuple[Path, Story]
"""A copy of a night's folder, to be spoiled, and its story."""


@pytest.fixture(params=PROVIDERS)
def night(request: pytest.FixtureRequest, lived: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path) -> Night:
    """One of each provider, to which something was sent."""
    return copied(lived[1], tmp_path, f"{request.param}-*", lambda seen: bool(seen.received and seen.created))


@pytest.fixture
def finished(lived: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path) -> Night:
    """One with results from a provider."""
    return copied(lived[1], tmp_path, "*-*", lambda seen: any(from_a_provider(seen)))


def copied(keep: Path, target: Path, pattern: str, fits: Callable[[Seen], bool]) -> Night:
    folder = next(path for path in sorted(keep.glob(pattern)) if fits(look(path)))
    shutil.copytree(folder, target / folder.name)
    return target / folder.name, story_of(folder)


def from_a_provider(seen: Seen) -> Iterator[InRun]:
    return (key for key, _, lane in completions(seen) if lane == "cloud" and not is_look(key[0]))


def story_of(folder: Path) -> Story:
    provider, _, seed = folder.name.partition("-")
    return story(int(seed), provider)


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
    """Once more the first documents that a provider received, changed. A start that was killed may have sent half a request."""
    log = folder / "emulator" / "received.jsonl"
    operations = {"openai.files.create", "anthropic.batches.create", "bedrock.s3.put"}
    entries = [one for one in map(json.loads, log.read_text().splitlines()) if one["operation"] in operations and one["body"]]
    bodies = ((entry, (folder / "emulator" / entry["body"]).read_bytes()) for entry in entries)
    entry, content = next((entry, body) for entry, body in bodies if b"quetzalcoatl" in body)
    (folder / "emulator" / "received" / "added.bin").write_bytes(change(content))
    with log.open("a") as lines:
        lines.write(json.dumps(entry | {"body": "received/added.bin"}) + "\n")


def change_a_payload(folder: Path) -> None:
    receive(folder, lambda content: content.replace(b"harbour", b"harbor").replace(b"museum", b"gallery").replace(b"moss", b"fern"))


def send_restricted_words(folder: Path) -> None:
    canary = next(text.canary for _, text in story_of(folder).versions if text.restricted and text.content)
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


def revise_before_all(folder: Path) -> None:
    """As if the policy had been another since the beginning."""
    policy = next(entry["policy_hash"] for entry in look(folder).entries if entry["event"] == "decided")
    (folder / "revised.json").write_text(json.dumps({"received": 0, "policy_hash": policy}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (create_again, "duplicated"),
        (change_a_payload, "uncleared"),
        (send_restricted_words, "uncleared"),
        (revise_before_all, "uncleared"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_checks_read_what_arrived(harm: Callable[[Path], None], found: str, night: Night) -> None:
    folder, told = night
    harm(folder)
    assert getattr(judge(look(folder), told), found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "found"),
    [(drop_a_row, "lost"), (double_a_row, "duplicated"), (leave_in_spool, "other"), (leak_a_canary, "other")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_checks_read_what_lies_here(harm: Callable[[Path], None], found: str, finished: Night) -> None:
    folder, told = finished
    harm(folder)
    assert getattr(judge(look(folder), told), found)


def without(seen: Seen, event: str) -> Seen:
    return replace(seen, entries=tuple(entry for entry in seen.entries if entry["event"] != event))


@pytest.mark.slow
def test_a_ledger_that_does_not_say_it(finished: Night) -> None:
    folder, told = finished
    seen = look(folder)
    assert not judge(seen, told).failed
    for event, found in (("cleared", "uncleared"), ("submitting", "uncleared"), ("decided", "uncleared"), ("completed", "lost")):
        assert getattr(judge(without(seen, event), told), found), event


@pytest.mark.slow
def test_a_budget_that_is_not_kept(finished: Night) -> None:
    folder, told = finished
    seen, other = look(folder), tuple(line for line in told.job if not line.startswith("budget_usd"))
    for period in ("night", "month"):
        findings = judge(seen, replace(told, job=(*other, f"budget_usd: {{{period}: 0.01}}")))
        assert any(f"for the {period}" in one for one in findings.other), period


@pytest.mark.slow
def test_a_text_that_is_paid_for_on_two_days(finished: Night) -> None:
    folder, told = finished
    seen = look(folder)
    run_id, record_id = next(from_a_provider(seen))
    again = [
        entry | {"run_id": "chaos-2027-01-01", "seq": entry["seq"] + 10**6}
        for entry in seen.entries
        if entry["run_id"] == run_id and entry["record_id"] == record_id and entry["event"] in {"decided", "completed"}
    ]
    assert judge(replace(seen, entries=(*seen.entries, *again)), told).duplicated
