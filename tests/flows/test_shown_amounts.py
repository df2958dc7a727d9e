"""An amount of money is written out in every form, never as 0E-9."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from flows.cli.output import show

TABLE = pa.table({"usd": pa.array([Decimal(0), Decimal("0.000000125"), None], pa.decimal128(18, 9))})


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        ("json", '{"usd": "0.000000000"}\n{"usd": "0.000000125"}\n{"usd": null}\n'),
        ("csv", '"usd"\n"0.000000000"\n"0.000000125"\n\n'),
        ("table", "usd\n───────────\n0.000000000\n0.000000125\n"),
    ],
)
def test_an_amount_is_written_out(tmp_path: Path, fmt: str, expected: str) -> None:
    show(TABLE, fmt, output=tmp_path / "amounts")
    lines = [line.strip() for line in (tmp_path / "amounts").read_text(encoding="utf-8").splitlines()]
    assert lines[: len(expected.splitlines())] == expected.splitlines()
