"""An edited file at the gate: each change is refused with its code and its row, and nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.errors import GateError
from sinks.freeze import canonical
from sinks.ledger.entry import Event
from tests.sinks.egress.gate_refusals import refused

Edit = Callable[[bytes], bytes]


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


def test_a_lane_that_hides_text_inside_another_string_is_refused(scene: Any) -> None:
    class Joining(type(scene.lane)):  # type: ignore[misc]
        def body(self, messages: Any, prompt: Any, endpoint: Any) -> dict[str, Any]:
            return {"model": endpoint.model, "input": "".join(part.text for message in messages for part in message.parts)}

    scene.lane = Joining(scene.provider, scene.lane._options)
    with pytest.raises(GateError, match="row_shape"):
        scene.gate(scene.frozen())
