"""Whole nights with the real vLLM, on a tiny model made on the spot. `make test-vllm` makes its environment and runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from sinks.lanes.vllm_process import worker_environment

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("WAYBILL_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
INBOX = ROOT / "examples" / "inbox"
CANARY = "quetzalcoatl-7719"
LONGEST = 4096
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["letter", "memo", "record"]}, "urgent": {"type": "boolean"}},
    "required": ["kind", "urgent"],
    "additionalProperties": False,
}
EXTRACT = "{kind: extract, schema: form.json, max_tokens: 40}"
REGISTRY = """version: 2026-11-22
endpoints:
  vllm:
    lane: local
    engine: vllm_offline
    provider: vllm
    model: tiny
    settings: {{device: cpu, dtype: float32, max_model_len: {length}, kv_cache_memory_bytes: 134217728, window: {window}}}
  emulator:
    lane: cloud
    engine: openai_batch
    provider: emulator
    model: extractive-emulator
    facts: {{dpa: true, training_use: false}}
    evidence_link: README.md
    review_by: 2099-12-31
    settings: {{emulator: true}}
"""
ISOLATE = ("unshare", "--map-root-user", "--net")
CAN_ISOLATE = subprocess.run([*ISOLATE, "true"], capture_output=True, check=False).returncode == 0
# What a machine's environment may hold, and a worker must not see.
AROUND = {"OPENAI_API_KEY": CANARY, "HF_TOKEN": CANARY, "HTTPS_PROXY": f"http://{CANARY}:1", "VLLM_LOGGING_LEVEL": "DEBUG"}
PATIENCE_S = 600
LEAST_RESTRICTED = 50

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # an engine has to be loaded, on whatever else the machine does
    pytest.mark.skipif(not PYTHON.exists(), reason="no vLLM environment: `make vllm`, or point WAYBILL_VLLM_PYTHON at its interpreter"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose positions go far enough for every document; they are computed, not learned."""
    folder = tmp_path_factory.mktemp("model")
    program = ROOT / "tests" / "sinks" / "vllm_tiny_model.py"
    subprocess.run([PYTHON, "-P", program, folder], check=True, env=worker_environment("cpu"), capture_output=True)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": LONGEST}))
    return folder


@pytest.fixture(scope="module")
def prepare(model: Path, write: Callable[..., Any]) -> Callable[..., Any]:
    """A night whose restricted records go to vLLM."""

    def make(folder: Path, *, lanes: str, length: int = LONGEST, window: int = 64, engine: str = "", **more: Any) -> Any:
        (folder / "form.json").write_text(json.dumps(SCHEMA))
        (folder / "endpoints.yaml").write_text(REGISTRY.format(length=length, window=window))
        isolation = ", isolation: netns" if CAN_ISOLATE else ""
        extra = f"registry: endpoints.yaml\npoll_s: 0.5\nlanes: {lanes}\nengine: {{python: {PYTHON}, model: {model}{isolation}{engine}}}\n"
        return write(folder, extra=extra, **more)

    return make


