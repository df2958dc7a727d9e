"""Templates become constants and slots, and anything done to a record's part is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.errors import RenderError
from flows.job import Job, load_job
from flows.render import load_prompt
from sinks.request import Part, Prompt

SCHEMA = "{type: object, properties: {größe: {type: string}, b: {type: number}}}"


def job_with(tmp_path: Path, template: str | None, *, kind: str = "summarize", source: str = "{path: inbox}") -> Job:
    (tmp_path / "inbox").mkdir(exist_ok=True)
    (tmp_path / "t.csv").write_text("id,text,title\n1,a,b\n")
    extra = ""
    if template is not None:
        (tmp_path / "prompt.j2").write_text(template, "utf-8")
        extra += ", prompt: prompt.j2"
    if kind == "extract":
        extra += f", schema: {SCHEMA}"
    path = tmp_path / "job.yaml"
    path.write_text(f"name: n\nsource: {source}\ntask: {{kind: {kind}{extra}, max_tokens: 77}}\noutput: o/r\nledger: o/l\n", "utf-8")
    return load_job(path)


def prompt_of(tmp_path: Path, template: str, **options: str) -> Prompt:
    return load_prompt(job_with(tmp_path, template, **options))


@pytest.mark.parametrize("kind", ["summarize", "extract"])
def test_built_in_templates(tmp_path: Path, kind: str) -> None:
    prompt = load_prompt(job_with(tmp_path, None, kind=kind))
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.slots == ("text",)
    assert prompt.max_tokens == 77
    assert prompt.hash == load_prompt(job_with(tmp_path, None, kind=kind)).hash


@pytest.mark.parametrize("name", ["summarize.j2", "extract.j2"])
def test_the_example_prompts_are_the_built_in_ones(name: str) -> None:
    root = Path(__file__).parents[2]
    assert (root / "examples" / "prompts" / name).read_bytes() == (root / "flows" / "prompts" / name).read_bytes()


def test_slots_and_constants_are_apart_and_in_order(tmp_path: Path) -> None:
    prompt = prompt_of(tmp_path, "Subject: {{ metadata.subject }}\nFrom: {{ metadata['x-from'] }}\n\n{{ text }}\nEnd.\n")
    (message,) = prompt.messages
    assert message.role == "user"
    assert message.parts == (
        Part(text="Subject: "),
        Part(slot="metadata.subject"),
        Part(text="\nFrom: "),
        Part(slot="metadata.x-from"),
        Part(text="\n\n"),
        Part(slot="text"),
        Part(text="\nEnd."),
    )
    assert prompt.slots == ("metadata.subject", "metadata.x-from", "text")
    assert prompt.constants == ("Subject: ", "\nFrom: ", "\n\n", "\nEnd.")


def test_text_that_looks_like_a_template_stays_text(tmp_path: Path) -> None:
    prompt = prompt_of(tmp_path, "A {{ text }} B")
    (message,) = prompt.fill({"text": "{{ 7 * 7 }} {% raw %}"})
    assert "".join(part.text for part in message.parts) == "A {{ 7 * 7 }} {% raw %} B"


def test_job_values_may_be_used_freely(tmp_path: Path) -> None:
    template = (
        "{% block user %}{% if task.max_tokens > 50 %}Long{% endif %} {{ task.kind|upper }} {{ schema|tojson }}"
        "{% for name in schema.properties %} {{ name }}{% endfor %}: {{ text }}{% endblock %}"
    )
    prompt = prompt_of(tmp_path, template, kind="extract")
    assert prompt.messages[0].parts[0].text == (
        'Long EXTRACT {"type": "object", "properties": {"größe": {"type": "string"}, "b": {"type": "number"}}} größe b: '
    )


def test_an_empty_system_block_gives_no_message(tmp_path: Path) -> None:
    prompt = prompt_of(tmp_path, "{% block system %} {% endblock %}{% block user %}{{ text }}{% endblock %}")
    assert [message.role for message in prompt.messages] == ["user"]


def test_a_slot_may_appear_twice_and_in_a_loop_over_constants(tmp_path: Path) -> None:
    prompt = prompt_of(tmp_path, "{% for n in [1, 2] %}{{ n }}: {{ text }}\n{% endfor %}{{ text }}")
    assert [part.slot for part in prompt.messages[0].parts if part.slot] == ["text", "text", "text"]


@pytest.mark.parametrize(
    "expression",
    [
        "{{ text|upper }}",
        "{{ text|length }}",
        "{{ text|default('x') }}",
        "{{ text ~ 'x' }}",
        "{{ text[0] }}",
        "{{ text.strip() }}",
        "{{ text if 1 else '' }}",
        "{{ 'x' in text }}",
        "{{ [text] }}",
        "{{ text == 'x' }}",
        "{% if text %}x{% endif %}{{ text }}",
        "{% for word in text %}{{ word }}{% endfor %}",
        "{% set x = text %}{{ x }}",
        "{% set text = 'x' %}{{ text }}",
        "{% for text in [1] %}{{ text }}{% endfor %}",
        "{% set x %}{{ text }}{% endset %}{{ x|upper }}",
        "{% filter upper %}{{ text }}{% endfilter %}",
        "{% macro m() %}{{ text }}{% endmacro %}{{ m()|upper }}",
        "{{ metadata.subject|lower }}",
        "{{ metadata }}",
        "{{ metadata[task.kind] }}",
        "{{ metadata.a.b }}",
        "{% if metadata.subject %}x{% endif %}{{ text }}",
        "{% with text='x' %}{{ text }}{% endwith %}",
    ],
)
def test_anything_but_plain_output_is_refused_with_its_line(tmp_path: Path, expression: str) -> None:
    with pytest.raises(RenderError, match=r"prompt\.j2:3: expected .*as they are: no filter, condition, loop or comparison"):
        prompt_of(tmp_path, f"one\ntwo\n{expression}\n")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param("no slot at all", "expected the user message to hold", id="no slot"),
        pytest.param("{% block user %}x{% endblock %}", "expected the user message to hold", id="no slot in user"),
        pytest.param("{{ text }}\n{% include 'other' %}", r":2: expected one self-contained template", id="include"),
        pytest.param("{% extends 'other' %}", "expected one self-contained template", id="extends"),
        pytest.param("{% import 'o' as o %}{{ text }}", "expected one self-contained template", id="import"),
        pytest.param(
            "{% block assistant %}{% endblock %}{{ text }}", "expected the blocks system and user, found assistant", id="other block"
        ),
        pytest.param("{% block user %}{{ text }}{% endblock %}\nlost words", r":2: found text outside", id="text outside of blocks"),
        pytest.param("{{ text }}\n{{ oops }}", "cannot be rendered.*'oops' is undefined", id="unknown name"),
        pytest.param("{{ text }}\n{% if %}", r":2: expected a Jinja2 template", id="syntax"),
        pytest.param("{{ text }}{{ task.prompt }}", "cannot be rendered", id="unknown job value"),
        pytest.param("{{ text }}{{ range(3) }}", "'range' is undefined", id="no globals"),
        pytest.param("{{ text }}{{ [1,2]|random }}", "No filter named 'random'", id="no chance"),
        pytest.param("{{ text }}{{ task.__class__ }}", "cannot be rendered", id="sandbox"),
        pytest.param("{{ metadata['a b'] }}", "expected a metadata name of letters", id="odd slot name"),
        pytest.param(
            "{% block system %}{% endblock %}{% block user %}{{ self.system()|upper }}{{ text }}{% endblock %}", "found self", id="self"
        ),
    ],
)
def test_templates_that_cannot_be_used(tmp_path: Path, template: str, words: str) -> None:
    with pytest.raises(RenderError, match=words):
        prompt_of(tmp_path, template)


def test_a_column_that_the_table_does_not_give_is_refused(tmp_path: Path) -> None:
    source = "{path: t.csv, metadata: [title]}"
    assert prompt_of(tmp_path, "{{ metadata.title }}{{ text }}", source=source).slots == ("metadata.title", "text")
    with pytest.raises(RenderError, match=r"prompt\.j2:1: expected a column named in source\.metadata \(title\), found titel"):
        prompt_of(tmp_path, "{{ metadata.titel }}{{ text }}", source=source)


def test_a_template_that_is_not_utf8(tmp_path: Path) -> None:
    job = job_with(tmp_path, "x")
    (tmp_path / "prompt.j2").write_bytes(b"\xff\xfe{{ text }}")
    with pytest.raises(RenderError, match="UTF-8"):
        load_prompt(job)
