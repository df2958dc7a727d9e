"""The job and policy keys in `docs/retention-and-overrides.md` are ones that load."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from flows.job import load_job
from policies.load import load_policy

PAGE = (Path(__file__).parents[2] / "docs" / "retention-and-overrides.md").read_text(encoding="utf-8")
JOB_KEYS, POLICY_KEYS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_job_keys_load(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    job = tmp_path / "job.yaml"
    job.write_text(f"name: mail\nsource: {{path: inbox}}\ntask: {{kind: summarize}}\noutput: results\nledger: ledger\n{JOB_KEYS}")
    loaded = load_job(job)
    assert (loaded.retention.results_days, loaded.retention.spool_days, loaded.retention.remote_days) == (365, 2, 7)
    assert loaded.legal_hold == ("PRIVILEGED", "mail-2026-11-22")


def test_the_policy_keys_load(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        files("policies").joinpath("default.yaml").read_text(encoding="utf-8") + POLICY_KEYS.replace("evidence: complete\n", "")
    )
    lowering = load_policy(policy).lowering
    assert lowering is not None
    assert (lowering.classes, list(lowering.approvers), lowering.max_days) == ({"PHI", "PII"}, ["mara"], 60)
