"""Freezing: the bytes, the names, the limits."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.freeze import canonical, clean_spool, freeze, intent_id_of, payload
from sinks.packing import ShardLimits
from sinks.tokens import input_tokens


def test_a_frozen_file_is_private_and_named_by_its_intent(scene: Any) -> None:
    scene.spool.chmod(0o755)
    shard = scene.frozen()
    assert shard.path == scene.spool / f"{shard.intent_id}.jsonl"
    assert stat.S_IMODE(shard.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(scene.spool.stat().st_mode) == 0o700
    assert [path.name for path in scene.spool.iterdir()] == [shard.path.name]


def test_rows_are_canonical_and_in_order(scene: Any) -> None:
    shard = scene.frozen()
    lines = shard.path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line)["custom_id"] for line in lines] == [f"{shard.intent_id[:12]}-{n:06d}" for n in range(3)]
    assert [row.row_id for row in shard.rows] == [json.loads(line)["custom_id"] for line in lines]
    assert all(canonical(json.loads(line)) == line for line in lines)


def test_no_record_data_in_ids_and_names(scene: Any) -> None:
    shard = scene.frozen()
    for row in shard.rows:
        assert row.record_id not in row.row_id + shard.intent_id + shard.path.name


def test_freezing_again_gives_the_same_bytes(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob")
    (first,) = scene.freeze_all(items).shards
    content = first.path.read_bytes()
    (second,) = scene.freeze_all(items).shards
    assert second == first
    assert second.path.read_bytes() == content


def test_the_payload_is_what_the_clearance_was_given_for(scene: Any, cloud: Endpoint) -> None:
    item = scene.carry("r-cyd")[0]
    body = payload(scene.lane, scene.prompt, cloud, item.parts)
    assert scene.ledger.keys.hmac("payload", body) == item.clearance.payload_hmac
    (shard,) = scene.freeze_all([item]).shards
    assert canonical(json.loads(shard.path.read_bytes().split(b"\n")[0])["body"]) == body


def test_rows_and_bytes_split_shards(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob", "r-cyd")
    by_rows = scene.freeze_all(items, limits=ShardLimits(max_rows=2)).shards
    assert [len(shard.rows) for shard in by_rows] == [2, 1]
    size = max(len(line) + 1 for shard in by_rows for line in shard.path.read_bytes().split(b"\n"))
    by_bytes = scene.freeze_all(items, limits=ShardLimits(max_bytes=size)).shards
    assert [len(shard.rows) for shard in by_bytes] == [1, 1, 1]
    assert all(shard.path.stat().st_size <= size for shard in by_bytes)


def test_a_record_over_the_limit_is_an_error_row_and_the_rest_goes_on(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob")
    long = replace(items[0], parts={**items[0].parts, "text": "x" * 5000})
    frozen = scene.freeze_all([long, items[1]], limits=ShardLimits(max_bytes=2000))
    assert [(item.record_id, item.error_code) for item in frozen.refused] == [("r-ada", "over_limit")]
    assert [row.record_id for shard in frozen.shards for row in shard.rows] == ["r-bob"]


def test_text_that_has_no_bytes_is_an_error_row(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob")
    broken = replace(items[0], parts={**items[0].parts, "text": "half a pair \ud83d"})
    frozen = scene.freeze_all([broken, items[1]])
    assert [(item.record_id, item.error_code) for item in frozen.refused] == [("r-ada", "unencodable_text")]
    assert len(frozen.shards) == 1


def test_equal_texts_of_two_records_have_two_intents(cloud: Endpoint) -> None:
    one, two = (intent_id_of("run", cloud, 1, [(record_id, "same-digest")]) for record_id in ("r-1", "r-2"))
    assert one != two


@pytest.mark.parametrize(
    "changes", [{"run_id": "other"}, {"attempt": 2}, {"rows": [("r-2", "b"), ("r-1", "a")]}], ids=["run", "attempt", "order"]
)
def test_the_intent_names_one_attempt(cloud: Endpoint, changes: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"run_id": "run", "endpoint": cloud, "attempt": 1, "rows": [("r-1", "a"), ("r-2", "b")]}
    assert intent_id_of(**plain) == intent_id_of(**plain)
    assert intent_id_of(**plain) != intent_id_of(**{**plain, **changes})


def test_limits_come_from_the_endpoint_or_are_below_the_providers(cloud: Endpoint) -> None:
    assert ShardLimits.of(cloud) == ShardLimits(max_rows=42_500, max_bytes=170_000_000)
    assert ShardLimits.of(replace(cloud, settings={"shard_max_rows": 7, "shard_max_bytes": 99})) == ShardLimits(max_rows=7, max_bytes=99)


def test_nothing_to_freeze_is_no_shard(scene: Any, cloud: Endpoint) -> None:
    frozen = freeze(
        scene.spool, run_id="r", endpoint=cloud, attempt=1, lane=scene.lane, prompt=scene.prompt, items=[], limits=ShardLimits()
    )
    assert not frozen.shards
    assert not frozen.refused


def test_the_spool_keeps_open_intents_only(scene: Any) -> None:
    shards = scene.freeze_all(scene.carry("r-ada", "r-bob"), limits=ShardLimits(max_rows=1)).shards
    answers = scene.spool / f"{shards[0].intent_id}.out.jsonl"
    answers.write_bytes(b"")
    (scene.spool / ".tmp-half-written").write_bytes(b"")
    strange = scene.spool / "letter.txt"  # as it would be found in an inbox, were the spool a link to it
    strange.write_bytes(b"")
    assert clean_spool(scene.spool, {shards[0].intent_id}) == 2
    assert sorted(scene.spool.iterdir()) == sorted([shards[0].path, answers, strange])


def test_a_shard_never_shows_text(scene: Any) -> None:
    items = scene.carry("r-ada")
    assert "beekeeping" not in repr(items)
    assert "beekeeping" not in repr(scene.freeze_all(items))


def test_too_few_records_for_a_job_are_given_back_unwritten(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob", "r-cyd")
    frozen = scene.freeze_all(items, limits=ShardLimits(max_rows=2, min_rows=2))
    assert [[row.record_id for row in shard.rows] for shard in frozen.shards] == [["r-ada", "r-bob"]]
    assert frozen.short == (items[2],)
    assert [path.name for path in scene.spool.iterdir()] == [frozen.shards[0].path.name]


def test_prompt_tokens_split_shards(scene: Any) -> None:
    items = scene.carry("r-ada", "r-bob", "r-cyd")
    one = max(input_tokens(scene.prompt, item.parts).expected for item in items)
    assert [len(shard.rows) for shard in scene.freeze_all(items, limits=ShardLimits(max_tokens=2 * one)).shards] == [2, 1]
    few = scene.freeze_all(items, limits=ShardLimits(max_tokens=1))
    assert [item.error_code for item in few.refused] == ["over_limit"] * 3


def test_an_endpoints_tokenizer_counts(scene: Any, cloud: Endpoint) -> None:
    options = {"run_id": "run", "endpoint": cloud, "attempt": 1, "lane": scene.lane, "prompt": scene.prompt}
    items = scene.carry("r-ada", "r-bob", "r-cyd")
    frozen = freeze(scene.spool, items=items, limits=ShardLimits(max_tokens=100_000), count=lambda _: 40_000, **options)
    assert [item.error_code for item in frozen.refused] == ["over_limit"] * 3  # four parts each