def run(night: Any, *before: str) -> dict[str, Any]:
    command, around = [*before, *night.command()], {**os.environ, **AROUND}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=around)
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def ask(night: Any, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(question).fetchall()


def rows(night: Any) -> list[dict[str, Any]]:
    return [row for path in sorted(night.results.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


def received(night: Any) -> bytes:
    return b"".join(path.read_bytes() for path in (night.out / "emulator").rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def inbox_night(tmp_path_factory: pytest.TempPathFactory, prepare: Callable[..., Any]) -> Any:
    """The bundled inbox, extracted. Look at it, do not change it."""
    folder = tmp_path_factory.mktemp("inbox-night")
    night = prepare(folder, lanes="{local: vllm, cloud: emulator}", task=EXTRACT)
    text = night.job.read_text().replace("path: inbox", f"path: {INBOX}").replace("batch_size: 3", "batch_size: 50")
    night.job.write_text(text)
    run(night)
    return night


def test_restricted_records_of_the_inbox_are_answered_by_vllm(inbox_night: Any) -> None:
    found = rows(inbox_night)
    inside = [row for row in found if row["lane"] == "local"]
    assert len(inside) >= LEAST_RESTRICTED
    assert {(row["status"], row["endpoint"], row["finish_reason"]) for row in inside} == {("completed", "vllm", "stop")}
    for row in inside:
        Draft202012Validator(SCHEMA).validate(json.loads(row["output"]))
    kept_in = {"PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", "UNSCANNABLE"}
    assert {row["endpoint"] for row in found if kept_in & set(row["data_classes"] or ())} <= {"vllm", None}
    assert {row["endpoint"] for row in found if row["lane"] == "cloud"} == {"emulator"}


def test_results_and_ledger_say_what_answered(inbox_night: Any) -> None:
    facts = {
        (row["model"], row["revision"], row["weights_digest"], row["lora_digest"])
        for row in rows(inbox_night)
        if row["endpoint"] == "vllm" and row["status"] == "completed"
    }
    ((model, revision, weights, lora),) = facts
    assert (Path(model).is_dir(), lora) == (True, None)
    assert re.fullmatch(r"vllm-0\.3\d\.\d\+tokenizer-[0-9a-f]{16}", revision)
    assert re.fullmatch(r"[0-9a-f]{64}", weights)
    page = (ROOT / "docs" / "local-models.md").read_text(encoding="utf-8")
    (question,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    ((*answered, records, _, _),) = ask(inbox_night, question)
    assert answered == [model, revision, weights, lora]
    assert records >= LEAST_RESTRICTED


def test_nothing_restricted_reaches_the_provider(inbox_night: Any) -> None:
    restricted = {row["source"] for row in rows(inbox_night) if row["lane"] != "cloud"}
    there = received(inbox_night)
    lines = {
        line.strip()
        for source in restricted
        if (path := INBOX / source.partition("#")[0]).suffix in {".txt", ".md"}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if re.fullmatch(r"[A-Za-z0-9 ,.'()-]{40,}", line.strip())
    }
    assert len(lines) >= 50
    assert not [line for line in lines if line.encode() in there]
    assert ask(inbox_night, "SELECT count(*) FROM egress WHERE endpoint <> 'emulator'") == [(0,)]
    assert b"harbour" in there or b"the" in there  # the search could have found something


@pytest.mark.skipif(not CAN_ISOLATE, reason="this system allows no network namespaces")
def test_the_ledger_says_that_the_engine_had_no_network(inbox_night: Any) -> None:
    question = "SELECT DISTINCT endpoint, detail_code FROM entries WHERE event = 'submitted' ORDER BY endpoint"
    assert ask(inbox_night, question) == [("emulator", None), ("vllm", "isolation_netns")]


def test_nothing_is_left_of_the_engine(inbox_night: Any) -> None:
    assert [path for path in (inbox_night.out / "spool").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not CAN_ISOLATE, reason="this system allows no network namespaces")
def test_the_whole_lane_needs_no_network(tmp_path: Path, prepare: Callable[..., Any], model: Path) -> None:
    night = prepare(tmp_path, lanes="{local: vllm, cloud: null}", engine=f", lora: {model / 'adapter'}", task=EXTRACT)
    report = run(night, *ISOLATE)
    assert (report["results"], report["held"], report["failed"]) == (7, 1, 0)
    ((digest, count),) = ask(night, "SELECT lora_digest, count(*) FROM outcomes WHERE outcome = 'completed' GROUP BY ALL")
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert count == 7


def worker_of(night: Any) -> Iterator[int]:
    """The pid of a worker whose engine is loaded and that has answered something."""
    for ready in (night.out / "spool").rglob("vllm.0.ready.json"):
        if any(path.stat().st_size for path in (night.out / "spool").rglob("*.out.jsonl")):
            yield json.loads(ready.read_bytes())["pid"]


def test_a_worker_that_is_killed_costs_nothing_and_shows_nothing(tmp_path: Path, prepare: Callable[..., Any]) -> None:
    letter = "Dear Ms Ines Lindqvist, your account number is 4071829{:04d}. Your current balance is $4,210.55. {}\n"
    letters = {f"bank/{number}.txt": letter.format(number, CANARY) * 8 for number in range(40)}
    night = prepare(tmp_path, lanes="{local: vllm, cloud: emulator}", documents=letters, window=2, task=EXTRACT)
    seen: dict[str, bytes] = {}
    with subprocess.Popen(
        night.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **AROUND}
    ) as process:
        while process.poll() is None and not seen:
            for pid in worker_of(night):
                os.kill(pid, signal.SIGSTOP)
                seen = {name: Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline")}
                seen |= {path.name: path.read_bytes() for path in (night.out / "spool").rglob("vllm.0.*")}
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "died (exit status -9)" in err
    report = json.loads(out.splitlines()[-1])
    assert (report["documents"], report["results"], report["failed"], report["pending"]) == (40, 40, 0, 0)
    found = rows(night)
    assert len({row["record_id"] for row in found}) == len(found) == 40
    assert ask(night, "SELECT count(*), count(DISTINCT record_id) FROM outcomes") == [(40, 40)]

    assert set(seen) >= {"environ", "cmdline", "vllm.0.log", "vllm.0.spec.json"}
    assert b"VLLM_LOGGING_LEVEL=INFO" in seen["environ"]
    assert seen["vllm.0.log"]
    secrets = (CANARY.encode(), b"Lindqvist")
    assert not any(secret in content for content in (*seen.values(), out.encode(), err.encode()) for secret in secrets)
    left = [path for path in night.out.rglob("*") if path.is_file() and path.relative_to(night.out).parts[0] != "results"]
    assert not [path for path in left if any(secret in path.read_bytes() for secret in secrets)]
    assert not list(night.out.rglob("core*"))


def test_doctor_loads_the_engine_and_asks_it(tmp_path: Path, prepare: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = prepare(tmp_path, lanes="{local: vllm, cloud: null}")
    lines = cli("doctor", "--lane", "local", "--job", night.job).out.splitlines()
    assert [line[:4].strip() for line in lines if line[6:25].strip() != "isolation"] == ["ok"] * (len(lines) - 1)
    assert any(re.search(r"generation +\d tokens in \d+ s, loading included; vllm-0\.3", line) for line in lines)
