"""From the names in a job to endpoints of the registry and engines ready to use; starts the bundled emulator where one is meant.

- Addresses, proxies and keys come from the registry and the secrets it names; nothing else in the environment is looked at (invariant 8).
- A scheduled night refuses the emulator unless the job says `unsafe_emulator: true`: nobody should find out in the morning that the cloud
  was a stand-in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.errors import JobError, ScheduleError
from flows.job import Job
from flows.secret_values import secret_of
from flows.strategy_checks import check_strategy
from policies.load import DEFAULT_REGISTRY
from policies.model import EMULATOR, Endpoint, Lane
from sinks.errors import EndpointError
from sinks.lanes import Lane as LaneEngine
from sinks.packing import ShardLimits
from sinks.unshown import results_after

EMULATOR_KEY = "emulator"
EMULATOR_ACCESS_KEY = "EMULATOR:emulator"
NETNS = "netns"
ENGINES = ("anthropic_batch", "bedrock_batch", "extractive", "openai_batch", "openai_compatible", "vllm_offline")
LOGGER = logging.getLogger("waybill")


def choose_endpoints(job: Job, registry: Mapping[str, Endpoint], *, scheduled: bool, isolation: str = "none") -> list[Endpoint]:
    """The endpoints the job names, each in the lane it is named for, in the job's order; those inside first.

    isolation: what the policy demands of engines inside.
    Raises JobError, or ScheduleError for a scheduled emulator.
    """
    local = [_inside(job, registry, name, "lanes.local", isolation) for name in job.lanes.local]
    cloud = [_named(job, registry, name, Lane.CLOUD, "lanes.cloud") for name in job.lanes.cloud or ()]
    check_strategy(job, local)
    emulated = [endpoint.name for endpoint in cloud if endpoint.provider == EMULATOR]
    if emulated and scheduled:
        if not job.unsafe_emulator:
            raise ScheduleError(
                f"{job.at('lanes.cloud')}: {emulated[0]} is the bundled emulator; name a real endpoint, "
                "or for a trial set unsafe_emulator: true"
            )
        LOGGER.warning("unsafe_emulator: the cloud lane of job %s is the bundled emulator", job.name)
    return [*local, *cloud]


def look_endpoint(job: Job, registry: Mapping[str, Endpoint], *, isolation: str = "none") -> Endpoint | None:
    """The endpoint of the job's second look: inside, with a model that follows instructions. Raises JobError."""
    if job.second_look is None:
        return None
    endpoint = _inside(job, registry, job.second_look.endpoint, "second_look.endpoint", isolation)
    if endpoint.engine == "extractive":
        raise JobError(
            f"{job.at('second_look.endpoint')}: {endpoint.name!r} is no model and follows no instructions; "
            "name an endpoint with vllm_offline or openai_compatible"
        )
    return endpoint


def _inside(job: Job, registry: Mapping[str, Endpoint], name: str, key: str, isolation: str) -> Endpoint:
    endpoint = _named(job, registry, name, Lane.LOCAL, key)
    if endpoint.engine == "vllm_offline":
        return _with_engine(endpoint, job, isolation)
    if isolation == NETNS and endpoint.engine != "extractive":  # that one is no model and opens no socket
        raise JobError(
            f"{job.at(key)}: the policy asks for isolation: netns, which a server cannot show; name an endpoint with vllm_offline"
        )
    return endpoint


def _with_engine(endpoint: Endpoint, job: Job, isolation: str) -> Endpoint:
    """The endpoint as the job's `engine` and the policy have it: the policy's isolation cannot be taken back by a job."""
    demanded = NETNS if isolation == NETNS else job.engine.isolation
    chosen = {"lora_path": str(job.engine.lora) if job.engine.lora else None, "isolation": demanded}
    settings = {**endpoint.settings, **{name: value for name, value in chosen.items() if value is not None}}
    return replace(endpoint, model=str(job.engine.model) if job.engine.model else endpoint.model, settings=settings)


def _named(job: Job, registry: Mapping[str, Endpoint], name: str, lane: Lane, key: str) -> Endpoint:
    endpoint = registry.get(name)
    if endpoint is None:
        known = ", ".join(one.name for one in registry.values() if one.lane is lane)
        raise JobError(f"{job.at(key)}: the registry has no endpoint {name!r}; expected one of {known}")
    if endpoint.lane is not lane:
        raise JobError(f"{job.at(key)}: endpoint {name!r} is in the {endpoint.lane} lane; name a {lane} one")
    return endpoint


def check_usable(endpoint: Endpoint, job: Job) -> None:
    """Find out what an endpoint lacks before anything is opened: its engine, its interpreter, its key. Raises JobError."""
    if endpoint.engine not in ENGINES:
        raise _no_engine(endpoint, job)
    if endpoint.engine == "vllm_offline":
        _interpreter(endpoint, job)
    _check_settings(endpoint)
    if endpoint.provider == EMULATOR:
        _delay_s(endpoint, job)
        _faults(endpoint, job)
    secret = _secret(endpoint, job)
    if endpoint.engine == "bedrock_batch" and endpoint.provider != EMULATOR:
        _check_access_key(endpoint, secret)


