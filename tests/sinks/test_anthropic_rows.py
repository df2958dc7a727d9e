"""Results of Message Batches: whatever comes back is judged, and a row that is no whole answer is no result."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from sinks.answers import sort_out
from sinks.errors import EndpointError
from sinks.lanes.anthropic_rows import read_row, read_rows
from sinks.lanes.reported import refuse_markup
from sinks.request import Message, Part, Prompt, TaskKind
from sinks.shard import LaneResult

PROMPT = Prompt(kind=TaskKind.SUMMARIZE, messages=(Message(role="user", parts=(Part(slot="text"),)),))


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


USAGE = {"input_tokens": 11, "output_tokens": 7}


def message(*content: dict[str, Any], stop: Any = "end_turn", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    plain = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "stop_sequence": None}
    return {**plain, "content": list(content), "stop_reason": stop, "usage": usage, **more}


def line(result: Any, row_id: Any = "abc-000000") -> bytes:
    return json.dumps({"custom_id": row_id, "result": result}).encode()


def succeeded(*content: dict[str, Any], **more: Any) -> bytes:
    """A line of the SDK's own form."""
    made = line({"type": "succeeded", "message": message(*content, **more)})
    MessageBatchIndividualResponse.model_validate_json(made)
    return made


def errored(kind: str, words: str = "m") -> bytes:
    made = line({"type": "errored", "error": {"type": "error", "request_id": "r", "error": {"type": kind, "message": words}}})
    MessageBatchIndividualResponse.model_validate_json(made)
    return made


def test_a_plain_answer_is_read_in_full() -> None:
    result = read_row(succeeded(text("A summary.")), asked="claude-test")
    assert (result.row_id, result.output, result.error_code, result.finish_reason) == ("abc-000000", "A summary.", None, "end_turn")
    assert (result.model, result.tokens_in, result.tokens_out) == ("claude-test", 11, 7)
    assert (result.tokens_cached, result.tokens_cache_written, result.tokens_cache_written_1h) == (None, None, None)


@pytest.mark.parametrize(
    ("breakdown", "hour"),
    [({"cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}}, 600), ({}, 1000)],
    ids=["broken down", "as asked for"],
)
def test_tokens_in_are_all_that_is_billed(breakdown: dict[str, Any], hour: int) -> None:
    usage = {**USAGE, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 1000, **breakdown}
    result = read_row(succeeded(text("ok"), usage=usage))
    counts = (result.tokens_in, result.tokens_cached, result.tokens_cache_written, result.tokens_cache_written_1h)
    assert counts == (1111, 100, 1000, hour)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": -1, "output_tokens": True}, {"input_tokens": "7"}, [1]], ids=str)
def test_absent_or_absurd_usage_is_unknown(usage: Any) -> None:
    result = read_row(line({"type": "succeeded", "message": message(text("ok"), usage=usage)}))
    assert (result.output, result.tokens_in, result.tokens_out) == ("ok", None, None)


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("end_turn", None),
        ("stop_sequence", None),
        ("max_tokens", "max_tokens"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "prompt_too_long"),
        ("pause_turn", "provider_error"),
    ],
)
def test_only_a_whole_answer_is_a_result(stop: str, code: str | None) -> None:
    result = read_row(succeeded(text("Half of"), stop=stop))
    assert (result.error_code, result.finish_reason) == (code, stop)
    assert result.output == (None if code else "Half of")
    assert (result.tokens_in, result.tokens_out) == (11, 7)  # paid for all the same


@pytest.mark.parametrize(
    ("stop", "finish", "code"), [("bored", "other", "provider_error"), (7, "other", "provider_error"), (None, None, None)]
)
def test_a_reason_nobody_knows_is_no_reason_to_believe_it_whole(stop: Any, finish: str | None, code: str | None) -> None:
    result = read_row(line({"type": "succeeded", "message": message(text("Said."), stop=stop)}))
    assert (result.finish_reason, result.error_code) == (finish, code)


@pytest.mark.parametrize(
    ("blocks", "output"),
    [
        pytest.param([text("One, "), text("two.")], "One, two.", id="two texts"),
        pytest.param([{"type": "thinking", "thinking": "Hm.", "signature": "s"}, text("Said.")], "Said.", id="thinking is not said"),
        pytest.param(
            [text("Here:"), {"type": "tool_use", "id": "t", "name": "extraction", "input": {"kind": "é"}}], '{"kind": "é"}', id="tool"
        ),
        pytest.param([], None, id="nothing"),
        pytest.param([text(" \n")], None, id="white space"),
    ],
)
def test_what_the_model_said(blocks: list[dict[str, Any]], output: str | None) -> None:
    result = read_row(succeeded(*blocks, stop="tool_use" if len(blocks) > 1 and "input" in blocks[1] else "end_turn"))
    assert (result.output, result.error_code) == (output, None if output else "empty_output")


@pytest.mark.parametrize("content", [None, "text", [None, 3, {"type": "text", "text": 5}, {"type": "new_kind"}]], ids=str)
def test_content_in_another_form_is_empty(content: Any) -> None:
    assert read_row(line({"type": "succeeded", "message": {**message(), "content": content}})).error_code == "empty_output"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("invalid_request_error", "bad_request"),
        ("authentication_error", "bad_request"),
        ("permission_error", "bad_request"),
        ("not_found_error", "bad_request"),
        ("rate_limit_error", "rate_limited"),
        ("billing_error", "provider_unavailable"),
        ("timeout_error", "provider_unavailable"),
        ("api_error", "provider_unavailable"),
        ("overloaded_error", "provider_unavailable"),
    ],
)
def test_a_row_that_failed_has_our_code(kind: str, code: str) -> None:
    result = read_row(errored(kind, "quoted document"))
    assert (result.error_code, result.output, result.tokens_in, result.tokens_out) == (code, None, 0, 0)  # it is not billed
    assert "quoted" not in repr(result)


