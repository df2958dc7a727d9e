"""One emulator for a module's tests; faults are planned while it runs, and its time is moved on."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import boto3
import httpx2
import pytest
from moto.server import ThreadedMotoServer

from sinks.emulator.process import RunningEmulator, start_emulator


@dataclass(frozen=True)
class Emulated:
    """A running emulator, and the handles of its own door."""

    running: RunningEmulator
    state: Path

    def plan(self, *faults: dict[str, Any]) -> None:
        assert self.admin("faults", list(faults)) == {"planned": True}

    def admin(self, what: str, asked: object | None = None) -> Any:
        data = None if asked is None else json.dumps(asked).encode()
        request = urllib.request.Request(f"{self.running.root}/_emulator/{what}", data=data)  # noqa: S310 - our own emulator
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return json.loads(answer.read())

    def advance(self, seconds: float) -> None:
        self.admin("clock", {"advance_s": seconds})

    def entries(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / name).read_text().splitlines()]


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, "the emulator did not get there"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool]], None]:
    return wait_for


@pytest.fixture(scope="session")
def make_emulated() -> type[Emulated]:
    return Emulated


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    state = tmp_path_factory.mktemp("emulator")
    with start_emulator(state) as running:
        yield Emulated(running=running, state=state)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """Its batches take thirty hours: longer than the provider gives them."""
    state = tmp_path_factory.mktemp("slow")
    with start_emulator(state, delay_s=30 * 3600) as running:
        yield Emulated(running=running, state=state)


KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "invented", "region_name": "eu-central-1"}
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIATEST/20261122/eu-central-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"
LETTER = "The ferry crosses the river at noon. The river is high, so the ferry waits. Number"


@dataclass
class Driver:
    """One provider over plain HTTP: what the fault tests need of it, in the same words for all three."""

    name: str
    emulated: Emulated
    http: httpx2.Client
    s3: Any
    bucket: str
    ended: frozenset[str]

    def create(self, count: int = 4, token: str = "") -> str:
        return {"openai": self._openai, "anthropic": self._anthropic, "bedrock": self._bedrock}[self.name](count, token)

    def _openai(self, count: int, _token: str) -> str:
        rows = [
            {
                "custom_id": f"row-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": [{"role": "user", "content": f"{LETTER} {number}."}]},
            }
            for number in range(count)
        ]
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        files = {"file": ("intent.jsonl", content)}
        uploaded = self.http.post("/files", files=files, data={"purpose": "batch"}).json()
        asked = {"input_file_id": uploaded["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return str(self.http.post("/batches", json=asked).raise_for_status().json()["id"])

    def _anthropic(self, count: int, _token: str) -> str:
        params = lambda n: {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": f"{LETTER} {n}."}]}  # noqa: E731
        asked = {"requests": [{"custom_id": f"row-{number}", "params": params(number)} for number in range(count)]}
        return str(self.http.post("/batches", json=asked).raise_for_status().json()["id"])

    def _bedrock(self, count: int, token: str) -> str:
        records = [
            {"recordId": f"row-{n}", "modelInput": {"messages": [{"role": "user", "content": [{"text": f"{LETTER} {n}."}]}]}}
            for n in range(count)
        ]
        content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        self.s3.put_object(Bucket=self.bucket, Key="in/rows.jsonl", Body=content)
        asked = {
            "jobName": "night-1",
            "roleArn": "arn:aws:iam::111122223333:role/batch",
            "modelId": "vendor.model-1",
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{self.bucket}/in/rows.jsonl"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{self.bucket}/out/"}},
        } | ({"clientRequestToken": token} if token else {})
        arn = self.http.post("/model-invocation-job", json=asked).raise_for_status().json()["jobArn"]
        return str(arn.rpartition("/")[2])

    def get(self, job_id: str) -> httpx2.Response:
        return self.http.get(f"/model-invocation-job/{job_id}" if self.name == "bedrock" else f"/batches/{job_id}")

    def cancel(self, job_id: str) -> httpx2.Response:
        return self.http.post(f"/model-invocation-job/{job_id}/stop" if self.name == "bedrock" else f"/batches/{job_id}/cancel")

    def listing(self, query: str = "") -> Any:
        return self.http.get(("/model-invocation-jobs" if self.name == "bedrock" else "/batches") + query)

    def ids(self, query: str = "") -> list[str]:
        tree = self.listing(query).raise_for_status().json()
        return [entry["jobArn"].rpartition("/")[2] if self.name == "bedrock" else entry["id"] for entry in self.items(tree)]

    def items(self, tree: Any) -> list[Any]:
        return list(tree["invocationJobSummaries" if self.name == "bedrock" else "data"])

    def state(self, tree: Any) -> str:
        return str(tree["processing_status" if self.name == "anthropic" else "status"])

    def finish(self, job_id: str) -> Any:
        wait_for(lambda: self.state(self.get(job_id).json()) in self.ended)
        return self.get(job_id).json()

    def until_working(self, job_id: str, state: str) -> None:
        wait_for(lambda: self.state(self.get(job_id).json()) == state)

    def counts(self, shown: Any) -> int:
        """How many rows succeeded, as the provider says."""
        if self.name == "bedrock":
            return int(shown["successRecordCount"])
        return int(shown["request_counts"]["completed" if self.name == "openai" else "succeeded"])

    def contents(self, job_id: str) -> dict[str, bytes]:
        """The result files: `output`, and `error` or `manifest`."""
        shown = self.get(job_id).json()
        if self.name == "openai":
            ids = {kind: shown[f"{kind}_file_id"] for kind in ("output", "error")}
            return {kind: self.http.get(f"/files/{file_id}/content").content for kind, file_id in ids.items() if file_id}
        if self.name == "anthropic":
            return {"output": self.http.get(shown["results_url"]).content} if shown["results_url"] else {}
        prefix = f"out/{job_id}/"
        keys = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())]
        names = {"rows.jsonl.out": "output", "manifest.json.out": "manifest"}
        return {names[key.removeprefix(prefix)]: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Driver]]:
    state = tmp_path_factory.mktemp("faults")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    s3_url = "http://{}:{}".format(*server.get_host_and_port())
    s3 = boto3.client("s3", endpoint_url=s3_url, **KEYS)  # type: ignore[call-overload]  # the keys are the same for all services
    bucket = f"faults-{token_hex(6)}"  # the server's buckets are the process's, and other modules have theirs
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    wires = {
        "openai": ("/v1", {"authorization": "Bearer k"}, {"completed", "failed", "expired", "cancelled"}),
        "anthropic": ("/anthropic/v1/messages", {"x-api-key": "k", "anthropic-version": "2023-06-01"}, {"ended"}),
        "bedrock": (
            "/bedrock",
            {"authorization": SIGNED, "x-amz-date": "20261122T000000Z"},
            {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"},
        ),
    }
    with start_emulator(state, options=["--s3-url", s3_url, "--min-records", "1", "--max-jobs", "100"]) as running:
        emulated = Emulated(running=running, state=state)
        found = {
            name: Driver(
                name=name,
                emulated=emulated,
                http=httpx2.Client(base_url=running.root + path, headers=headers, trust_env=False, timeout=30),
                s3=s3,
                bucket=bucket,
                ended=frozenset(ended),
            )
            for name, (path, headers, ended) in wires.items()
        }
        yield found
        for driver in found.values():
            driver.http.close()
    server.stop()


@pytest.fixture(params=["openai", "anthropic", "bedrock"])
def driver(request: pytest.FixtureRequest, drivers: dict[str, Driver]) -> Driver:
    return drivers[request.param]