def start_endpoints(job: Job, endpoints: Sequence[Endpoint], stack: ExitStack) -> list[Endpoint]:
    """Give the emulator its address by starting it; it stops when `stack` closes.

    Its endpoint's settings say how it behaves: `emulator_delay_s` (each batch takes so long at the least), `emulator_faults` (the
    path of a fault plan, see `sinks/emulator/faults.py`).
    """
    from sinks.emulator.process import start_emulator  # noqa: PLC0415 - a job without an emulator does not need it

    started = []
    for endpoint in endpoints:
        if endpoint.provider == EMULATOR and not endpoint.base_url:
            running = stack.enter_context(
                start_emulator(
                    emulator_state(endpoint, job),
                    faults=_faults(endpoint, job),
                    delay_s=_delay_s(endpoint, job),
                    options=_emulated_account(endpoint),
                )
            )
            started.append(replace(endpoint, base_url=running.url_of(endpoint.engine)))
        else:
            started.append(endpoint)
    return started


def emulator_state(endpoint: Endpoint, job: Job) -> Path:
    """Where the stand-in for an endpoint keeps what it received: each has a folder of its own, the first in its lane that of the job."""
    others = {*job.lanes.local[1:], *(job.lanes.cloud or ())[1:]}
    return job.emulator_state.with_name(f"{job.name}@{endpoint.name}") if endpoint.name in others else job.emulator_state


def _emulated_account(endpoint: Endpoint) -> list[str]:
    """Where the emulator of Bedrock finds its S3, and the quota that the endpoint counts on."""
    if endpoint.engine != "bedrock_batch":
        return []
    return ["--s3-url", str(endpoint.settings.get("s3_endpoint_url", "")), "--min-records", str(ShardLimits.of(endpoint).min_rows)]


def _delay_s(endpoint: Endpoint, job: Job) -> float:
    value = endpoint.settings.get("emulator_delay_s", 0.0)
    if not isinstance(value, int | float) or value < 0:
        raise JobError(f"{job.registry}: {endpoint.name}: settings.emulator_delay_s: expected seconds, found {value!r}")
    return float(value)


def _faults(endpoint: Endpoint, job: Job) -> Path | None:
    """The fault plan; a relative path is relative to the registry."""
    value = endpoint.settings.get("emulator_faults")
    if value is None:
        return None
    path = (job.registry or DEFAULT_REGISTRY).parent / str(value)
    if not path.is_file():
        raise JobError(f"{job.registry}: {endpoint.name}: settings.emulator_faults: expected a file, found none at {path}")
    return path


def build_lane(endpoint: Endpoint, job: Job, stages: dict[str, float], stack: ExitStack, *, salt: str) -> LaneEngine:
    """The engine of an endpoint; its connections end with `stack`. salt: keeps the cached prompts of this job apart from others'.

    Raises JobError when this version has none, or its secret is not set.
    """
    if endpoint.engine == "extractive":
        from sinks.lanes.extractive import ExtractiveLane  # noqa: PLC0415 - only the engines in use are imported

        lane: LaneEngine = ExtractiveLane(job.spool)
    elif endpoint.engine == "openai_batch":
        from sinks.clients.connection import OpenAIOptions  # noqa: PLC0415
        from sinks.clients.openai_client import OpenAIBatches  # noqa: PLC0415
        from sinks.lanes.openai_batch import OpenAIBatchLane, OpenAIBatchOptions  # noqa: PLC0415

        job.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = OpenAIBatches(OpenAIOptions.of(endpoint, _secret(endpoint, job)))
        stack.callback(client.close)
        lane = OpenAIBatchLane(client, OpenAIBatchOptions(spool=job.spool, model=endpoint.model))
    elif endpoint.engine == "anthropic_batch":
        lane = _anthropic_lane(endpoint, job, stack)
    elif endpoint.engine == "bedrock_batch":
        lane = _bedrock_lane(endpoint, job, stack)
    elif endpoint.engine == "openai_compatible":
        from sinks.clients.chat_client import ChatServer  # noqa: PLC0415
        from sinks.clients.connection import OpenAIOptions  # noqa: PLC0415
        from sinks.lanes.openai_compatible import OpenAICompatibleLane  # noqa: PLC0415

        served = OpenAICompatibleLane(ChatServer(OpenAIOptions.of(endpoint, _secret(endpoint, job))), job.spool, endpoint, salt=salt)
        stack.callback(served.close)
        lane = served
    elif endpoint.engine == "vllm_offline":
        from sinks.lanes.vllm_offline import VllmOfflineLane  # noqa: PLC0415

        offline = VllmOfflineLane(job.spool, _interpreter(endpoint, job), endpoint)
        stack.callback(offline.close)
        lane = offline
    else:
        raise _no_engine(endpoint, job)
    return _Timed(lane, stages)


