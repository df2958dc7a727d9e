"""Secrets: found where registry and job say, refused where others could read or replace them, and shown nowhere."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.errors import JobError
from flows.secret_values import secret_of
from policies.errors import PolicyFileError
from policies.load import DEFAULT_REGISTRY
from policies.registry import load_registry
from sinks.clients.aws import AwsConnection, AwsCredentials
from sinks.clients.connection import OpenAIOptions

CANARY = "sk-quetzalcoatl-7719"
ENDPOINT = load_registry(DEFAULT_REGISTRY)["openai-batch"]


def ask(place: object) -> str:
    return secret_of(str(place), who="endpoint 'x'", job_file=Path("job.yaml"))


def refusal(place: object) -> str:
    """What is said, after a look at everything that a traceback can show."""
    with pytest.raises(JobError) as raised:
        ask(place)
    shown = "".join(traceback.format_exception(raised.value))
    assert CANARY not in shown
    assert raised.value.__cause__ is None
    return str(raised.value)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    path = folder / "provider.key"
    path.write_text(f"{CANARY}\n")
    path.chmod(0o600)
    return path


def test_from_each_place(key: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROVIDER_KEY", CANARY)
    assert ask("PROVIDER_KEY") == CANARY
    assert ask(f"file:{key}") == CANARY
    key.chmod(0o400)
    (tmp_path / "mounted").symlink_to(key.parent)  # as a cluster mounts secrets
    assert ask(f"file:{tmp_path}/mounted/provider.key") == CANARY
    monkeypatch.delenv("PROVIDER_KEY")
    assert refusal("PROVIDER_KEY") == "job.yaml: endpoint 'x' needs its key in the environment variable PROVIDER_KEY; it is not set"


def _open_to_others(key: Path) -> None:
    key.chmod(0o640)


def _in_a_shared_folder(key: Path) -> None:
    key.parent.chmod(0o1777)


def _below_a_shared_folder(key: Path) -> None:
    key.parent.parent.chmod(0o777)


def _a_link_into_a_shared_folder(key: Path) -> None:
    shared = key.parent.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    key.rename(shared / "other.key")
    key.symlink_to(shared / "other.key")


def _a_folder(key: Path) -> None:
    key.unlink()
    key.mkdir()


def _a_pipe(key: Path) -> None:
    key.unlink()
    os.mkfifo(key, 0o600)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_open_to_others, "others can read or change; make it yours and run `chmod 600`"),
        (_in_a_shared_folder, "everybody can write in"),
        (_below_a_shared_folder, "everybody can write in"),
        (_a_link_into_a_shared_folder, "everybody can write in"),
        (_a_folder, "cannot be read (Is a directory)"),
        (_a_pipe, "no file"),
        (lambda key: key.unlink(), "cannot be read (No such file or directory)"),
        (lambda key: key.write_text(""), "one line of visible characters"),
        (lambda key: key.write_text(f"{CANARY}\nX-Header: 1\n"), "one line of visible characters"),
        (lambda key: key.write_bytes(CANARY.encode() + b"\xff"), "one line of visible characters"),
        (lambda key: key.write_text(CANARY * 1000), "one line of visible characters"),
    ],
    ids=["mode", "sticky folder", "shared above", "link", "folder", "pipe", "missing", "empty", "lines", "bytes", "long"],
)
def test_a_file_that_is_no_safe_place(key: Path, spoil: Callable[[Path], object], expected: str) -> None:
    spoil(key)
    assert expected in refusal(f"file:{key}")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CANARY, None),
        ({"key": CANARY}, "something else than a text"),
        (f"{CANARY}\nmore", "one line"),
        (ValueError(CANARY), "(ValueError)"),
    ],
    ids=["text", "table", "lines", "error"],
)
def test_a_prefect_block(answer: object, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.blocks.system import Secret  # noqa: PLC0415 - seconds, for this test alone

    def load(name: str) -> Any:
        assert name == "provider-key"
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(get=lambda: answer)

    monkeypatch.setattr(Secret, "load", load)
    if expected is None:
        assert ask("prefect:provider-key") == CANARY
    else:
        assert expected in refusal("prefect:provider-key")


def test_what_holds_a_secret_does_not_show_it() -> None:
    options = OpenAIOptions.of(ENDPOINT, CANARY)
    credentials = AwsCredentials.of(f"AKIATEST:{CANARY}:{CANARY}", "x")
    connection = AwsConnection(name="x", region="eu-central-1", credentials=credentials)
    assert CANARY not in f"{options!r} {options} {credentials!r} {connection!r} {ENDPOINT!r}"


@pytest.mark.parametrize(
    ("secret", "accepted"),
    [
        ("prefect:openai-key", True),
        ("file:/run/secrets/openai", True),
        ("file:relative/path", False),
        ("file:/with a space", False),
        ("prefect:Upper_Case", False),
        (f"prefect:{CANARY}/x", False),
        (CANARY, False),
        ("vault:x", False),
    ],
)
def test_the_registry_takes_places_and_no_keys(secret: str, accepted: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    text = DEFAULT_REGISTRY.read_text().replace("secret: OPENAI_API_KEY", f"secret: '{secret}'")
    (tmp_path / "r.yaml").write_text(text)
    if accepted:
        assert load_registry(tmp_path / "r.yaml")["openai-batch"].secret == secret
        return
    with pytest.raises(PolicyFileError) as raised:
        load_registry(tmp_path / "r.yaml")
    assert "file:/PATH or prefect:BLOCK" in str(raised.value)
    assert secret not in "".join(traceback.format_exception(raised.value))
