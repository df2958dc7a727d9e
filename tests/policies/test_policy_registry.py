"""The endpoint registry: strict, per feature, secrets by name."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.load import DEFAULT_REGISTRY
from policies.model import Lane
from policies.registry import load_registry

GOOD = """\
version: 1
endpoints:
  inside: {lane: local, engine: extractive, provider: waybill, model: lexrank}
  outside:
    lane: cloud
    engine: openai_batch
    provider: example
    model: small-1
    region: eu-west-1
    feature: batch
    base_url: https://api.example.com/v1
    secret: EXAMPLE_API_KEY
    facts: {dpa: true, training_use: false, retention_days: 30}
    evidence_link: https://example.com/terms
    review_by: 2027-05-31
    settings: {shard_max_rows: 50000, timeout_s: 0.5, strict_schema: true, batch_url: hello}
    tier: large
    tokens_per_s: 2500
    deprecated_on: 2026-12-01
    retires_on: 2027-03-01
"""

FAULTS = {
    "unknown key": ("    region:", "    regoin:", 9, "endpoints.outside.regoin: unknown key"),
    "unknown lane": ("lane: cloud", "lane: moon", 5, "lane: expected one of local, cloud, found 'moon'"),
    "unknown engine": ("openai_batch", "openai_bach", 6, "engine: expected one of extractive, vllm_offline"),
    "unknown fact": ("dpa: true", "dpaa: true", 13, "facts.dpaa: unknown key"),
    "region is no fact": ("dpa: true", "region: eu", 13, "facts.region: unknown key"),
    "fact of the wrong type": ("retention_days: 30", "retention_days: true", 13, "retention_days: expected a whole number of days"),
    "negative days": ("retention_days: 30", "retention_days: -1", 13, "retention_days: expected a whole number of days"),
    "cloud without review": ("    review_by: 2027-05-31\n", "", 4, "review_by: expected this key"),
    "cloud without facts": ("    facts: {dpa: true, training_use: false, retention_days: 30}\n", "", 4, "facts: expected this key"),
    "cloud without evidence": ("    evidence_link: https://example.com/terms\n", "", 4, "evidence_link: expected this key"),
    "no such day": ("2027-05-31", "2027-02-30", 15, "review_by: expected a day, YYYY-MM-DD"),
    "review in words": ("2027-05-31", "next year", 15, "review_by: expected a day, YYYY-MM-DD"),
    "missing model": ("    model: small-1\n", "", 4, "model: expected this key"),
    "name with a path": ("  inside:", '  "../inside":', 3, "expected an endpoint named in lower case"),
    "name twice": ("  outside:", "  inside:", 4, "inside: duplicate key"),
    "other scheme": ("https://api.example.com/v1", "file:///etc/passwd", 11, "base_url: expected an address"),
    "unknown tier": ("tier: large", "tier: big", 17, "endpoints.outside.tier: expected one of small, medium, large, frontier, found 'big'"),
    "no throughput": ("tokens_per_s: 2500", "tokens_per_s: 0", 18, "tokens_per_s: expected a number of tokens a second above 0"),
    "throughput in words": ("tokens_per_s: 2500", "tokens_per_s: fast", 18, "tokens_per_s: expected a number of tokens a second above 0"),
    "throughput without end": (
        "tokens_per_s: 2500",
        "tokens_per_s: .inf",
        18,
        "tokens_per_s: expected a number of tokens a second above 0",
    ),
    "throughput true": ("tokens_per_s: 2500", "tokens_per_s: true", 18, "tokens_per_s: expected a number of tokens a second above 0"),
    "no day of deprecation": ("2026-12-01", "soon", 19, "deprecated_on: expected a day, YYYY-MM-DD, found 'soon'"),
    "retires before it is deprecated": ("2027-03-01", "2026-11-30", 20, "retires_on: expected a day not before deprecated_on, 2026-12-01"),
    "query": ("https://api.example.com/v1", "https://api.example.com/v1?x=1", 11, "base_url: expected an address"),
    "bad port": ("https://api.example.com/v1", "https://api.example.com:port/v1", 11, "base_url: expected an address"),
    "no endpoints": (GOOD[GOOD.index("  inside") :], "", 2, "endpoints: expected a table of endpoints"),
}


def write(folder: Path, text: str) -> Path:
    path = folder / "endpoints.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new", "line", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_refused_with_file_line_and_expectation(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(PolicyFileError) as caught:
        load_registry(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "secret"),
    [
        ("EXAMPLE_API_KEY", "sk-invented-0123456789", "sk-invented"),
        ("https://api.example.com/v1", "https://user:hunter2@api.example.com/v1", "hunter2"),
    ],
    ids=["key in place of its name", "password in the address"],
)
def test_a_secret_written_by_mistake_is_refused_and_not_repeated(tmp_path: Path, old: str, new: str, secret: str) -> None:
    with pytest.raises(PolicyFileError) as caught:
        load_registry(write(tmp_path, GOOD.replace(old, new)))
    assert secret not in str(caught.value)


def test_a_good_registry_says_what_it_says(tmp_path: Path) -> None:
    endpoints = load_registry(write(tmp_path, GOOD))
    outside = endpoints["outside"]
    assert (outside.name, outside.lane, outside.engine, outside.region) == ("outside", Lane.CLOUD, "openai_batch", "eu-west-1")
    assert outside.facts == {"dpa": True, "training_use": False, "retention_days": 30}
    assert outside.settings == {"shard_max_rows": 50000, "timeout_s": 0.5, "strict_schema": True, "batch_url": "hello"}
    assert outside.review_by == date(2027, 5, 31)
    assert (outside.tier, outside.tokens_per_s) == ("large", 2500.0)
    assert (outside.deprecated_on, outside.retires_on) == (date(2026, 12, 1), date(2027, 3, 1))
    assert (endpoints["inside"].tier, endpoints["inside"].tokens_per_s, endpoints["inside"].retires_on) == ("", None, None)
    assert endpoints["inside"].review_by is None


def test_bundled_endpoints() -> None:
    endpoints = load_registry(DEFAULT_REGISTRY)
    assert {"extractive", "vllm", "emulator"} <= endpoints.keys()
    assert endpoints["emulator"].settings == {"emulator": True}
    assert endpoints["emulator"].base_url == ""
    batch = [endpoint for endpoint in endpoints.values() if endpoint.lane is Lane.CLOUD]
    assert batch
    assert all(endpoint.facts.get("baa", False) is False for endpoint in batch), "no batch feature may claim a BAA in the bundled examples"


def test_every_endpoint_pickles_without_the_empty_mapping_proxies(tmp_path: Path) -> None:
    endpoint = load_registry(write(tmp_path, GOOD))["inside"]
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint  # noqa: S301  our own bytes
