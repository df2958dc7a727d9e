"""The keys under `lanes`: what they may say, and that a strategy is refused at the start where it could mean nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.errors import JobError
from flows.job import Job, load_job
from flows.lanes import choose_endpoints, emulator_state
from flows.strategy_checks import escalate_below, routed_by
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint
from policies.registry import load_registry
from tests.policies import routing_files

MINIMAL = "name: n\nsource: {path: inbox}\ntask: {kind: summarize}\noutput: out/results\nledger: out/ledger\n"
REGISTRY = load_registry(DEFAULT_REGISTRY)
SERVER = REGISTRY["local-server"]
CALIBRATION = replace(routing_files.CALIBRATION, threshold=0.8, endpoint="local-server")
ROUTER = replace(routing_files.ROUTER, usable=False)


def load(folder: Path, lanes: str, **files: str) -> Job:
    (folder / "inbox").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "job.yaml").write_text(f"{MINIMAL}lanes: {lanes}\ncost_centre: Radiology 7\n")
    return load_job(folder / "job.yaml")


def test_a_name_is_a_list_of_one(tmp_path: Path) -> None:
    job = load(tmp_path, "{local: extractive, cloud: [emulator, spare], strategy: cheapest, quality_floor: medium}")
    assert (job.lanes.local, job.lanes.cloud, job.lanes.named) == (
        ("extractive",),
        ("emulator", "spare"),
        ("extractive", "emulator", "spare"),
    )
    assert (job.lanes.quality_floor, job.cost_centre, routed_by(job)) == ("medium", "Radiology 7", None)
    registry = {**REGISTRY, "spare": replace(REGISTRY["emulator"], name="spare")}
    assert [one.name for one in choose_endpoints(job, registry, scheduled=False)] == ["extractive", "emulator", "spare"]
    assert [emulator_state(registry[name], job).name for name in ("emulator", "spare")] == ["n", "n@spare"]


def test_the_documented_keys_are_keys(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text("utf-8")
    block = page.split("## Job keys")[1].split("```yaml\n")[1].split("```")[0]
    (tmp_path / "inbox").mkdir()
    (tmp_path / "job.yaml").write_text(MINIMAL + block)
    lanes = load_job(tmp_path / "job.yaml").lanes
    assert (len(lanes.named), lanes.strategy, lanes.escalate_below) == (4, "waterfall", 0.8)
    for key, strategy in {"calibration: calibration.json": "waterfall", "router: router.json": "tiered", "complexity: {": "tiered"}.items():
        (line,) = [line.split("# ")[1] for line in block.splitlines() if key in line]
        load(tmp_path, f"{{strategy: {strategy}, {line.strip()}}}", **{"calibration.json": "", "router.json": ""})


@pytest.mark.parametrize(
    ("lanes", "said"),
    [
        pytest.param("{cloud: [emulator, emulator]}", "lanes.cloud: expected different endpoints, found one of them twice", id="twice"),
        pytest.param("{local: []}", "lanes.local: expected the name of an endpoint, or a list of at least one", id="none inside"),
        pytest.param("{strategy: fastest}", "lanes.strategy: expected 'cloud_first', 'local_first', 'tiered'", id="unknown"),
        pytest.param("{strategy: tiered, complexity: {medium_from: 0.9}}", "lanes.complexity: expected medium_from not above", id="order"),
        pytest.param("{escalate_below: 0.5}", "lanes.escalate_below: expected this key with strategy: waterfall only", id="other strategy"),
        pytest.param("{quality_floor: small}", "lanes.quality_floor: expected this key with strategy: tiered or cheapest only", id="floor"),
        pytest.param("{strategy: waterfall}", "lanes.strategy: expected either lanes.escalate_below or lanes.calibration", id="no limit"),
        pytest.param(
            "{strategy: waterfall, escalate_below: 0.5, calibration: c}", "lanes.strategy: expected either lanes.escalate_below", id="both"
        ),
        pytest.param(
            "{strategy: waterfall, escalate_below: 1.5}", "lanes.escalate_below: expected less than or equal to 1", id="no probability"
        ),
        pytest.param("{strategy: waterfall, escalate_below: 0.5, cloud: null}", "lanes.cloud: expected an endpoint, because", id="no way"),
        pytest.param("{strategy: tiered, router: nowhere.json}", "lanes.router: expected a path that exists", id="no router"),
    ],
)
def test_what_the_lanes_may_not_say(lanes: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=rf"job\.yaml:6: {re.escape(said)}"):
        load(tmp_path, lanes, c="{}")


@pytest.mark.parametrize(
    ("lanes", "local", "said"),
    [
        pytest.param("{strategy: waterfall, escalate_below: 0.5}", REGISTRY["extractive"], "reports no confidence", id="no model"),
        pytest.param(
            "{local: local-server, strategy: waterfall, escalate_below: 0.5}",
            replace(SERVER, settings={**SERVER.settings, "logprobs": False}),
            "'local-server' reports no confidence",
            id="a server that gives none",
        ),
        pytest.param("{strategy: tiered, router: router}", REGISTRY["extractive"], "says usable: false", id="a router that won nothing"),
        pytest.param("{strategy: tiered, router: calibration}", REGISTRY["extractive"], "lanes.router: ", id="no router at all"),
        pytest.param(
            "{local: other, strategy: waterfall, calibration: calibration}",
            replace(SERVER, name="other"),
            "is about answers of 'local-server', which is none of lanes.local",
            id="calibrated with another's answers",
        ),
    ],
)
def test_a_strategy_that_could_mean_nothing_is_refused_in_one_line(lanes: str, local: Endpoint, said: str, tmp_path: Path) -> None:
    job = load(tmp_path, lanes, router=ROUTER.text, calibration=CALIBRATION.text)
    with pytest.raises(JobError, match=re.escape(said)) as refused:
        choose_endpoints(job, {**REGISTRY, local.name: local}, scheduled=False)
    assert "\n" not in str(refused.value)
    assert str(job.file) in str(refused.value)


def test_the_ledger_is_told_what_the_strategy_goes_by(tmp_path: Path) -> None:
    calibrated: Any = load(tmp_path, "{local: local-server, strategy: waterfall, calibration: calibration}", calibration=CALIBRATION.text)
    digest = hashlib.sha256((tmp_path / "calibration").read_bytes()).hexdigest()
    assert (escalate_below(calibrated), routed_by(calibrated)) == (0.8, f"calibration:{digest}:0.8")
    plain = load(tmp_path, "{strategy: waterfall, escalate_below: 0.25}")
    assert (escalate_below(plain), routed_by(plain)) == (0.25, "escalate_below:0.25")
