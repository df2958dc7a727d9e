"""What the policy demands of engines inside, and what a job's `engine` adds to its endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.errors import JobError
from flows.job import Job, load_job
from flows.lanes import choose_endpoints
from flows.render import load_prompt
from policies.errors import PolicyError
from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY, load_policy
from policies.registry import load_registry
from sinks.request import SALT_ROLE, spoken

REGISTRY = load_registry(DEFAULT_REGISTRY)


def job(folder: Path, local: str, engine: str = "{}", metadata: str = "[]") -> Job:
    (folder / "inbox").mkdir(exist_ok=True)
    (folder / "adapter").mkdir(exist_ok=True)
    path = folder / "job.yaml"
    path.write_text(
        f"name: small\nsource: {{path: inbox, metadata: {metadata}}}\ntask: {{kind: summarize}}\noutput: out\nledger: ledger\n"
        f"lanes: {{local: {local}, cloud: null}}\nengine: {engine}\n"
    )
    return load_job(path)


@pytest.mark.parametrize(
    ("engine", "demanded", "isolation"),
    [
        pytest.param("{}", "none", None, id="nobody asks"),
        pytest.param("{isolation: netns}", "none", "netns", id="the job asks"),
        pytest.param("{}", "netns", "netns", id="the policy asks"),
        pytest.param("{isolation: none}", "netns", "netns", id="a job cannot take it back"),
    ],
)
def test_isolation_is_what_the_stricter_asks(tmp_path: Path, engine: str, demanded: str, isolation: str | None) -> None:
    (chosen,) = choose_endpoints(job(tmp_path, "vllm", engine), REGISTRY, scheduled=False, isolation=demanded)
    assert chosen.settings.get("isolation") == isolation


def test_a_server_cannot_show_that_it_is_isolated(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="isolation: netns, which a server cannot show"):
        choose_endpoints(job(tmp_path, "local-server"), REGISTRY, scheduled=False, isolation="netns")


def test_the_embedded_engine_opens_no_socket_and_needs_no_namespace(tmp_path: Path) -> None:
    (chosen,) = choose_endpoints(job(tmp_path, "extractive"), REGISTRY, scheduled=False, isolation="netns")
    assert chosen.name == "extractive"


def test_the_adapter_is_the_jobs(tmp_path: Path) -> None:
    (chosen,) = choose_endpoints(job(tmp_path, "vllm", "{lora: adapter}"), REGISTRY, scheduled=False)
    assert chosen.settings["lora_path"] == str(tmp_path / "adapter")


def test_the_policy_says_isolation_in_one_word(tmp_path: Path) -> None:
    text = DEFAULT_POLICY.read_text()
    policy = tmp_path / "policy.yaml"
    policy.write_text(text + "\nisolation: netns\n")
    assert load_policy(policy).isolation == "netns"
    assert load_policy(DEFAULT_POLICY).isolation == "none"
    policy.write_text(text + "\nisolation: some\n")
    with pytest.raises(PolicyError, match="isolation: expected"):
        load_policy(policy)


def test_the_salt_is_a_column_and_no_part_of_what_the_model_reads(tmp_path: Path) -> None:
    prompt = load_prompt(job(tmp_path, "vllm", "{cache_salt: matter}", "[matter]"))
    messages = prompt.fill({"text": "A text.", "metadata.matter": "M-7"})
    assert [message.role for message in messages][-1] == SALT_ROLE
    assert "M-7" not in "".join(part.text for message in spoken(messages) for part in message.parts)
    assert prompt.hash != load_prompt(job(tmp_path, "vllm", "{}", "[matter]")).hash


def test_the_salt_must_be_a_column_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"job\.yaml:7: engine\.cache_salt: expected one of the columns"):
        job(tmp_path, "vllm", "{cache_salt: matter}", "[title]")
