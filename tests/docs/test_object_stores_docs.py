"""What `docs/object-stores.md` shows is what a job takes."""

from __future__ import annotations

import re
from pathlib import Path

from flows.job import load_job
from flows.object_stores import SourceAccess

PAGE = (Path(__file__).parents[2] / "docs" / "object-stores.md").read_text(encoding="utf-8")


def test_a_job_may_say_so_and_every_key_has_its_row(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "job.yaml").write_text(f"name: a\ntask: {{kind: summarize}}\noutput: out\nledger: ledger\n{shown}")
    source = load_job(tmp_path / "job.yaml").source
    assert source.path == "s3://acme-claims/inbox/2026"
    assert source.bucket is not None
    assert source.place_of("a/b.txt") == "s3://acme-claims/inbox/2026/a/b.txt"
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))))
    assert set(SourceAccess.model_fields) <= rows
