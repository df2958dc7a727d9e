"""Token estimates: what is expected, what cannot be exceeded, and exact counts from a model's own tokenizer.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import Endpoint, Lane
from sinks.errors import EndpointError
from sinks.lanes.anthropic_body import message_body
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.tokenizer_file import LONGEST_PIECE, load_tokenizer
from sinks.tokens import PER_PART, PER_REQUEST, PER_SCHEMA, input_tokens

PROMPT = Prompt(kind=TaskKind.SUMMARIZE, messages=(Message(role="user", parts=(Part(text="Say it briefly:"), Part(slot="text"))),))
LLAMA = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
MERGES = [["h", "e"], ["l", "l"], ["he", "ll"], ["Ġ", "w"], ["1", "2"], ["hell", "o"], ["Ã", "©"]]


def tokenizer(**changes: Any) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": LLAMA}, "behavior": "Isolated", "invert": False}
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    return {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytewise]},
        "model": {"type": "BPE", "vocab": {"Ġworld": 9}, "merges": MERGES, "ignore_merges": True},
    } | changes


def counter(folder: Path, tree: dict[str, Any]) -> Any:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(tree))
    return load_tokenizer(path, endpoint="way-out")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("hello", 1),
        ("hello hello", 1 + 2),  # hello, Ġ, hello: nothing merges the space with it
        ("hello world", 1 + 1),  # in the vocabulary as a whole
        ("hellp", 1 + 1),
        ("12345", 2 + 2),  # cut after three digits: 12 3, 4 5
        ("e\u0301", 1),  # composed by NFC, then two bytes that merge
        ("漢", 3),
        ("x" * (LONGEST_PIECE + 1), LONGEST_PIECE + 1),
    ],
    ids=["nothing", "merged", "space", "whole word", "rest", "digits", "composed", "bytes", "no word"],
)
def test_a_tokenizer_file_counts_exactly(tmp_path: Path, text: str, expected: int) -> None:
    assert counter(tmp_path, tokenizer())(text) == expected


def test_the_oldest_form_of_the_file(tmp_path: Path) -> None:
    """GPT-2's: its own pattern, a space in front, merges as texts."""
    tree = tokenizer(normalizer=None, pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True}, model={
        "type": "BPE", "vocab": {}, "merges": ["h e", "Ġ he", "l l"],
    })  # fmt: skip
    assert counter(tmp_path, tree)("hell it's") == len(["Ġhe", "ll", "Ġ", "i", "t", "'", "s"])


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (tokenizer(normalizer={"type": "Lowercase"}), "a normalizer of type Lowercase is not supported; remove the key"),
        (tokenizer(pre_tokenizer={"type": "Metaspace"}), "does not end in ByteLevel"),
        (tokenizer(model={"type": "Unigram"}), "a model of type Unigram is not supported"),
        (tokenizer(model={"type": "BPE", "merges": [], "vocab": {}, "byte_fallback": True}), "with byte_fallback is not supported"),
        ({"pre_tokenizer": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {}, "merges": ["one two three"]}}, "expected the tok"),
        ([], "expected the tokenizer.json of a byte-level BPE"),
    ],
    ids=["normalizer", "pre-tokenizer", "model", "fallback", "merges", "no object"],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path: Path, tree: Any, expected: str) -> None:
    with pytest.raises(EndpointError, match=r"endpoint way-out: settings.tokenizer: .*tokenizer.json") as refused:
        counter(tmp_path, tree)
    assert expected in str(refused.value)


def test_an_absent_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"expected a readable tokenizer.json"):
        load_tokenizer(tmp_path / "none.json", endpoint="way-out")


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_bound_holds_for_any_text_and_tokenizer(text: str) -> None:
    """No byte-level tokenizer makes more tokens than there are bytes, so neither estimate is below the exact one's bound."""
    rough, exact = input_tokens(PROMPT, {"text": text}), input_tokens(PROMPT, {"text": text}, len)
    assert exact.expected == exact.at_most <= rough.at_most
    assert rough.expected <= rough.at_most


def test_what_is_counted_around_the_parts() -> None:
    alone = input_tokens(PROMPT, {"text": "ab\udcff"})  # a lone surrogate is three bytes
    assert (alone.expected, alone.at_most) == (7 + PER_REQUEST + 2 * PER_PART, 20 + PER_REQUEST + 2 * PER_PART)
    asked = Prompt(kind=TaskKind.EXTRACT, messages=PROMPT.messages, schema={"type": "object", "additionalProperties": False})
    size = len('{"type": "object", "additionalProperties": false}')
    assert input_tokens(asked, {"text": "ab\udcff"}).at_most == alone.at_most + PER_SCHEMA + size
    assert input_tokens(PROMPT, {}).at_most == 15 + PER_REQUEST + PER_PART


def test_a_schema_counts_in_the_longest_form_that_a_lane_writes() -> None:
    """Lists of types are written out where a provider takes none, each with all that lies below it."""
    schema: dict[str, Any] = {"type": ["string", "null"]}
    for _ in range(6):
        schema = {"type": ["object", "array", "null"], "properties": {"inner": schema}, "items": {"type": "string"}}
    endpoint = Endpoint(name="way-out", lane=Lane.CLOUD, engine="anthropic_batch", provider="anthropic", model="claude-haiku-4-5")
    prompt = replace(PROMPT, kind=TaskKind.EXTRACT, schema=schema)
    body = json.dumps(message_body(prompt.fill({"text": "x"}), prompt, endpoint), ensure_ascii=False)
    counted = input_tokens(prompt, {"text": "x"})
    assert len(body) > 5 * len(json.dumps(schema))
    assert counted.at_most >= len(body)
    assert input_tokens(prompt, {"text": "x"}, len).at_most >= len(body)
