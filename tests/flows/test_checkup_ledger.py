"""`waybill doctor --job` on a ledger: whether it is as it was signed, and whether its keys are there; and what a job says that is odd."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.checkup import Check, Health
from flows.checkup_ledger import check_ledger
from flows.job import load_job
from flows.plan_history import history_of
from sinks.errors import KeyMissingError
from sinks.ledger.segments import Ledger
from tests.flows.doctor_lines import findings

NOTE = {"a.txt": "The ferry leaves at nine."}
KEYS = "ledger.keys"


def found(job: Path, out: Path) -> dict[str, Check]:
    return {check.what: check for check in check_ledger(load_job(job, out=out))}


@pytest.fixture
def kept(finished_night: Any, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of a finished night: its job and outputs."""
    folder = Path(shutil.copytree(finished_night.job.parent, tmp_path / "copy"))
    return folder / finished_night.job.name, folder / finished_night.out.name


def other_keys(out: Path) -> None:
    """Those of another ledger."""
    Ledger.open(out / "other")
    shutil.rmtree(out / KEYS)
    (out / "other.keys").rename(out / KEYS)


def other_signing_key(out: Path) -> None:
    Ledger.open(out / "other")
    shutil.copy2(out / "other.keys" / "signing.key", out / KEYS / "signing.key")


def test_a_ledger_that_is_well(kept: tuple[Path, Path]) -> None:
    lines = found(*kept)
    assert {check.health for check in lines.values()} == {Health.GOOD}
    assert list(lines) == ["ledger verify", "keys", "nights", "hand-overs"]
    assert lines["ledger verify"].detail.startswith("intact: ")
    (kept[1] / KEYS / "signing.key.next").write_text("a rotation that was cut short is for a writer to finish")
    assert found(*kept)["keys"].health is Health.GOOD


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda out: shutil.rmtree(out / KEYS), "hmac.key: the ledger is not empty, but its HMAC key is missing"),
        (other_keys, "but the key at hand is"),
        (lambda out: (out / KEYS / "signing.key").unlink(), "its signing key is missing"),
        (other_signing_key, "the ledger is signed by the key"),
    ],
    ids=["gone", "others", "signing key gone", "signed by another"],
)
def test_keys_that_a_night_could_not_go_on_with(*, harm: Callable[[Path], None], words: str, kept: tuple[Path, Path]) -> None:
    job, out = kept
    harm(out)
    lines = found(job, out)
    assert [what for what, check in lines.items() if check.health is Health.BAD] == ["keys"]
    assert words in lines["keys"].detail
    loaded = load_job(job, out=out)
    with pytest.raises(KeyMissingError) as of_a_plan:
        history_of(loaded, reprocess=False)
    with pytest.raises(KeyMissingError) as of_a_night:
        Ledger.open(loaded.ledger.path, keys=loaded.ledger_keys)
    assert str(of_a_plan.value) == str(of_a_night.value) == lines["keys"].detail


@pytest.mark.parametrize("which", [0, 1, -1], ids=["first", "middle", "newest"])
def test_a_byte_at_the_end_of_a_segment(which: int, kept: tuple[Path, Path]) -> None:
    segment = sorted((kept[1] / "ledger" / "segments").glob("*.parquet"))[which]
    segment.chmod(0o640)
    with segment.open("ab") as file:
        file.write(b"\0")
    line = found(*kept)["ledger verify"]
    assert line.health is Health.BAD
    assert segment.name in line.detail
    assert found(*kept)["keys"].health is (Health.DOUBTFUL if which == -1 else Health.GOOD)


def test_only_the_archive_is_left(kept: tuple[Path, Path]) -> None:
    segments = kept[1] / "ledger" / "segments"
    (segments.parent / "archive").mkdir()
    (segments.parent / "archive" / "2026-10.00000001-00000002.parquet").touch()
    shutil.rmtree(segments)
    (line,) = found(*kept).values()
    assert (line.health, "the newest segment is gone" in line.detail) == (Health.BAD, True)


def test_a_job_that_declares_a_class_that_the_policy_does_not_know(make_night: Callable[..., Any], cli: Callable[..., Any]) -> None:
    night = make_night(NOTE)
    declared = "[{glob: 'a*', class: CREDENTIALZ}, {glob: 'b*', class: QUETZAL}, {glob: 'c*', class: PHI}, {glob: 'd*', class: QUETZAL}]"
    night.job.write_text(night.job.read_text().replace("{path: inbox}", f"{{path: inbox, declared: {declared}}}"))
    lines = cli("doctor", "--job", night.job).out.splitlines()
    first, second = [line for line in lines if line[6:].startswith("declared ")]
    assert first.startswith("warn")
    assert "small.yaml:2: source.declared: the policy knows no class CREDENTIALZ" in first
    assert first.endswith("; did you mean CREDENTIALS?")
    assert second.endswith("the policy knows no class QUETZAL, so what is declared so is held as unknown_class; "
                           "add it to the policy, or correct the name")  # fmt: skip
    assert findings(cli("doctor", "--job", make_night(NOTE).job)).keys().isdisjoint({"declared"})


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_empty_source_is_one_line(
    command: str, make_night: Callable[..., Any], cli: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    night = make_night(NOTE)

    def lines() -> list[str]:
        caplog.clear()
        err = cli(command, night.job, "--out", night.out).err
        return [*caplog.messages, *(line.removeprefix("waybill: ") for line in err.splitlines())]  # `run` prints its log itself

    said = f"source is empty: {night.job.parent / 'inbox'}"
    assert command == "run" or said not in lines()
    (night.job.parent / "inbox" / "a.txt").unlink()
    assert lines().count(said) == 1
