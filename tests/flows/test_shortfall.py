"""Records too few for a job of their provider: they wait for the next batch, then go elsewhere or are held, and nothing is padded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import flows.shortfall
from flows.night import NightOptions
from flows.nightly import run_night
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY

CLEAN = {f"public/{number}.txt": f"The ferry number {number} leaves from the northern pier every morning." for number in range(5)}


def bedrock(s3_url: str, bucket: str, **settings: int) -> str:
    """A registry with Bedrock's emulator over a real S3."""
    account = {"bucket": bucket, "role_arn": "arn:aws:iam::210987654321:role/batch", "s3_endpoint_url": s3_url}
    chosen = json.dumps({"emulator": True, **account, **settings})
    return (
        DEFAULT_REGISTRY.read_text()
        + f"""
  bedrock-emulator:
    {{lane: cloud, engine: bedrock_batch, provider: emulator, model: extractive-emulator, region: eu-central-1,
     facts: {{dpa: true, training_use: false}}, evidence_link: README.md, review_by: 2099-12-31, settings: {chosen}}}
"""
    )


def test_a_night_over_bedrock_sends_what_is_enough_and_keeps_the_rest_inside(
    make_night: Callable[..., Any], tmp_path: Path, s3_url: str, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket()
    (tmp_path / "endpoints.yaml").write_text(bedrock(s3_url, bucket, shard_min_rows=2))
    night = make_night(extra="registry: endpoints.yaml\nlanes: {cloud: bedrock-emulator}\n")
    report = night.run()
    assert (report["documents"], report["results"], report["held"], report["failed"], report["pending"]) == (8, 7, 1, 0, 0)
    # Of three clean records two are enough for a job; the third goes inside, under the decision that it has.
    assert ask(night, "SELECT endpoint, count(DISTINCT intent_id), count(*) FROM egress GROUP BY 1") == [("bedrock-emulator", 1, 2)]
    moved = "SELECT lane, count(*) FROM entries WHERE event = 'assigned' AND reason = 'below_provider_minimum' GROUP BY 1"
    assert ask(night, moved) == [("local", 1)]
    assert ask(night, "SELECT count(*) FROM entries WHERE event = 'decided' AND data_classes = ['CLEAN']") == [(3,)]
    state = night.out / "emulator" / "small"
    received = [json.loads(line) for line in (state / "received.jsonl").read_text().splitlines()]
    assert [entry["operation"] for entry in received].count("bedrock.jobs.create") == 1
    (read,) = [entry for entry in received if entry["method"] == "S3 GET"]
    assert (state / read["body"]).read_bytes().count(b'"recordId"') == 2
    assert ask(night, "SELECT state FROM entries WHERE event = 'deleted_remote' AND endpoint = 'bedrock-emulator'") == [("deleted_3",)]


def ask(night: Any, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(night.ledger / "ledger.duckdb"), read_only=True) as connection:
        return connection.execute(question).fetchall()


def test_a_rest_below_the_minimum_is_held_where_nothing_else_is_permitted(make_night: Callable[..., Any], tmp_path: Path) -> None:
    policy, clean = DEFAULT_POLICY.read_text(), "  - when: [CLEAN]\n    lanes: [cloud, local]\n"
    assert clean in policy
    (tmp_path / "policy.yaml").write_text(policy.replace(clean, clean.replace(", local", "")))
    changed = json.dumps({"emulator": True, "shard_min_rows": 4, "shard_max_rows": 4})
    (tmp_path / "endpoints.yaml").write_text(DEFAULT_REGISTRY.read_text().replace("settings: {emulator: true}", f"settings: {changed}"))
    night = make_night(documents=CLEAN, extra="registry: endpoints.yaml\npolicy: policy.yaml\n")
    report = night.run()
    assert (report["results"], report["held"]) == (4, 1)
    # Three records waited for the second batch: one job of four, none of three and of two.
    assert ask(night, "SELECT count(DISTINCT intent_id), count(*) FROM egress") == [(1, 4)]
    assert ask(night, "SELECT count(*) FROM entries WHERE event = 'decided'") == [(5,)]
    assert ask(night, "SELECT reason, count(*) FROM held GROUP BY 1") == [("below_provider_minimum", 1)]


@pytest.mark.parametrize(("on_budget", "left"), [("hold", ("held", 5)), ("local", ("inside", 5))])
def test_a_rest_does_not_go_back_to_where_it_was_too_small(
    on_budget: str, left: tuple[str, int], make_night: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint without a minimum whose own limit is reached: its fellow of the lane is the very one that has too few of them."""
    text = DEFAULT_REGISTRY.read_text()
    entry = text[text.index("  emulator:\n") : text.index("  # ----", text.index("  emulator:\n"))].replace("  emulator:", "  large:", 1)
    chosen = json.dumps({"emulator": True, "shard_min_rows": 100})
    (tmp_path / "endpoints.yaml").write_text(text + entry.replace("settings: {emulator: true}", f"settings: {chosen}"))
    (tmp_path / "prices.yaml").write_text(
        "version: 2026-11-22\ncurrency: USD\nprices:\n  - {provider: emulator, models: [extractive-emulator], feature: batch, input: '1',\n"
        "     output: '1', valid_from: 2026-01-01, review_by: 2099-12-31, source: invented}\n"
    )
    keys = ["registry: endpoints.yaml", "prices: prices.yaml", "lanes: {cloud: [large, emulator]}", f"on_budget: {on_budget}"]
    night = make_night(documents=CLEAN, extra="\n".join([*keys, "budget_usd: {endpoints: {emulator: {night: 0}}}"]) + "\n")
    rounds: list[int] = []
    elsewhere = flows.shortfall._elsewhere

    def counted(*given: Any) -> Any:
        rounds.append(1)
        assert len(rounds) < 4, "they come back without end"
        return elsewhere(*given)

    monkeypatch.setattr(flows.shortfall, "_elsewhere", counted)
    report = run_night(NightOptions(job=str(night.job), out=str(night.out)))
    assert (report.held, report.results) == ((5, 0) if left[0] == "held" else (0, 5))
    assert ask(night, "SELECT count(*) FROM egress") == [(0,)]
