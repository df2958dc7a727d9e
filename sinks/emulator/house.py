"""The emulator put together: stores, clock, fault plan, the three providers and the door in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from sinks.clients.aws import AwsConnection, AwsCredentials
from sinks.clients.s3_client import S3Store
from sinks.emulator.admin import Admin
from sinks.emulator.anthropic_api.manners import AnthropicManners
from sinks.emulator.anthropic_api.provider import AnthropicBatches
from sinks.emulator.anthropic_api.routes import AnthropicRoutes
from sinks.emulator.anthropic_api.wire import batch_object as anthropic_batch
from sinks.emulator.bedrock_api.manners import BedrockManners
from sinks.emulator.bedrock_api.provider import BedrockBatches, Limits
from sinks.emulator.bedrock_api.routes import BedrockRoutes
from sinks.emulator.bedrock_api.wire import job_object as bedrock_job
from sinks.emulator.calls import Handler
from sinks.emulator.catalogue import ANTHROPIC, BEDROCK, OPENAI
from sinks.emulator.chance import Draws
from sinks.emulator.clock import Clock
from sinks.emulator.course import Courses
from sinks.emulator.door import Door, Hang
from sinks.emulator.faults import FaultPlan, read_plan
from sinks.emulator.jobs import JobStore
from sinks.emulator.manners import Manners
from sinks.emulator.openai_api.files import FileStore
from sinks.emulator.openai_api.manners import OpenAIManners
from sinks.emulator.openai_api.provider import Dialect, OpenAIBatches
from sinks.emulator.openai_api.routes import OpenAIRoutes
from sinks.emulator.openai_api.wire import batch_object as openai_batch
from sinks.emulator.receipts import Receipts
from sinks.emulator.s3_door import S3Door, S3Manners
from sinks.errors import EmulatorError, EndpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the providers behave.

    faults: a plan file. delay_s: how long a batch takes at the least, in virtual seconds. quick: answer without work. dialect: how
    the OpenAI side differs from OpenAI. s3_url: where Bedrock's inputs and outputs lie; without it its jobs fail. limits and
    retention: of the Bedrock account.
    """

    faults: Path | None = None
    delay_s: float = 0.0
    quick: bool = False
    dialect: Dialect = field(default_factory=Dialect)
    s3_url: str = ""
    limits: Limits = field(default_factory=Limits)
    retention: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What is to be started: the batches' thread, and the door as an ASGI application."""

    courses: Courses
    door: Door


def build(state: Path, behaviour: Behaviour, hang_up: Hang) -> House:
    """Everything over one state folder."""
    faults, chance = read_plan(behaviour.faults) if behaviour.faults else ((), None)
    plan = FaultPlan(faults, log=state / "injected.jsonl")
    if chance is not None:
        plan.draw_from(Draws.of(chance, state).draw)
    clock, jobs, receipts = Clock(state), JobStore(state), Receipts(state)
    courses = Courses(jobs, plan, clock, receipts, delay_s=behaviour.delay_s, quick=behaviour.quick)
    files = FileStore(state, clock)
    anthropic = AnthropicBatches(state, plan)
    s3 = _s3(behaviour.s3_url)
    bedrock = BedrockBatches(cache(partial(_open_store, s3)), plan, receipts, behaviour.limits)
    jobs.register(OPENAI, openai_batch)
    jobs.register(ANTHROPIC, anthropic_batch)
    jobs.register(BEDROCK, bedrock_job)
    courses.register(OpenAIBatches(files, plan, behaviour.dialect))
    courses.register(anthropic)
    courses.register(bedrock)
    handlers: Mapping[str, Handler] = {
        **OpenAIRoutes(jobs, courses, files, clock, behaviour.dialect).handlers,
        **AnthropicRoutes(jobs, courses, anthropic, clock).handlers,
        **S3Door(s3.s3_endpoint_url if s3 is not None else "").handlers,
        **BedrockRoutes(jobs, courses, clock, behaviour.limits, retention=behaviour.retention).handlers,
    }
    manners: Mapping[str, Manners] = {OPENAI: OpenAIManners(), ANTHROPIC: AnthropicManners(), BEDROCK: BedrockManners(), "s3": S3Manners()}
    admin = Admin(state, clock, plan)
    return House(courses=courses, door=Door(handlers, manners=manners, admin=admin, receipts=receipts, plan=plan, hang_up=hang_up))


def _s3(s3_url: str) -> AwsConnection | None:
    """The S3 endpoint, on this machine: what is sent to a stand-in must not end anywhere else. Like every key here, its key may be any."""
    if not s3_url:
        return None
    credentials = AwsCredentials(key_id="emulator", secret="emulator")  # noqa: S106 - a stand-in's
    try:
        connection = AwsConnection(name="--s3-url", region="us-east-1", credentials=credentials, s3_endpoint_url=s3_url)
    except EndpointError:
        connection = None
    if connection is None or not connection.s3_endpoint_url.startswith("http://"):
        raise EmulatorError("--s3-url: expected http on a loopback address, such as http://127.0.0.1:5000")
    return connection


def _open_store(connection: AwsConnection | None, bucket: str) -> S3Store:
    if connection is None:
        raise EndpointError("the emulator has no S3: start it with --s3-url")
    return S3Store(connection, bucket)
