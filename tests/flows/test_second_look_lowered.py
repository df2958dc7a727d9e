"""A class that an approver lowered opens the cloud to a record; it must not spare the record the second look."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from detectors.document import Document, Evidence
from flows import second_look
from flows.job_parts import SecondLook
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import Lane, Lowered


@pytest.mark.parametrize(("lowered", "asked"), [(True, ["r-1"]), (False, [])], ids=["lowered", "not lowered"])
def test_a_record_that_an_approver_lowered_is_looked_at(monkeypatch: pytest.MonkeyPatch, *, lowered: bool, asked: list[str]) -> None:
    seen: list[second_look.Asked] = []

    def answers(_: Any, asked: list[second_look.Asked]) -> dict[str, Any]:
        seen.extend(asked)
        return {}

    monkeypatch.setattr(second_look, "answers", answers)
    night = SimpleNamespace(
        job=SimpleNamespace(second_look=SecondLook(endpoint="inside", share=1.0, near=None)),
        policy=load_policy(DEFAULT_POLICY),
        detectors=SimpleNamespace(hash="0" * 64),
        keys=SimpleNamespace(hmac=lambda *_: "00" * 16),
    )
    document = Document(record_id="r-1", text="The recipe of the day.", source="s")
    evidence = Evidence(declared=frozenset({"NPI"}), settled=night.policy.kinds)
    approved = Lowered(data_class="NPI", override_id="o-1", expiry=datetime(2027, 1, 1, tzinfo=UTC))
    (looked,) = second_look.second_look(night, [document], [evidence], {"r-1": (approved,)} if lowered else {})  # type: ignore[arg-type]
    assert [one[0].record_id for one in seen] == asked
    assert all(Lane.CLOUD not in one[2].lanes for one in seen)  # for the look it stays what the evidence says
    assert bool(looked.failures) is lowered  # no answer came: it stays inside
