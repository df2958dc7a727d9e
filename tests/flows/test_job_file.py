"""The job file: what is accepted, where it points, and how its mistakes are named."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from pathlib import Path

import pytest

from flows.errors import JobError
from flows.job import load_job
from sinks.request import TaskKind

MINIMAL = """\
name: night
source: {path: inbox}
task: {kind: summarize}
output: out/results
ledger: out/ledger
"""
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, "utf-8")
    return path


def test_minimal_job_has_the_documented_defaults(folder: Path) -> None:
    job = load_job(write(folder, MINIMAL))
    assert job.task.kind is TaskKind.SUMMARIZE
    assert (job.lanes.local, job.lanes.cloud, job.lanes.strategy) == (("extractive",), ("emulator",), "cloud_first")
    assert (job.batch_size, job.timezone, job.on_ambiguous, job.schedule, job.limit) == (1000, "UTC", "resubmit", None, None)
    assert job.source.max_document_bytes == 256 * 1024 * 1024
    assert (job.unsafe_emulator, job.reprocess) == (False, False)
    assert job.policy_path.parts[-2:] == ("policies", "default.yaml")


def test_dollars_are_what_the_file_says(folder: Path) -> None:
    budget = load_job(write(folder, MINIMAL + "budget_usd: {night: 19.99, month: '300.10'}\n")).budget
    assert (budget.night, budget.month) == (Decimal("19.99"), Decimal("300.10"))
    assert not load_job(write(folder, MINIMAL)).budget.limited
    single = load_job(write(folder, MINIMAL + "budget_usd: {endpoints: {emulator: {month: 7.5}}}\non_budget: stop\n"))
    assert (list(single.budget.of_all()), single.on_budget) == ([("emulator", "month", Decimal("7.5"))], "stop")


def test_paths_are_relative_to_the_job_file(folder: Path) -> None:
    job = load_job(write(folder, MINIMAL))
    assert job.source.root == folder / "inbox"
    assert job.output == folder / "out" / "results"
    assert job.ledger.path == folder / "out" / "ledger"
    assert job.ledger_keys == folder / "out" / "ledger.keys"
    assert job.spool == folder / "out" / "spool" / "night"
    assert job.emulator_state == folder / "out" / "emulator" / "night"
    assert job.file == folder / "job.yaml"


def test_out_gathers_everything_in_one_folder(folder: Path, tmp_path: Path) -> None:
    text = MINIMAL.replace("ledger: out/ledger", "ledger: {path: out/ledger, keys: elsewhere}")
    job = load_job(write(folder, text), out=tmp_path / "scratch")
    places = (job.output, job.ledger.path, job.ledger_keys, job.spool, job.emulator_state)
    assert [place.relative_to(tmp_path / "scratch").as_posix() for place in places] == [
        "results",
        "ledger",
        "ledger.keys",
        "spool/night",
        "emulator/night",
    ]


def test_out_makes_output_and_ledger_optional(folder: Path) -> None:
    text = MINIMAL.replace("output: out/results\nledger: out/ledger\n", "")
    assert load_job(write(folder, text), out=folder / "x").output == folder / "x" / "results"
    with pytest.raises(JobError, match="ledger: expected this key"):
        load_job(write(folder, text))


def test_hash_follows_the_bytes_of_the_file(folder: Path) -> None:
    first = load_job(write(folder, MINIMAL)).hash
    assert load_job(write(folder, MINIMAL)).hash == first
    assert load_job(write(folder, MINIMAL + "# a remark\n")).hash != first
    assert len(first) == 64


def test_job_survives_pickling_and_a_changed_copy(folder: Path) -> None:
    job = load_job(write(folder, MINIMAL))
    again = pickle.loads(pickle.dumps(job))  # noqa: S301 - our own bytes
    assert (again, again.hash, again.file) == (job, job.hash, job.file)
    assert job.model_copy(update={"limit": 5}).hash == job.hash


@pytest.mark.parametrize(
    ("change", "line", "key", "words"),
    [
        pytest.param(("name: night", "name: Night Job"), 1, "name", "1 to 40 small letters, digits and hyphens, such as", id="name"),
        pytest.param(("name: night", "name: night\nbatchsize: 3"), 2, "batchsize", "did you mean batch_size", id="unknown key"),
        pytest.param(
            ("output:", "outptu:"), 4, "outptu: found an unknown key; did you mean output?", "(and 1 more)", id="unknown before missing"
        ),
        pytest.param(("{path: inbox}", "{path: 's3://b/p'}"), 2, "source.path", "bucket name of 3 to 63", id="short bucket name"),
        pytest.param(("{path: inbox}", "inbox"), 2, "source", "expected a mapping; found 'inbox'", id="no mapping"),
        pytest.param(("name: night", "name:"), 1, "name", "expected a text; found nothing", id="no name"),
        pytest.param(
            ("{path: inbox}", "{path: inbox, glob: x}"), 2, "source.glob", "expected one of path, id, text", id="unknown inner key"
        ),
        pytest.param(("{path: inbox}", "{path: attic}"), 2, "source.path", "expected a path that exists", id="missing source"),
        pytest.param(("{path: inbox}", "{path: 's3://bucket/key'}"), 2, "source", "/.aws; found a mapping with path", id="object store"),
        pytest.param(("{path: inbox}", "{}"), 2, "source.path", "expected this key", id="missing key"),
        pytest.param(("kind: summarize", "kind: poem"), 3, "task.kind", "found 'poem'", id="unknown task"),
        pytest.param(("kind: summarize", "kind: extract"), 3, "task.schema", "expected a JSON Schema", id="extract without schema"),
        pytest.param(("kind: summarize", "kind: summarize, schema: {}"), 3, "task.schema", "expected no schema", id="schema for summarize"),
        pytest.param(("kind: summarize", "kind: summarize, prompt: no.j2"), 3, "task.prompt", "no.j2", id="missing prompt"),
        pytest.param(("kind: summarize", "kind: summarize, max_tokens: many"), 3, "task.max_tokens", "found 'many'", id="number as word"),
        pytest.param(("kind: summarize", "kind: summarize, max_tokens: true"), 3, "task.max_tokens", "found True", id="number as truth"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nschedule: nightly"), 6, "schedule", "cron", id="bad cron"),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nschedule: '0 2 * * * *'"), 6, "schedule", "five cron fields", id="six fields"
        ),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nschedule: '61 2 * * *'"), 6, "schedule", "cron", id="minute 61"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\ntimezone: Mars/Base"), 6, "timezone", "found 'Mars/Base'", id="timezone"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nbatch_size: 0"), 6, "batch_size", "found 0", id="batch size 0"),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nbatch_size: 100001"), 6, "batch_size", "100000", id="batch size too large"
        ),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\non_ambiguous: retry"), 6, "on_ambiguous", "'hold'", id="closed list"),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nunsafe_emulator: 1"), 6, "unsafe_emulator", "found 1", id="truth as number"
        ),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\ngroup: no-such-group-here"), 6, "group", "group of this machine", id="group"
        ),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {}"), 6, "budget_usd", "night, month, endpoints", id="no budget"
        ),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {night: -1}"), 6, "budget_usd.night", "found -1", id="debt"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {month: .inf}"), 6, "budget_usd.month", "finite", id="no end"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {day: 1}"), 6, "budget_usd.day", "unknown key", id="a day"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\non_cloud_failure: cloud"), 6, "on_cloud_failure", "'hold'", id="on cloud"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\non_local_failure: hold"), 6, "on_local_failure", "'wait'", id="on local"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nrepair: 2"), 6, "repair", "0 or 1", id="repairs"),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\nrepair: true"), 6, "repair", "expected 0 or 1", id="repair yes"),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: 20"), 6, "budget_usd", "write budget_usd: {night: 20}", id="one sum"
        ),
        pytest.param(("ledger: out/ledger", "ledger: out/ledger\non_budget: sell"), 6, "on_budget", "'hold' or 'stop'", id="on budget"),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\non_budget: stop"), 6, "on_budget", "expected budget_usd beside it", id="no limit"
        ),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {endpoints: {elsewhere: {night: 1}}}"),
            6,
            "budget_usd.endpoints.elsewhere",
            "an endpoint of lanes.cloud (emulator)",
            id="a limit of nobody",
        ),
        pytest.param(
            ("ledger: out/ledger", "ledger: out/ledger\nbudget_usd: {endpoints: {emulator: {}}}"),
            6,
            "budget_usd.endpoints.emulator",
            "night, month, or both",
            id="no limit of one",
        ),
        pytest.param(("ledger: out/ledger", "ledger: inbox/ledger"), 5, "ledger", "outside source.path", id="ledger inside the source"),
        pytest.param(("output: out/results", "output: inbox/results"), 4, "output", "outside source.path", id="output inside the source"),
        pytest.param(
            ("ledger: out/ledger", "ledger: {path: out/l, keys: out/l/k}"), 5, "ledger.keys", "outside the ledger", id="keys in ledger"
        ),
        pytest.param(("ledger: out/ledger", "ledger: out/results/l"), 4, "output", "separate folders", id="ledger in results"),
        pytest.param(("name: night", "name: night\nname: day"), 2, "name", "found it twice", id="duplicate key"),
        pytest.param(("name: night", "name: [night"), 2, "", "expected YAML, found a fault: expected ',' or ']'", id="no YAML"),
        pytest.param(("name: night", "name: %night"), 1, "", "expected YAML, found character '%' that cannot start", id="a strange start"),
        pytest.param(
            ("name: night", "name: \x00"), 1, "", "expected YAML, found a fault: unacceptable character", id="a control character"
        ),
        pytest.param(("name: night", f"name: {'[' * 2000}"), 1, "", "nesting that is too deep", id="too deep"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(folder: Path, change: tuple[str, str], line: int, key: str, words: str) -> None:
    path = write(folder, MINIMAL.replace(*change))
    with pytest.raises(JobError) as caught:
        load_job(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {key}"), message
    assert words in message
    assert "\n" not in message


def test_declared_classes_are_checked(folder: Path) -> None:
    good = MINIMAL.replace("{path: inbox}", "{path: inbox, declared: [{glob: 'board/**', class: TRADE_SECRET}]}")
    assert load_job(write(folder, good)).source.declared[0].data_class == "TRADE_SECRET"
    with pytest.raises(JobError, match=r"source\.declared\.0\.class: expected a data class in capitals"):
        load_job(write(folder, good.replace("TRADE_SECRET", "secret")))


def test_a_webhook_is_not_repeated_in_the_message(folder: Path) -> None:
    with pytest.raises(JobError, match="expected an http or https URL") as caught:
        load_job(write(folder, MINIMAL + "alerts: {webhook: 'ftp://token-5511@host'}\n"))
    assert "token-5511" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_schema_from_a_file(folder: Path, suffix: str) -> None:
    (folder / f"fields{suffix}").write_text(json.dumps(SCHEMA), "utf-8")
    job = load_job(write(folder, MINIMAL.replace("kind: summarize", f"kind: extract, schema: fields{suffix}")))
    assert job.task.output_schema == SCHEMA


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        pytest.param(
            "{type: object, properties: {a: {type: nonsense}}}",
            r"task\.schema\.properties\.a\.type: expected a JSON Schema",
            id="not a schema",
        ),
        pytest.param("{type: array}", "expected `type: object`", id="no columns"),
        pytest.param("{type: object, properties: {}}", "at least one entry", id="no properties"),
        pytest.param(
            "{type: object, properties: {a: {$ref: 'http://example.com/s'}}}", "reference inside this schema", id="remote reference"
        ),
        pytest.param("{type: object, properties: {a: {const: 2026-01-01}}}", "values that JSON can hold", id="a date"),
        pytest.param("[1]", "expected a mapping; found a list", id="a list"),
        pytest.param("missing.json", "expected a path that exists", id="missing file"),
        pytest.param("broken.json", "found a mistake at line 2", id="broken JSON"),
    ],
)
def test_schema_mistakes_are_found_at_load(folder: Path, schema: str, words: str) -> None:
    (folder / "broken.json").write_text('{"type":\n object}', "utf-8")
    with pytest.raises(JobError, match=words):
        load_job(write(folder, MINIMAL.replace("kind: summarize", f"kind: extract, schema: {schema}")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "expected a mapping .* found nothing$", id="empty"),
        pytest.param(b"- a\n", "expected a mapping .* found a list$", id="list"),
        pytest.param(b"Dear Hana,\n", "expected a mapping .* found a text$", id="a letter"),
        pytest.param(b"name: \xff\n", "expected UTF-8", id="not UTF-8"),
        pytest.param(b"a: &x {b: *x}\n", "plain tree", id="contains itself"),
        pytest.param(b"? [1]\n: 2\n", "expected a name as key", id="structure as key"),
    ],
)
def test_files_that_are_no_job(folder: Path, content: bytes, words: str) -> None:
    (folder / "job.yaml").write_bytes(content)
    with pytest.raises(JobError, match=words):
        load_job(folder / "job.yaml")


def test_missing_job_file(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="expected a readable file"):
        load_job(tmp_path / "none.yaml")


def test_several_mistakes_are_counted(folder: Path) -> None:
    with pytest.raises(JobError, match=r":1: name: .*\(and 1 more\)"):
        load_job(write(folder, MINIMAL.replace("night", "Night", 1) + "batch_size: 0\n"))
