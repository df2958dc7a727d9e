"""A Jinja2 template becomes a Prompt: constants and slots. It is rendered once per job, never per record.

A template may have two blocks, `{% block system %}` and `{% block user %}`; without blocks all of it is the user message.
`{{ text }}` and `{{ metadata.NAME }}` are the record's parts. They go in exactly as they are, because the gate compares what
is sent with what was scanned, string by string (invariant 2): a filter, a condition, a loop or a comparison over them is
refused with the line. `task.max_tokens`, `task.kind` and `schema` are the job's own, and may be used in any way.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from flows.errors import RenderError
from flows.job import Job
from sinks.request import Message, Part, Prompt

ROLES = ("system", "user")
RECORD_NAMES = frozenset({"text", "metadata"})
SLOT_NAME = re.compile(r"text|metadata\.[A-Za-z0-9_.\-]{1,100}")
REFUSED = (
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
)
"""Other templates would be constants that nobody registered."""
REPAIR = (
    "An earlier answer to this request was not valid JSON of the required schema. Answer again, with one JSON object that "
    "validates against the schema, and with nothing else."
)
"""What a request ends with when it is sent once more (`repair: 1` in a job)."""
CHANGES_OUTPUT = (nodes.FilterBlock, nodes.AssignBlock, nodes.CallBlock, nodes.Macro)
"""Statements that can take a slot's output and do something with it."""


def load_prompt(job: Job) -> Prompt:
    """The job's prompt; raises RenderError with template file, line, and what to do."""
    path = job.task.prompt or Path(str(files("flows").joinpath("prompts", f"{job.task.kind}.j2")))
    try:
        source = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise RenderError(f"{path}: expected a readable UTF-8 template; check the path and save the file as UTF-8") from None
    environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.globals.clear()
    environment.filters.pop("random")  # the same job must give the same prompt
    environment.filters["tojson"] = _tojson
    mark = secrets.token_hex(16)
    try:
        tree = environment.parse(source)
        _check(tree, path, _columns(job))
        rendered = _render(environment, tree, source, job, mark)
    except TemplateSyntaxError as error:
        raise RenderError(f"{path}:{error.lineno}: expected a Jinja2 template, found: {error.message}") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise RenderError(f"{path}: the template cannot be rendered: {error}; it may use text, metadata.NAME, task and schema") from None
    messages = tuple(Message(role=role, parts=_split(text, mark, path)) for role, text in rendered.items() if text)
    prompt = Prompt(
        kind=job.task.kind,
        messages=messages,
        schema=job.task.output_schema,
        max_tokens=job.task.max_tokens,
        temperature=job.task.temperature,
        seed=job.task.seed,
        repair=REPAIR if job.repair and job.task.output_schema is not None else "",
        salt_slot=f"metadata.{job.engine.cache_salt}" if job.engine.cache_salt else None,
    )
    if not any(part.slot for message in messages if message.role == "user" for part in message.parts):
        raise RenderError(
            f"{path}: expected the user message to hold {{{{ text }}}} or a metadata value, found none; every answer would be the same"
        )
    return prompt