def _anthropic_lane(endpoint: Endpoint, job: Job, stack: ExitStack) -> LaneEngine:
    from sinks.clients.anthropic_client import AnthropicBatches  # noqa: PLC0415 - only the engines in use are imported
    from sinks.clients.connection import OpenAIOptions  # noqa: PLC0415
    from sinks.lanes.anthropic_batch import AnthropicBatchLane, AnthropicBatchOptions  # noqa: PLC0415
    from sinks.lanes.anthropic_body import setting  # noqa: PLC0415

    job.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    client = AnthropicBatches(OpenAIOptions.of(endpoint, _secret(endpoint, job)), version=setting(endpoint, "api_version"))
    stack.callback(client.close)
    return AnthropicBatchLane(client, AnthropicBatchOptions(spool=job.spool, model=endpoint.model))


def _bedrock_lane(endpoint: Endpoint, job: Job, stack: ExitStack) -> LaneEngine:
    from sinks.clients.aws import AwsConnection  # noqa: PLC0415 - only the engines in use are imported
    from sinks.clients.bedrock_client import BedrockJobs  # noqa: PLC0415
    from sinks.clients.s3_client import S3Store  # noqa: PLC0415
    from sinks.lanes.bedrock_batch import BedrockBatchLane  # noqa: PLC0415
    from sinks.lanes.bedrock_settings import BedrockSettings  # noqa: PLC0415

    job.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = BedrockSettings.of(endpoint)
    # An emulator without a key of its own takes any, but there must be one to sign with.
    secret = EMULATOR_ACCESS_KEY if endpoint.provider == EMULATOR and not endpoint.secret else _secret(endpoint, job)
    connection = AwsConnection.of(endpoint, secret)
    jobs, store = BedrockJobs(connection, account=settings.account), S3Store(connection, settings.bucket, owner=settings.account)
    stack.callback(jobs.close)
    stack.callback(store.close)
    return BedrockBatchLane(jobs, store, endpoint, job.spool)


def _no_engine(endpoint: Endpoint, job: Job) -> JobError:
    return JobError(f"{job.file}: endpoint {endpoint.name!r} needs the engine {endpoint.engine}, which this version does not have yet")


def _check_settings(endpoint: Endpoint) -> None:
    try:
        ShardLimits.of(endpoint)
        results_after(endpoint)
        if endpoint.engine == "vllm_offline":
            from sinks.lanes.vllm_settings import check_settings  # noqa: PLC0415 - only the engines in use are imported

            check_settings(endpoint)
        elif endpoint.engine == "anthropic_batch":
            from sinks.lanes.anthropic_body import check_settings as check_messages  # noqa: PLC0415 - as above

            check_messages(endpoint)
        elif endpoint.engine == "bedrock_batch":
            from sinks.lanes.bedrock_settings import BedrockSettings  # noqa: PLC0415 - as above

            BedrockSettings.of(endpoint)
        elif endpoint.engine == "openai_compatible":
            from sinks.clients.resolve import networks  # noqa: PLC0415 - as above
            from sinks.lanes.chat_documents import ChatOptions  # noqa: PLC0415

            ChatOptions.of(endpoint, "")
            networks(str(endpoint.settings.get("local_networks", "")))
    except EndpointError as error:
        raise JobError(str(error)) from None


def _check_access_key(endpoint: Endpoint, secret: str) -> None:
    from sinks.clients.aws import AwsConnection  # noqa: PLC0415 - as above

    try:
        AwsConnection.of(endpoint, secret)
    except EndpointError as error:
        raise JobError(str(error)) from None


def _interpreter(endpoint: Endpoint, job: Job) -> Path:
    if "python" in endpoint.settings:
        return Path(str(endpoint.settings["python"]))
    if job.engine.python is None:
        raise JobError(f"{job.at('engine.python')}: endpoint {endpoint.name!r} needs the interpreter of an environment with vLLM")
    return job.engine.python


def _secret(endpoint: Endpoint, job: Job) -> str:
    if not endpoint.secret:
        return EMULATOR_KEY
    return secret_of(endpoint.secret, who=f"endpoint {endpoint.name!r}", job_file=job.file)


class _Timed:
    """A lane whose waiting is counted as inference: what a night spends besides is its own overhead."""

    TIMED = frozenset({"hand_over", "collect", "poll", "find", "discard"})

    def __init__(self, lane: LaneEngine, stages: dict[str, float]) -> None:
        self._lane = lane
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._lane, name)
        return self._counted(member) if name in self.TIMED else member

    def _counted(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.monotonic()
            try:
                answer = method(*args, **kwargs)
                return list(answer) if hasattr(answer, "__next__") else answer
            finally:
                self._stages["inference"] += time.monotonic() - begun

        return call
