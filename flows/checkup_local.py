"""`waybill doctor --lane local`: would the local engine work tonight? Each check is one line with what to do about it.

Nothing here is guessed from a name: the engine's environment is imported in a process of its own, the memory is counted, the network
namespace is made and left, and the model is asked one question, which is a constant and no record.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flows.checkup import Check, Health
from flows.checkup_engine import Machine, probe_engine
from flows.checkup_server import examine_server
from flows.errors import FlowError
from flows.job import Job, load_job
from flows.lanes import NETNS, check_usable, choose_endpoints
from flows.model_folder import ModelFolder, ModelFolderError, adapter_rank, fit, read_model_folder, size
from flows.tokenizers import load_tokenizers
from policies.errors import PolicyError
from policies.model import Endpoint
from policies.registry import load_rulebook
from sinks.errors import EndpointError
from sinks.lanes.vllm_settings import EngineSettings, read_settings

UTILIZATION = 0.92
"""Of each GPU's memory: vLLM's own default."""
FEW_DOCUMENTS = 4
_ISOLATE = (
    "import sys; sys.path.append(sys.argv[1])\n"
    "from vllm_worker.errors import WorkerError\n"
    "from vllm_worker.isolation import isolate\n"
    "try: isolate('netns')\n"
    "except WorkerError as error: sys.exit(str(error))"
)
_LANES = Path(sys.modules[read_settings.__module__].__file__ or "").parent


def examine_local(job_path: Path | None) -> Iterator[Check]:
    """Check the local endpoints of a job; without one, what this machine allows."""
    if job_path is None:
        yield Check(health=Health.DOUBTFUL, what="job", detail="none named; name one with --job to check its engine and model")
        yield _isolation(demanded=False)
        return
    try:
        job = load_job(job_path)
        rules = load_rulebook(job.policy_path, job.registry, job.prices)
        policy, registry = rules.policy, rules.registry
        endpoints = choose_endpoints(_inside_only(job), registry, scheduled=False, isolation=policy.isolation)
    except (FlowError, PolicyError) as error:
        yield Check(health=Health.BAD, what="job", detail=str(error))
        return
    for endpoint in endpoints:
        yield Check(health=Health.GOOD, what="job", detail=f"{job.name}: restricted records go to {endpoint.name} ({endpoint.engine})")
        yield from _endpoint(endpoint, job)


def _endpoint(endpoint: Endpoint, job: Job) -> Iterator[Check]:
    try:
        check_usable(endpoint, job)
        load_tokenizers([endpoint], job)
    except FlowError as error:
        yield Check(health=Health.BAD, what="settings", detail=str(error))
        return
    if endpoint.engine == "vllm_offline":
        yield from _offline(endpoint, job)
    elif endpoint.engine == "openai_compatible":
        yield from examine_server(endpoint, job.file)
    else:
        yield Check(health=Health.GOOD, what="engine", detail=f"{endpoint.engine}: no model, no GPU, no network; nothing to load")


def _inside_only(job: Job) -> Job:
    """The job without its cloud lane, which is not asked about here."""
    return job.model_copy(update={"lanes": job.lanes.model_copy(update={"cloud": None})})


def _offline(endpoint: Endpoint, job: Job) -> Iterator[Check]:
    settings = read_settings(endpoint)
    python = Path(settings.python or str(job.engine.python))
    machine = probe_engine(python, settings.device)
    yield machine.engine
    checks = [
        *([] if machine.engine.health is Health.BAD else [machine.device]),
        *_model(settings, machine),
        _isolation(demanded=settings.isolation == NETNS),
    ]
    yield from checks
    if Health.BAD in {check.health for check in (machine.engine, *checks)}:
        yield Check(health=Health.DOUBTFUL, what="generation", detail="not tried; correct the lines above first")
    else:
        yield _generation(endpoint, python)


def _model(settings: EngineSettings, machine: Machine) -> Iterator[Check]:
    folder = Path(settings.model_path)
    try:
        model = read_model_folder(folder)
        rank = adapter_rank(Path(settings.lora_path)) if settings.lora_path is not None else None
    except ModelFolderError as error:
        yield Check(health=Health.BAD, what="model", detail=str(error))
        return
    about = f"{folder}: {model.architecture}, {size(model.weight_bytes)} of weights"
    quantization = f", {model.quantization}" if model.quantization else ""
    adapter = f", adapter of rank {rank}" if rank is not None else ""
    yield Check(health=Health.GOOD, what="model", detail=f"{about}{quantization}{adapter}")
    if machine.memory:
        yield _memory(model, settings, machine)
    yield _named(
        "tokenizer",
        model.tokenizer,
        "no tokenizer beside the weights; copy tokenizer.json (or tokenizer.model) from where the model is from",
    )
    yield _named(
        "chat template",
        model.chat_template,
        "the model has none: it is a base model, or the copy is not complete; take an instruct model, or add chat_template.jinja",
    )


def _named(what: str, found: str, missing: str) -> Check:
    return Check(health=Health.GOOD if found else Health.BAD, what=what, detail=found or missing)


def _memory(model: ModelFolder, settings: EngineSettings, machine: Machine) -> Check:
    """The arithmetic, in words that can be followed."""
    devices = len(settings.devices[0])
    on_cpu = settings.device == "cpu"
    share = 1.0 if on_cpu else float(settings.engine.get("gpu_memory_utilization", UTILIZATION))
    memory = min(machine.memory)
    need = fit(model, usable=int(memory * share * devices), devices=devices, settings=settings.engine)
    length = settings.engine.get("max_model_len", model.max_model_len)
    times = ("" if on_cpu else f" × {share:g}") + (f" × {devices} GPUs" if devices > 1 else "")
    sum_of = (
        f"{size(memory)}{times} = " if times else ""
    ) + f"{size(need.usable)}, less weights {size(need.weights)} and work space {size(need.activations)}, leaves {size(need.left)}"
    if need.left <= 0:
        remedy = "take a smaller or quantised model" if on_cpu else "take a smaller or quantised model, or more GPUs (gpus_per_replica)"
        return Check(health=Health.BAD, what="memory", detail=f"{sum_of}: too little; {remedy}")
    if not need.document:
        return Check(health=Health.DOUBTFUL, what="memory", detail=f"{sum_of}; what a token takes is not in its config.json")
    each = f"a document of {length:,} tokens takes {size(need.document)} of cache, so {need.documents:,} at once"
    if need.limit is not None:
        each += f" in the {size(need.limit)} of kv_cache_memory_bytes"
    if need.documents == 0:
        return Check(health=Health.BAD, what="memory", detail=f"{sum_of}; {each}: set a smaller max_model_len, or kv_cache_dtype: fp8")
    health = Health.DOUBTFUL if need.documents < FEW_DOCUMENTS else Health.GOOD
    slow = ": slow; a smaller max_model_len or kv_cache_dtype: fp8 would help" if health is Health.DOUBTFUL else ""
    return Check(health=health, what="memory", detail=f"{sum_of}; {each}{slow}")


def _isolation(*, demanded: bool) -> Check:
    """Make the namespace in a process of our own, as the worker does at its start."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-P", "-c", _ISOLATE, str(_LANES)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode == 0:
        detail = "netns: available, and demanded" if demanded else "netns: available; engine.isolation: netns in the job would use it"
        return Check(health=Health.GOOD, what="isolation", detail=detail)
    reason = (done.stderr.strip().splitlines() or ["the probe ended without a word"])[-1]
    return Check(health=Health.BAD if demanded else Health.DOUBTFUL, what="isolation", detail=reason)


def _generation(endpoint: Endpoint, python: Path) -> Check:
    from sinks.lanes.vllm_trial import try_engine  # noqa: PLC0415 - only where there is an engine to try

    with tempfile.TemporaryDirectory(prefix="waybill-doctor-") as spool:
        try:
            trial = try_engine(endpoint, python, Path(spool))
        except EndpointError as error:
            return Check(health=Health.BAD, what="generation", detail=str(error))
    if trial.busy:
        return Check(health=Health.DOUBTFUL, what="generation", detail="not tried: another job's worker has the device; ask again later")
    if trial.result is None:
        return Check(health=Health.BAD, what="generation", detail=trial.reason)
    result = trial.result
    if not result.tokens_out:
        return Check(health=Health.BAD, what="generation", detail=f"the engine loaded and gave no token ({result.error_code}); report this")
    facts = f"{result.revision}, weights {(result.weights_digest or '')[:12]}"
    adapter = f", adapter {result.lora_digest[:12]}" if result.lora_digest else ""
    return Check(
        health=Health.GOOD,
        what="generation",
        detail=f"{result.tokens_out} tokens in {trial.seconds:.0f} s, loading included; {facts}{adapter}",
    )
