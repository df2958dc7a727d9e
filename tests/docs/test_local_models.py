"""What `docs/local-models.md` shows is read as it says, and its sums are those that `waybill doctor` makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.job import load_job
from flows.model_folder import GIB, ModelFolder, fit
from policies.load import DEFAULT_POLICY, parse_policy
from policies.registry import load_registry
from policies.yaml_value import Source
from sinks.lanes.chat_documents import ChatOptions
from sinks.lanes.vllm_settings import ENGINE_SETTINGS, read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "local-models.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<name>\d+B[^|]*) \| (\d+) × (\d+) × (\d+) \| ([\d.]+) \| (\d+) \| (\d) × (\d+) GiB \| ([\d.]+) \| (\d+) \|$", re.MULTILINE
)
ROWS = ROW.findall(PAGE)
LENGTH = 8192


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```yaml {kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_sums_are_right(row: tuple[str, ...]) -> None:
    layers, heads, width = map(int, row[1:4])
    weights, left = float(row[4]), float(row[8])
    kib, cards, card, documents = int(row[5]), int(row[6]), int(row[7]), int(row[9])
    cache = 2 * layers * heads * width * 2
    assert cache == kib * 1024
    model = ModelFolder(
        architecture="any",
        weight_bytes=int(weights * GIB),
        max_model_len=LENGTH,
        cache_bytes=cache,
        tokenizer="t",
        chat_template="t",
        quantization="",
    )
    need = fit(model, usable=int(cards * card * 0.92 * GIB), devices=cards, settings={})
    assert need.left / GIB == pytest.approx(left, abs=0.11)
    assert need.documents == documents


def test_the_table_is_there() -> None:
    assert len(ROWS) == 6


@pytest.mark.parametrize("block", blocks("job"), ids=["offline", "adapter"])
def test_a_job_may_say_so(tmp_path: Path, block: str) -> None:
    for name in ("inbox", "models/instruct-8b", "adapters/claims", ".venv-vllm/bin/python"):
        (tmp_path / name).mkdir(parents=True)
    path = tmp_path / "job.yaml"
    path.write_text(f"name: n\nsource: {{path: inbox}}\n{block}task: {{kind: summarize}}\noutput: o/r\nledger: o/l\n", encoding="utf-8")
    job = load_job(path)
    assert job.lanes.local == ("vllm",)
    assert job.engine.model == tmp_path / "models/instruct-8b"


def test_an_endpoint_may_say_so(tmp_path: Path) -> None:
    texts = [re.sub(r"^", "    ", block, flags=re.MULTILINE) for block in blocks("endpoint")]
    path = tmp_path / "endpoints.yaml"
    path.write_text("version: 2026-11-22\nendpoints:\n" + "".join(f"  e{number}:\n{text.rstrip()}\n" for number, text in enumerate(texts)))
    offline, server = load_registry(path).values()
    assert read_settings(offline).window == 256
    assert ChatOptions.of(server, "").concurrency == 2


def test_a_policy_may_say_so() -> None:
    (block,) = blocks("policy")
    policy = parse_policy(Source(name="policy.yaml", data=(DEFAULT_POLICY.read_text(encoding="utf-8") + "\n" + block).encode()))
    assert policy.isolation == "netns"


@pytest.mark.parametrize("name", sorted(ENGINE_SETTINGS))
def test_every_setting_of_the_engine_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE or name == "tensor_parallel_size"  # the page says gpus_per_replica
