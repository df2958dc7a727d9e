"""A misspelt setting is refused where it is written; and the list of settings is the list of what the program reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.load import DEFAULT_REGISTRY
from policies.registry import ENGINES, load_registry
from policies.settings import SETTINGS
from sinks.lanes import vllm_settings

ROOT = Path(__file__).parents[2]
REGISTRY = """\
version: 1
endpoints:
  there:
    lane: local
    engine: {engine}
    provider: example
    model: small
    settings:
      reconcile_after_s: 5
      {setting}
"""

# The ways in which the program reads a setting: settings.get("name"), settings["name"], "name" in settings, reader(endpoint, "name").
READS = re.compile(
    r"""settings(?:\.get\(|\[)\s*"(\w+)"|"(\w+)"\ in\ (?:\w+\.)?settings|
        (?:_count|_text|_number|_flag|_seconds|[^_]setting)\(\w*endpoint,\ "(\w+)\"""",
    re.VERBOSE,
)
NAMED = re.compile(r'(?:CHARGED_AS|SETTING) = "(\w+)"|^    "(structured_output|thinking|effort|api_version)":', re.MULTILINE)


def test_every_setting_that_is_read_is_known() -> None:
    sources = [
        path for folder in ("sinks", "flows", "policies") for path in (ROOT / folder).rglob("*.py") if "vllm_worker" not in path.parts
    ]
    read = {
        name
        for path in sources
        for found in (READS, NAMED)
        for match in found.finditer(path.read_text())
        for name in match.groups()
        if name
    }
    known = set().union(*SETTINGS.values())
    assert read - known == set()
    assert {"batch_url", "shard_max_rows", "emulator_faults", "role_arn", "concurrency", "charged_as", "effort", "tokenizer"} <= read


def test_the_offline_engine_knows_the_same() -> None:
    assert {*vllm_settings._OURS, *vllm_settings.ENGINE_SETTINGS} == SETTINGS["vllm_offline"]
    assert SETTINGS.keys() == ENGINES.keys()


@pytest.mark.parametrize(
    ("engine", "setting", "said"),
    [
        ("openai_batch", "shard_max_row: 5", "openai_batch has no such setting; did you mean shard_max_rows?"),
        ("bedrock_batch", "role_anr: x", "bedrock_batch has no such setting; did you mean role_arn?"),
        ("anthropic_batch", "Effort: low", "did you mean effort?"),
        ("extractive", "worker: 2", "did you mean workers?"),
        ("openai_compatible", "max_model_length: 8192", "did you mean max_model_len?"),
        ("extractive", "kms_key: x", "extractive has no such setting (it is one of bedrock_batch); expected one of enqueued_tokens"),
        ("openai_batch", "colour: red", "openai_batch has no such setting; expected one of allow_host, api_version, batch_url"),
        ("vllm_offline", "enable_log_requests: true", "what the engine logs is not for a registry to say"),
    ],
    ids=lambda value: value.partition(":")[0],
)
def test_a_name_that_nobody_reads_is_refused_at_its_line(tmp_path: Path, engine: str, setting: str, said: str) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(REGISTRY.format(engine=engine, setting=setting))
    with pytest.raises(PolicyFileError) as refused:
        load_registry(path)
    assert str(refused.value).startswith(f"{path}:10: endpoints.there.settings.{setting.partition(':')[0]}: ")
    assert said in str(refused.value)


def test_a_known_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text(REGISTRY.format(engine="openai_compatible", setting="max_model_len: 8192"))
    assert load_registry(path)["there"].settings == {"reconcile_after_s": 5, "max_model_len": 8192}
    assert load_registry(DEFAULT_REGISTRY)
