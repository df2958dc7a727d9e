"""The settings that `docs/detection-settings.md` shows are read as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.job import load_job
from policies.load import DEFAULT_POLICY, parse_policy
from policies.yaml_value import Source

PAGE = (Path(__file__).parents[2] / "docs" / "detection-settings.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```yaml {kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("policy"), ids=lambda block: block.split(":")[0])
def test_a_policy_may_say_so(block: str) -> None:
    policy = parse_policy(Source(name="policy.yaml", data=(DEFAULT_POLICY.read_text(encoding="utf-8") + "\n" + block).encode()))
    assert policy.ner is not None or not policy.participants.counsel.empty


def test_a_job_may_say_so(tmp_path: Path) -> None:
    (block,) = blocks("job")
    (tmp_path / "inbox").mkdir()
    path = tmp_path / "job.yaml"
    path.write_text(f"name: n\n{block}task: {{kind: summarize}}\noutput: o/r\nledger: o/l\n", encoding="utf-8")
    rules = load_job(path).source.declared
    assert [(rule.glob, rule.label is None, rule.data_class) for rule in rules] == [
        ("board/**", True, "TRADE_SECRET"),
        (None, False, "PHI"),
        (None, False, "PRIVILEGED"),
    ]


def test_the_page_shows_every_kind_of_setting() -> None:
    assert len(blocks("policy")) == 3