@pytest.mark.parametrize("words", ["prompt is too long: 250000 tokens > 200000 maximum", "input exceeds the context window"])
def test_a_prompt_that_is_too_long_is_told_apart(words: str) -> None:
    assert read_row(errored("invalid_request_error", words)).error_code == "prompt_too_long"
    assert read_row(errored("overloaded_error", words)).error_code == "provider_unavailable"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"type": "canceled"}, "batch_cancelled"),
        ({"type": "expired"}, "batch_expired"),
        ({"type": "deferred"}, "provider_error"),
        ({"type": ["canceled"]}, "provider_error"),
        ({}, "provider_error"),
        (None, "provider_error"),
        ({"type": "errored", "error": {"type": "overloaded_error"}}, "provider_unavailable"),
        ({"type": "errored", "error": "words"}, "provider_error"),
        ({"type": "succeeded"}, "empty_output"),
    ],
    ids=str,
)
def test_rows_that_were_never_run_and_kinds_nobody_knows(result: Any, code: str) -> None:
    assert read_row(line(result)).error_code == code


@pytest.mark.parametrize(
    "torn", [b'{"custom_id": "abc-0', b"[]", b"null", b"{}", b'{"custom_id": 7}', b"\xff\xfe", b"[" * 100_000], ids=len
)
def test_a_line_that_cannot_be_read_has_no_row(torn: bytes) -> None:
    assert read_row(torn) == LaneResult(row_id="", error_code="torn_line")


def test_a_file_with_everything_in_it_is_sorted_out() -> None:
    one = succeeded(text("First\u2028line."))
    two = line({"type": "succeeded", "message": message(text("Second."))}, "abc-000001")
    changed = line({"type": "succeeded", "message": message(text("Another."))}, "abc-000001")
    stranger = line({"type": "expired"}, "zzz-000000")
    three = line({"type": "canceled"}, "abc-000002")
    file = io.BytesIO(b"\xef\xbb\xbf" + b"\r\n".join([three, stranger, two, changed, one, one, b"", one[:40]]))
    answers = sort_out(read_rows(file), ["abc-000000", "abc-000001", "abc-000002", "abc-000003"], PROMPT)
    assert {row_id: result.output for row_id, result in answers.answered.items()} == {"abc-000000": "First\u2028line."}
    assert answers.missing == {"abc-000001": "conflicting_rows", "abc-000002": "batch_cancelled", "abc-000003": "missing_row"}
    assert answers.strays == {"unknown_row": 1, "torn_line": 1}


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"\xef\xbb\xbf\r\n <!DOCTYPE html>"])
def test_a_page_is_no_file_of_results(page: bytes) -> None:
    with pytest.raises(EndpointError, match="a page came"):
        refuse_markup(io.BytesIO(page), "claude")


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\n"])
def test_anything_else_is_read_from_its_beginning(content: bytes) -> None:
    file = io.BytesIO(content)
    refuse_markup(file, "claude")
    assert file.read() == content
