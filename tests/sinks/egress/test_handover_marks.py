"""Looking for a hand-over on servers that keep its marks badly: cut, thrown away, or under names of their own. Nothing is sent in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sinks.shard import FrozenShard


def taken(scene: Any, drop: Callable[[], None]) -> FrozenShard:
    """A hand-over that the provider took, and whose answer was lost."""
    scene.provider.after_create = drop
    shard: FrozenShard = scene.frozen()
    scene.hand_over(shard)
    scene.provider.after_create = lambda: None
    return shard


def show(scene: Any, **changes: Any) -> None:
    scene.provider.jobs["batch_1"] = replace(scene.provider.jobs["batch_1"], **changes)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(lambda _: {}, id="none"),
        pytest.param(lambda _: {"gateway": "a"}, id="others in their place"),
        pytest.param(lambda told: {name: value[:16] for name, value in told.items()}, id="cut"),
        pytest.param(lambda told: {"intent": told["intent"]}, id="no digest"),
    ],
)
def test_a_batch_is_found_whatever_of_its_metadata_is_kept(scene: Any, drop: Callable[[], None], kept: Callable[[Any], Any]) -> None:
    shard = taken(scene, drop)
    show(scene, metadata=kept(scene.provider.jobs["batch_1"].metadata))
    assert scene.recover().adopted == (shard.intent_id,)


@pytest.mark.parametrize("name", ["", "file_1.jsonl", None], ids=["no name", "named by its id", "gone"])
@pytest.mark.parametrize("total", [None, 0, 3], ids=["not counted", "counted later", "counted"])
def test_a_batch_that_shows_nothing_is_never_sent_again(scene: Any, drop: Callable[[], None], name: str | None, total: int | None) -> None:
    shard = taken(scene, drop)
    show(scene, metadata={}, total=total)
    content = scene.provider.files.pop("file_1")[1]
    if name is not None:
        scene.provider.files["file_1"] = (name, content)
    for _ in range(3):
        scene.later(hours=1)
        report = scene.recover()
        assert report.unreachable == (shard.intent_id,)
        assert [reason.endswith("shows no mark; resolve it by hand") for reason in report.reasons] == [True]
    assert (set(scene.states().values()), scene.provider.creates) == ({"ambiguous"}, 1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"total": 7}, id="of another size"),
        pytest.param({"created_at": timedelta(hours=-9)}, id="from before"),
        pytest.param({"metadata": {"team": "harbour"}}, id="on a server that keeps metadata"),
        pytest.param({"name": "theirs.jsonl"}, id="with a name"),
    ],
)
def test_a_batch_of_others_does_not_stand_in_the_way(scene: Any, drop: Callable[[], None], other: dict[str, Any]) -> None:
    scene.provider.before_create = drop
    shard = scene.frozen()
    scene.hand_over(shard)
    changes = dict(other)
    name, moved = changes.pop("name", ""), changes.pop("created_at", timedelta())
    scene.provider.files["file_9"] = (name, b"{}")
    job_id = scene.provider.add("file_9", {}, at=scene.now + moved)
    scene.provider.jobs[job_id] = replace(scene.provider.jobs[job_id], **changes)
    assert scene.recover().waiting == (shard.intent_id,)


@pytest.mark.parametrize("pages", ["paged", "whole each time"])
def test_a_listing_that_does_not_say_whether_it_goes_on_is_read_to_its_end(
    scene: Any, drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch, pages: str
) -> None:
    shard = taken(scene, drop)
    for number in range(5):
        scene.provider.add("file_8", {"intent": f"other-{number}"})
    paged = scene.provider.batch_page
    monkeypatch.setattr(scene.provider, "batch_page", lambda after: (paged(after if pages == "paged" else None)[0], None))
    if pages != "paged":
        scene.provider.listing = lambda jobs: jobs[-2:]
    assert scene.recover().adopted == (shard.intent_id,)
