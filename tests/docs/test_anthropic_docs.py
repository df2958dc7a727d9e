"""The entry and the settings that `docs/cloud/anthropic.md` shows are ones that the program takes."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from policies.model import Endpoint
from policies.registry import load_registry
from sinks.errors import EndpointError
from sinks.lanes.anthropic_body import check_settings, setting

PAGE = (Path(__file__).parents[2] / "docs" / "cloud" / "anthropic.md").read_text(encoding="utf-8")
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)`(?:, `\w+`)? \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)}


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    registry = tmp_path / "endpoints.yaml"
    registry.write_text(f"version: 2026-11-22\nendpoints:\n{textwrap.indent(shown, '  ')}", encoding="utf-8")
    return load_registry(registry)["anthropic-batch"]


def test_the_entry_loads(endpoint: Endpoint) -> None:
    check_settings(endpoint)
    assert endpoint.settings == {"prompt_cache": True}


@pytest.mark.parametrize("name", ["structured_output", "thinking", "effort", "api_version"])
def test_the_values_of_a_setting_are_all_there(endpoint: Endpoint, name: str) -> None:
    default, meaning = ROWS[name]
    with pytest.raises(EndpointError) as refused:
        check_settings(replace(endpoint, settings={name: "no such value"}))
    values = re.findall(r"[\w-]+", str(refused.value).partition("expected one of")[2].partition(", found")[0])
    assert all(f"`{value}`" in meaning or f'"{value}"' in meaning + default for value in values)
    assert setting(replace(endpoint, settings={}), name) == (default.strip('`"') if default != "not sent" else "")
