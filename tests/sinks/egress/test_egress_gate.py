"""Attacks on the gate: each is refused with its code, nothing is sent, the refusal is in the ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.egress import pass_gate, redeem
from sinks.errors import GateError, HeadMovedError, LedgerUnavailableError
from sinks.freeze import canonical
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger
from sinks.request import Message, Part
from sinks.shard import ClearedShard, FrozenShard

Edit = Callable[[bytes], bytes]


def refused(scene: Any, shard: FrozenShard, code: str, row: int | None = None, **changes: Any) -> None:
    """Hand over; the gate must stop it with this code, before the lane, and say so in the ledger."""
    before = len(scene.events(Event.SUBMITTING))
    with pytest.raises(GateError) as caught:
        scene.hand_over(shard, **changes)
    assert (caught.value.code, caught.value.row) == (code, row)
    assert scene.lane.handed == scene.provider.uploads == scene.provider.creates == 0
    assert len(scene.events(Event.SUBMITTING)) == before
    noted = scene.events(Event.QUARANTINED)[-1]
    assert (noted["detail_code"], noted["intent_id"]) == (code, shard.intent_id)


def tree_edit(change: Callable[[Any], None]) -> Edit:
    """Edit the second row as JSON and write it canonically again: only the meaning changes."""

    def edit(content: bytes) -> bytes:
        lines = content.split(b"\n")
        tree = json.loads(lines[1])
        change(tree)
        return b"\n".join([lines[0], canonical(tree), *lines[2:]])

    return edit


def second_row(change: Edit) -> Edit:
    def edit(content: bytes) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join([lines[0], change(lines[1]), *lines[2:]])

    return edit


def set_in(*path: Any, value: Any) -> Edit:
    def change(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value

    return tree_edit(change)


def test_an_honest_shard_passes_and_spends_its_clearances(scene: Any) -> None:
    shard = scene.frozen()
    cleared = scene.gate(shard)
    assert cleared.content == shard.path.read_bytes()
    spent = scene.events(Event.SUBMITTING)
    assert [entry["record_id"] for entry in spent] == [row.record_id for row in shard.rows]
    assert [entry["clearance_id"] for entry in spent] == [row.clearance_id for row in shard.rows]
    assert {(entry["intent_id"], entry["endpoint"], entry["lane"], entry["attempt"]) for entry in spent} == {
        (shard.intent_id, "cloud-test", "cloud", 1)
    }
    assert {entry["shard_hmac"] for entry in spent} == {cleared.digest} == {scene.ledger.keys.hmac("shard", cleared.content)}


def test_a_local_shard_passes_the_same_gate(scene: Any, local: Endpoint) -> None:
    shard = scene.frozen(endpoint=local)
    assert scene.gate(shard).row_ids == tuple(row.row_id for row in shard.rows)
    assert {entry["lane"] for entry in scene.events(Event.SUBMITTING)} == {"local"}


MESSAGE = ("body", "messages", 1, "content")


@pytest.mark.parametrize(
    ("edit", "code", "row"),
    [
        pytest.param(set_in(*MESSAGE, 3, "text", value="Bob Marsh lists the parts of a tricycle."), "row_text", 1, id="body edited"),
        pytest.param(set_in(*MESSAGE, 3, "text", value=["x"]), "row_shape", 1, id="text replaced by a list"),
        pytest.param(set_in(*MESSAGE, 1, "text", value="About r-ada"), "row_text", 1, id="another record's part"),
        pytest.param(set_in(*MESSAGE, 3, "text", value="About r-bob"), "row_text", 1, id="own part under another slot"),
        pytest.param(set_in(*MESSAGE, 0, "text", value="Subjekt: "), "row_constant", 1, id="constant edited"),
        pytest.param(set_in("body", "messages", 0, "role", value="user"), "row_constant", 1, id="role changed"),
        pytest.param(set_in("body", "user", value="r-bob"), "row_shape", 1, id="smuggled field"),
        pytest.param(set_in("note", value="x"), "row_shape", 1, id="smuggled field beside the body"),
        pytest.param(set_in(*MESSAGE, 3, "x", value="y"), "row_shape", 1, id="smuggled field deep inside"),
        pytest.param(
            tree_edit(lambda tree: tree["body"]["messages"].append(tree["body"]["messages"][0])), "row_shape", 1, id="message more"
        ),
        pytest.param(tree_edit(lambda tree: tree["body"]["messages"].pop()), "row_shape", 1, id="message less"),
        pytest.param(tree_edit(lambda tree: tree["body"].pop("seed")), "row_shape", 1, id="field less"),
        pytest.param(set_in("body", "model", value="gpt-other"), "row_constant", 1, id="model changed"),
        pytest.param(set_in("url", value="/v1/responses"), "row_constant", 1, id="URL changed"),
        pytest.param(set_in("body", "max_tokens", value=9999), "row_constant", 1, id="number changed"),
        pytest.param(set_in("body", "max_tokens", value=512.0), "row_shape", 1, id="number form 512.0"),
        pytest.param(set_in("body", "seed", value=False), "row_shape", 1, id="false for 0"),
        pytest.param(set_in("custom_id", value="r-bob"), "row_constant", 1, id="record id as row id"),
        pytest.param(second_row(lambda row: row + b" "), "row_not_canonical", 1, id="white space behind"),
        pytest.param(second_row(lambda row: row.replace(b'":', b'": ', 1)), "row_not_canonical", 1, id="white space inside"),
        pytest.param(second_row(lambda row: row.replace(b'"seed":0', b'"seed":0,"seed":0')), "row_not_canonical", 1, id="duplicate key"),
        pytest.param(
            second_row(lambda row: row.replace(b'{"body"', b'{"body":"Ada Quill","body"')),
            "row_not_canonical",
            1,
            id="text under a duplicate key",
        ),
        pytest.param(second_row(lambda row: row.replace(b"0.0", b"0.00")), "row_not_canonical", 1, id="number spelled otherwise"),
        pytest.param(second_row(lambda row: row.replace(b"Bob", b"\\u0042ob")), "row_not_canonical", 1, id="escape spelled otherwise"),
        pytest.param(second_row(lambda row: row.replace(b"Bob", b"\\ud800")), "row_not_canonical", 1, id="lone surrogate"),
        pytest.param(second_row(lambda row: row.replace(b'"seed":0', b'"seed":NaN')), "row_not_canonical", 1, id="NaN"),
        pytest.param(second_row(lambda row: row[:-1]), "row_not_json", 1, id="torn"),
        pytest.param(second_row(lambda _: b"[" * 50_000), "row_not_json", 1, id="nested too deep"),
        pytest.param(second_row(lambda row: b"\xef\xbb\xbf" + row), "row_not_canonical", 1, id="byte order mark"),
        pytest.param(second_row(lambda _: b'"x"'), "row_shape", 1, id="not an object"),
        pytest.param(lambda content: content + b"x", "row_count", None, id="bytes behind the last row"),
        pytest.param(lambda content: content + b"\n", "row_count", None, id="empty line behind"),
        pytest.param(lambda content: content[:-1], "row_count", None, id="last newline missing"),
        pytest.param(lambda content: content.split(b"\n")[0] + b"\n" + content, "row_count", None, id="row twice"),
        pytest.param(lambda content: content.split(b"\n", 1)[1], "row_count", None, id="row missing"),
        pytest.param(lambda _: b"", "row_count", None, id="empty file"),
        pytest.param(
            lambda content: b"\n".join([*reversed(content.split(b"\n")[:2]), *content.split(b"\n")[2:]]),
            "row_constant",
            0,
            id="rows exchanged",
        ),
    ],
)
def test_an_edited_file_is_stopped(scene: Any, edit: Edit, code: str, row: int | None) -> None:
    shard = scene.frozen("r-ada", "r-bob")
    original = shard.path.read_bytes()
    edited = edit(original)
    assert edited != original
    shard.path.write_bytes(edited)
    refused(scene, shard, code, row)


def test_a_link_in_place_of_the_file_is_not_followed(scene: Any, tmp_path: Path) -> None:
    shard = scene.frozen()
    elsewhere = tmp_path / "elsewhere"
    shard.path.rename(elsewhere)
    shard.path.symlink_to(elsewhere)
    refused(scene, shard, "shard_unreadable")


def test_a_vanished_file_is_stopped(scene: Any) -> None:
    shard = scene.frozen()
    shard.path.unlink()
    refused(scene, shard, "shard_unreadable")


def test_the_bytes_sent_are_the_bytes_checked(scene: Any) -> None:
    shard = scene.frozen()
    checked = shard.path.read_bytes()
    cleared = scene.gate(shard)
    shard.path.write_bytes(b"changed after the gate")
    scene.lane.hand_over(cleared)
    assert [content for _, content in scene.provider.files.values()] == [checked]


def forge(shard: FrozenShard, **changes: Any) -> FrozenShard:
    return replace(shard, rows=(replace(shard.rows[0], **changes), *shard.rows[1:]))


def test_a_forged_clearance_is_refused(scene: Any) -> None:
    scene.decide("r-ada")
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada", commit=False)]).shards
    refused(scene, shard, "no_clearance", 0)


def test_an_invented_clearance_id_is_refused(scene: Any) -> None:
    refused(scene, forge(scene.frozen(), clearance_id="0" * 32), "no_clearance", 0)


def test_another_records_clearance_is_refused(scene: Any) -> None:
    shard = scene.frozen("r-ada")
    (other,) = scene.carry("r-bob")
    refused(scene, forge(shard, clearance_id=other.clearance.clearance_id), "no_clearance", 0)


def test_another_records_decision_is_refused(scene: Any) -> None:
    shard = scene.frozen("r-ada")
    scene.carry("r-bob")
    refused(scene, forge(shard, record_id="r-bob"), "intent_id")


def test_parts_that_were_not_scanned_are_refused(scene: Any) -> None:
    item = scene.carry("r-ada")[0]
    parts = {**item.parts, "text": "Unscanned words."}
    forged = replace(item, parts=parts, part_hmacs=scene.ledger.keys.part_hmacs(parts))
    body = canonical(scene.lane.body(scene.prompt.fill(parts), scene.prompt, scene.registry["cloud-test"]))
    clearance = replace(item.clearance, payload_hmac=scene.ledger.keys.hmac("payload", body), payload_bytes=len(body))
    (shard,) = scene.freeze_all([replace(forged, clearance=clearance)]).shards
    refused(scene, shard, "parts_not_scanned", 0)


def test_one_record_twice_in_a_shard_is_refused(scene: Any) -> None:
    item = scene.carry("r-ada")[0]
    (shard,) = scene.freeze_all([item, item]).shards
    refused(scene, shard, "duplicate_record")


def test_an_undecided_record_is_refused(scene: Any) -> None:
    (shard,) = scene.freeze_all([scene.clear("r-ada", commit=False)]).shards
    refused(scene, shard, "no_decision", 0)


def test_a_clearance_is_spent_once(scene: Any) -> None:
    shard = scene.frozen()
    copy = shard.path.read_bytes()
    scene.gate(shard)
    shard.path.write_bytes(copy)
    refused(scene, shard, "clearance_spent", 0)


def test_a_later_decision_voids_a_clearance(scene: Any) -> None:
    shard = scene.frozen()
    scene.decide("r-bob")
    scene.assign("r-bob")
    refused(scene, shard, "clearance_void", 1)


def test_a_later_assignment_elsewhere_stops_the_shard(scene: Any, local: Endpoint) -> None:
    shard = scene.frozen()
    scene.assign("r-cyd", local)
    refused(scene, shard, "not_assigned", 2)


def test_an_assignment_before_the_decision_does_not_count(scene: Any) -> None:
    scene.assign("r-ada")
    scene.decide("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, "not_assigned", 0)


@pytest.mark.parametrize("event", [Event.HELD, Event.COMPLETED, Event.FAILED, Event.RELEASED])
def test_a_record_settled_since_is_refused(scene: Any, event: Event) -> None:
    shard = scene.frozen()
    scene.ledger.commit([Entry(event=event, at=scene.now, run_id=shard.run_id, record_id="r-bob")])
    refused(scene, shard, "record_settled", 1)


def test_a_restricted_record_never_goes_to_the_cloud(scene: Any) -> None:
    scene.decide("r-ada", lanes=("local",), requires=())
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, "lane_not_permitted", 0)


@pytest.mark.parametrize(
    ("requires", "code"),
    [
        pytest.param("baa=true", "facts_missing", id="fact not stated"),
        pytest.param("training_use=true", "facts_missing", id="fact otherwise"),
        pytest.param("baa=perhaps", "requirement_unknown", id="value unknown"),
        pytest.param("blessed=true", "requirement_unknown", id="fact unknown"),
        pytest.param("retention_days=soon", "requirement_unknown", id="not a number"),
    ],
)
def test_a_requirement_that_is_not_met_or_not_understood_is_refused(scene: Any, requires: str, code: str) -> None:
    scene.decide("r-ada", requires=("dpa=true", requires))
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, code, 0)


@pytest.mark.parametrize("review_by", [date(2026, 11, 21), None], ids=["yesterday", "never reviewed"])
def test_expired_facts_are_refused(scene: Any, cloud: Endpoint, review_by: date | None) -> None:
    expired = replace(cloud, review_by=review_by)
    scene.registry[cloud.name] = expired
    refused(scene, scene.frozen(endpoint=expired), "facts_expired", 0)


@pytest.mark.parametrize("retires_on", [date(2026, 11, 21), date(2026, 11, 22)], ids=["yesterday", "today"])
def test_a_retired_model_is_refused(scene: Any, cloud: Endpoint, retires_on: date) -> None:
    retired = replace(cloud, retires_on=retires_on)
    scene.registry[cloud.name] = retired
    refused(scene, scene.frozen(endpoint=retired), "model_retired", 0)


def test_a_model_that_retires_between_clearing_and_sending_is_refused(scene: Any, cloud: Endpoint) -> None:
    retires_on = date(2026, 12, 1)
    retiring = replace(cloud, retires_on=retires_on)
    scene.registry[cloud.name] = retiring
    shard = scene.frozen(endpoint=retiring)
    refused(scene, shard, "model_retired", 0, now=datetime.combine(retires_on, time(0, 1), UTC))
    assert scene.hand_over(shard).state == "submitted", "the day before, it may go"


def test_facts_that_expire_between_clearing_and_sending_are_refused(scene: Any, cloud: Endpoint) -> None:
    assert cloud.review_by is not None
    shard = scene.frozen()
    refused(scene, shard, "facts_expired", 0, now=datetime.combine(cloud.review_by + timedelta(days=1), time(0, 1), UTC))
    assert scene.hand_over(shard).state == "submitted", "the day before, it may go"


def test_a_decision_under_other_rules_than_those_on_disk_lets_nothing_go(scene: Any) -> None:
    refused(scene, scene.frozen(), "rulebook_changed", rulebook="another hash")


def test_a_repair_adds_the_registered_constant_and_nothing_else(scene: Any) -> None:
    registered = replace(scene.prompt, repair="Answer again.")
    assert registered.hash != scene.prompt.hash == replace(scene.prompt, repairing=True).hash
    assert registered.as_repair().hash == registered.hash
    scene.prompt = registered.as_repair()
    scene.start()
    shard = scene.frozen("r-ada")
    scene.prompt = registered
    assert shard.repair
    refused(scene, replace(shard, repair=False), "row_shape", 0)
    shard.path.write_bytes(shard.path.read_bytes().replace(b"Answer again.", b"Answer, Ada!"))
    refused(scene, shard, "row_constant", 0)
    shard.path.write_bytes(shard.path.read_bytes().replace(b"Answer, Ada!", b"Answer again."))
    assert scene.gate(shard).content.count(b"Answer again.") == 1


def test_facts_are_believed_through_their_last_day(scene: Any, cloud: Endpoint) -> None:
    last_day = replace(cloud, review_by=date(2026, 11, 22))
    scene.registry[cloud.name] = last_day
    assert scene.gate(scene.frozen(endpoint=last_day))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base_url": "https://elsewhere.invalid/v1"}, id="URL"),
        pytest.param({"proxy": "http://elsewhere.invalid"}, id="proxy"),
        pytest.param({"model": "gpt-other"}, id="model"),
        pytest.param({"facts": {"dpa": True, "baa": True}}, id="facts"),
        pytest.param({"lane": Lane.LOCAL}, id="lane"),
        pytest.param({"name": "unheard-of"}, id="name"),
    ],
)
def test_an_endpoint_that_is_not_the_registrys_is_refused(scene: Any, cloud: Endpoint, changes: dict[str, Any]) -> None:
    shard = scene.frozen()
    refused(scene, replace(shard, endpoint=replace(cloud, **changes)), "endpoint_not_registered")


def test_a_fact_of_one_is_not_true(scene: Any, cloud: Endpoint) -> None:
    scene.registry[cloud.name] = replace(cloud, facts={"dpa": 1, "training_use": False})  # equal to the shard's, and not the same
    refused(scene, scene.frozen(), "facts_missing", 0)


def test_a_clearance_for_another_endpoint_is_refused(scene: Any, cloud: Endpoint) -> None:
    other = replace(cloud, name="cloud-two")
    scene.registry[other.name] = other
    items = scene.carry("r-ada")
    scene.assign("r-ada", other)
    (shard,) = scene.freeze_all(items, endpoint=other).shards
    refused(scene, shard, "clearance_mismatch", 0)


def test_a_clearance_for_another_attempt_is_refused(scene: Any) -> None:
    items = [replace(item, clearance=replace(item.clearance, attempt=2)) for item in scene.carry("r-ada")]
    (shard,) = scene.freeze_all(items).shards
    refused(scene, shard, "clearance_mismatch", 0)


@pytest.mark.parametrize(
    "changes",
    [{"attempt": 2}, {"run_id": "nightly-2026-11-21"}, {"intent_id": "f" * 32}],
    ids=["attempt", "run", "intent"],
)
def test_the_intent_is_recomputed(scene: Any, changes: dict[str, Any]) -> None:
    shard = replace(scene.frozen(), **changes)
    refused(scene, shard, "row_id" if "intent_id" in changes else "intent_id", 0 if "intent_id" in changes else None)


def test_another_template_than_the_runs_is_refused(scene: Any) -> None:
    scene.prompt = replace(
        scene.prompt, messages=(Message(role="system", parts=(Part(text="Repeat everything."),)), *scene.prompt.messages[1:])
    )
    refused(scene, scene.frozen(), "template_not_registered")


def test_a_run_that_never_started_has_no_template(scene: Any) -> None:
    shard = scene.frozen()
    stranger = Ledger.open(scene.ledger.path.parent / "empty", keys=scene.ledger.keys)
    with pytest.raises(GateError, match="template_not_registered"):
        scene.gate(shard, ledger=stranger)


def test_a_ledger_that_cannot_be_written_sends_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()

    def full(*_args: Any, **_options: Any) -> int:
        raise LedgerUnavailableError("no space left on device")

    monkeypatch.setattr(scene.ledger, "commit", full)
    with pytest.raises(LedgerUnavailableError):
        scene.hand_over(shard)
    assert scene.lane.handed == scene.provider.uploads == scene.provider.creates == 0


def test_a_ledger_that_cannot_be_read_sends_nothing(scene: Any) -> None:
    shard = scene.frozen()
    (scene.ledger.path / "segments").rename(scene.ledger.path / "gone")
    with pytest.raises(Exception, match="ledger"):
        scene.hand_over(shard)
    assert scene.lane.handed == scene.provider.uploads == 0


def test_a_refusal_stands_although_it_cannot_be_written(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = forge(scene.frozen(), clearance_id="0" * 32)

    def full(*_args: Any, **_options: Any) -> int:
        raise LedgerUnavailableError("no space left on device")

    monkeypatch.setattr(scene.ledger, "commit", full)
    with pytest.raises(GateError, match="no_clearance"):
        scene.hand_over(shard)


def test_an_innocent_record_may_go_after_the_refusal_of_its_shard(scene: Any) -> None:
    shard = scene.frozen("r-ada", "r-bob")
    kept = shard.path.read_bytes()
    shard.path.write_bytes(kept + b"x")
    refused(scene, shard, "row_count")
    shard.path.write_bytes(kept)
    assert scene.gate(shard)


def test_refusals_never_quote_text(scene: Any) -> None:
    shard = scene.frozen("r-ada")
    shard.path.write_bytes(shard.path.read_bytes().replace(b"beekeeping", b"burglary"))
    with pytest.raises(GateError) as caught:
        scene.gate(shard)
    assert "burglary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "burglary" not in str(scene.events(Event.QUARANTINED))


def test_facts_read_before_somebody_elses_commit_are_read_again(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    commit = scene.ledger.commit
    heads: list[int | None] = []

    def overtaken(entries: Any, *, expected_head: int | None = None) -> int:
        if expected_head is not None and not heads:
            commit([Entry(event=Event.REVIEWED, at=scene.now, run_id="another-run")])
        heads.append(expected_head)
        return int(commit(entries, expected_head=expected_head))

    monkeypatch.setattr(scene.ledger, "commit", overtaken)
    assert scene.gate(shard)
    assert len(heads) == 2
    assert len(scene.events(Event.SUBMITTING)) == 3


def test_a_decision_that_comes_between_facts_and_commit_stops_the_shard(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen()
    commit = scene.ledger.commit

    def overtaken(entries: Any, *, expected_head: int | None = None) -> int:
        if expected_head is not None:
            monkeypatch.setattr(scene.ledger, "commit", commit)
            scene.decide("r-ada", lanes=("local",))
        return int(commit(entries, expected_head=expected_head))

    monkeypatch.setattr(scene.ledger, "commit", overtaken)
    refused(scene, shard, "lane_not_permitted", 0)


def test_a_gate_that_is_always_overtaken_gives_up_and_sends_nothing(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = scene.frozen("r-ada")
    rounds: list[int | None] = []

    def always_late(_entries: Any, *, expected_head: int | None = None) -> int:
        rounds.append(expected_head)
        raise HeadMovedError("moved")

    monkeypatch.setattr(scene.ledger, "commit", always_late)
    monkeypatch.setattr("sinks.egress.MAX_ROUNDS", 3)
    with pytest.raises(GateError, match="ledger_contended"):
        scene.hand_over(shard)
    assert len(rounds) == 3
    assert scene.lane.handed == 0


def test_of_two_racing_gates_one_wins(scene: Any) -> None:
    shard = scene.frozen()
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def race() -> None:
        ledger = Ledger.open(scene.ledger.path, keys=scene.ledger.keys)
        barrier.wait()
        try:
            scene.gate(shard, ledger=ledger)
            outcomes.append("passed")
        except GateError as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["clearance_spent", "passed"]
    assert len(scene.events(Event.SUBMITTING)) == len(shard.rows)


def test_a_forged_cleared_shard_is_refused_by_the_lane(scene: Any, cloud: Endpoint) -> None:
    forged = ClearedShard(
        intent_id="0" * 32, run_id="r", endpoint=cloud, attempt=1, content=b"{}\n", row_ids=("0" * 12 + "-000000",), digest="0" * 32
    )
    with pytest.raises(GateError, match="not_issued"):
        scene.lane.hand_over(forged)
    assert scene.provider.uploads == 0


def test_a_copied_cleared_shard_is_refused_by_the_lane(scene: Any) -> None:
    cleared = scene.gate(scene.frozen())
    for copy in (replace(cleared), replace(cleared, content=b"other\n")):
        with pytest.raises(GateError, match="not_issued"):
            scene.lane.hand_over(copy)
    assert scene.provider.uploads == 0
    assert scene.lane.hand_over(cleared)


def test_a_cleared_shard_is_used_once(scene: Any) -> None:
    cleared = scene.gate(scene.frozen())
    scene.lane.hand_over(cleared)
    with pytest.raises(GateError, match="not_issued"):
        scene.lane.hand_over(cleared)
    with pytest.raises(GateError, match="not_issued"):
        redeem(cleared)
    assert scene.provider.creates == 1


def test_a_lane_that_hides_text_inside_another_string_is_refused(scene: Any) -> None:
    class Joining(type(scene.lane)):  # type: ignore[misc]
        def body(self, messages: Any, prompt: Any, endpoint: Any) -> dict[str, Any]:
            return {"model": endpoint.model, "input": "".join(part.text for message in messages for part in message.parts)}

    scene.lane = Joining(scene.provider, scene.lane._options)
    with pytest.raises(GateError, match="row_shape"):
        scene.gate(scene.frozen())


def test_the_gate_takes_its_word_from_nobody() -> None:
    """The signature offers no switch that would let a shard through unchecked."""
    import inspect  # noqa: PLC0415

    names = set(inspect.signature(pass_gate).parameters)
    assert names == {"shard", "prompt", "lane", "ledger", "keys", "registry", "now", "actor", "rulebook"}  # the last can only refuse more