def _tojson(value: object, indent: int | None = None) -> str:
    """Jinja2's own escapes for HTML, which no model needs to read."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _columns(job: Job) -> frozenset[str] | None:
    """The metadata names that exist, where they are known beforehand: a table has its columns, a folder may hold e-mail too."""
    return frozenset(job.source.metadata) if PurePosixPath(job.source.path).suffix.lower() in {".csv", ".jsonl", ".parquet"} else None


def _render(environment: SandboxedEnvironment, tree: nodes.Template, source: str, job: Job, mark: str) -> dict[str, str]:
    template = environment.from_string(source)
    context = template.new_context(
        {
            "text": f"\x00{mark}:text\x00",
            "metadata": _Metadata(mark),
            "task": SimpleNamespace(kind=str(job.task.kind), max_tokens=job.task.max_tokens),
            "schema": job.task.output_schema,
        }
    )
    if not any(tree.find_all(nodes.Block)):
        return {"user": "".join(template.root_render_func(context)).strip()}
    return {role: "".join(template.blocks[role](context)).strip() for role in ROLES if role in template.blocks}


class _Metadata:
    """Stands for the metadata of any record: every name is a slot."""

    __slots__ = ("_mark",)

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def __getitem__(self, name: str) -> str:
        return f"\x00{self._mark}:metadata.{name}\x00"


def _check(tree: nodes.Template, path: Path, columns: frozenset[str] | None) -> None:
    has_blocks = any(tree.find_all(nodes.Block))
    for node, above in _walk(tree, ()):
        where = f"{path}:{node.lineno}"
        if isinstance(node, REFUSED):
            raise RenderError(f"{where}: expected one self-contained template, found another one being included; copy its text in here")
        if isinstance(node, nodes.Block) and node.name not in ROLES:
            raise RenderError(f"{where}: expected the blocks system and user, found {node.name}")
        if isinstance(node, nodes.Name):
            _check_name(node, above, where)
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and _slot_of(node) is not None:
            _check_slot_name(_slot_of(node) or "", columns, where)
        if has_blocks and isinstance(node, nodes.Output) and not any(isinstance(outer, nodes.Block) for outer in above):
            for item in node.nodes:
                if not (isinstance(item, nodes.TemplateData) and not item.data.strip()):
                    raise RenderError(f"{path}:{item.lineno}: found text outside of the blocks system and user; move it into one of them")


def _check_name(node: nodes.Name, above: tuple[nodes.Node, ...], where: str) -> None:
    if node.name in {"self", "super"}:
        raise RenderError(f"{where}: expected plain text and slots, found {node.name}; write the text where it is needed")
    if node.name not in RECORD_NAMES:
        return
    outer = above[-1]
    slot = node if node.name == "text" else outer
    holder = outer if slot is node else above[-2]
    plain = node.ctx == "load" and isinstance(holder, nodes.Output) and _slot_of(slot) is not None
    if not plain or any(isinstance(statement, CHANGES_OUTPUT) for statement in above):
        raise RenderError(
            f"{where}: expected {{{{ {'text' if slot is node else 'metadata.NAME'} }}}} by itself, found {node.name} inside an expression; "
            "a record's parts go in as they are: no filter, condition, loop or comparison"
        )


def _slot_of(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Name):
        return "text" if node.name == "text" else None
    inner = node.node if isinstance(node, (nodes.Getattr, nodes.Getitem)) else None
    if not isinstance(inner, nodes.Name) or inner.name != "metadata":
        return None
    if isinstance(node, nodes.Getattr):
        return f"metadata.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return f"metadata.{node.arg.value}"
    return None


def _check_slot_name(slot: str, columns: frozenset[str] | None, where: str) -> None:
    name = slot.removeprefix("metadata.")
    if columns is not None and name not in columns:
        raise RenderError(
            f"{where}: expected a column named in source.metadata ({', '.join(sorted(columns)) or 'none'}), found {name}; add it there"
        )
    if not SLOT_NAME.fullmatch(slot):
        raise RenderError(f"{where}: expected a metadata name of letters, digits, '_', '-' and '.', found {name!r}; rename the column")


def _walk(node: nodes.Node, above: tuple[nodes.Node, ...]) -> Iterator[tuple[nodes.Node, tuple[nodes.Node, ...]]]:
    yield node, above
    for child in node.iter_child_nodes():
        yield from _walk(child, (*above, node))


def _split(text: str, mark: str, path: Path) -> tuple[Part, ...]:
    pieces = re.split(f"\x00{mark}:([^\x00]+)\x00", text)
    parts = [Part(slot=piece) if odd % 2 else Part(text=piece) for odd, piece in enumerate(pieces) if piece]
    if any(mark in part.text.lower() or "\x00" in part.text for part in parts):
        raise RenderError(f"{path}: a record's part was changed on its way into the prompt; write it as {{{{ text }}}} by itself")
    return tuple(parts)
