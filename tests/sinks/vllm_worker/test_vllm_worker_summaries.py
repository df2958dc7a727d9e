"""Map-reduce, without an engine: one character is one token, the template adds ten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.lanes.vllm_worker.errors import RowError
from sinks.lanes.vllm_worker.summaries import Answer, Call, Work

TEMPLATE = "Summarize:"
LIMIT = 60


def work_on(text: str, *, splits: bool = True, constrained: bool = False) -> Work:
    def render(piece: str | None) -> list[int]:
        return [ord(character) for character in TEMPLATE + (text if piece is None else piece)]

    return Work("row", render=render, limit=LIMIT, text=text if splits else None, constrained=constrained)


def answer(text: str, finish_reason: str = "stop", tokens: int = 4) -> Answer:
    return Answer(text=text, finish_reason=finish_reason, tokens_in=10, tokens_out=tokens, logprob=-float(tokens))


def prompt(call: Call) -> str:
    return "".join(map(chr, call.ids())).removeprefix(TEMPLATE)


def run(work: Work, model: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """The result, and the prompts in the order in which they were asked; the newest is answered first."""
    waiting, asked = work.begin(), []
    while waiting:
        call = waiting.pop()
        asked.append(prompt(call))
        assert len(asked) < 1000
        following = work.take(call, answer(model(asked[-1])))
        if isinstance(following, dict):
            assert not waiting
            return following, asked
        waiting += following
    raise AssertionError("no result")


def test_a_short_text_is_one_call() -> None:
    result, asked = run(work_on("The ferry."), lambda text: text.upper())
    assert asked == ["The ferry."]
    assert result == {
        "row_id": "row",
        "output": "THE FERRY.",
        "finish_reason": "stop",
        "tokens_in": 10,
        "tokens_out": 4,
        "confidence": -1.0,
        "chunks": None,
    }


@pytest.mark.parametrize("logprob", [None, float("-inf"), float("nan")], ids=str)
def test_a_confidence_that_is_no_number_is_left_out(logprob: float | None) -> None:
    work = work_on("The ferry.")
    result = work.take(work.begin()[0], Answer(text="x", finish_reason="stop", tokens_in=1, tokens_out=2, logprob=logprob))
    assert isinstance(result, dict)
    assert (result["output"], result["confidence"]) == ("x", None)


def test_a_long_text_is_summarized_in_order_and_its_chunks_are_kept() -> None:
    text = "First sentence of the text is here. Second sentence of it is here. Third is here, at the end."
    result, asked = run(work_on(text), lambda piece: piece[:6])
    assert result["chunks"] == [(0, 36), (36, 67), (67, 93)]
    assert asked[-1] == "First\n\nSecond\n\nThird"  # answered in another order, joined in the text's
    assert (result["output"], result["tokens_in"], result["tokens_out"], result["confidence"]) == ("First\n", 40, 16, -1.0)


@given(text=st.text(alphabet="ab. \n", max_size=900))
def test_every_text_comes_to_an_end(text: str) -> None:
    if not text.strip():
        return
    result, asked = run(work_on(text), lambda piece: piece.strip()[:9])
    assert result["output"].strip()
    assert all(len(TEMPLATE + piece) <= LIMIT for piece in asked)
    if result["chunks"]:
        assert "".join(text[start:end] for start, end in result["chunks"]) == text


@pytest.mark.parametrize("model", [pytest.param(lambda piece: piece, id="repeats"), pytest.param(lambda piece: piece * 2, id="grows")])
def test_a_model_that_does_not_shorten_is_stopped(model: Callable[[str], str]) -> None:
    with pytest.raises(RowError) as caught:
        run(work_on("One sentence that is longer. " * 20), model)
    assert caught.value.code == "prompt_too_long"


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        pytest.param("x" * 100, False, id="a kind that is not split"),
        pytest.param(" " * 100, True, id="white space"),
    ],
)
def test_what_cannot_be_split_is_too_long(text: str, splits: bool) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(RowError) as caught:
        work_on(text, splits=splits).begin()
    assert caught.value.code == "prompt_too_long"


def test_a_template_over_the_limit_is_too_long() -> None:
    with pytest.raises(RowError) as caught:
        Work("row", render=lambda piece: [0] * (LIMIT + len(piece or "text")), limit=LIMIT, text="text").begin()
    assert caught.value.code == "prompt_too_long"


@pytest.mark.parametrize(
    ("said", "constrained", "code"),
    [
        pytest.param(answer("half", "length"), False, "max_tokens", id="cut"),
        pytest.param(answer(" \n"), False, "empty_output", id="empty"),
        pytest.param(answer("", "error", 0), False, "engine_error", id="engine"),
        pytest.param(answer("", "error", 0), True, "invalid_schema", id="schema that does not compile"),
        pytest.param(answer("{", "abort", 1), True, "engine_error", id="aborted"),
    ],
)
@pytest.mark.parametrize("text", ["short", "A sentence that is repeated. " * 9], ids=["whole", "part"])
def test_an_answer_that_is_none_ends_the_row(said: Answer, constrained: bool, code: str, text: str) -> None:  # noqa: FBT001
    work = work_on(text, constrained=constrained)
    result = work.take(work.begin()[0], said)
    assert isinstance(result, dict)
    assert (result["error_code"], result["tokens_in"], result["tokens_out"]) == (code, 10, said.tokens_out)
    assert "output" not in result
