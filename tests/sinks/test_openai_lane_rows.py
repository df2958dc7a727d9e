"""Result lines of the OpenAI API and its relatives."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from sinks.lanes.openai_rows import read_row, read_rows


def completion(**message: Any) -> dict[str, Any]:
    return {
        "model": "gpt-test",
        "system_fingerprint": "fp_1a2b",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def line(body: Any, *, status: int = 200, error: Any = None, row_id: Any = "abc-000000") -> bytes:
    response = None if body is None else {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "x", "custom_id": row_id, "response": response, "error": error}).encode()


def test_a_plain_answer_is_read_in_full() -> None:
    result = read_row(line(completion(content="A summary.")), asked="gpt-test")
    assert (result.row_id, result.output, result.error_code, result.finish_reason) == ("abc-000000", "A summary.", None, "stop")
    assert (result.model, result.revision, result.tokens_in, result.tokens_out) == ("gpt-test", "fp_1a2b", 11, 7)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("gpt-test", True),
        ("gpt-test-2024-08-06", True),
        ("gpt-test-20240806", True),
        ("gpt-test-0125-preview", True),
        ("gpt-test-latest", True),
        ("gpt-test-Jane-Roe", False),
        ("gpt-test-536-22-8145", False),
        ("gpt-tester", False),
        ("536-22-8145/Jane.Roe", False),
        ("", False),
        (7, False),
    ],
    ids=str,
)
def test_a_model_is_the_one_that_was_asked_for_or_is_not_told(said: Any, *, kept: bool) -> None:
    body = {**completion(content="ok"), "model": said}
    assert read_row(line(body), asked="gpt-test").model == (said if kept else None)
    assert next(read_rows([line(body)], asked="gpt-test")).model == (said if kept else None)
    assert read_row(line(body, error={"code": "server_error"}), asked="gpt-test").model == (said if kept else None)
    assert read_row(line(body)).model is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("fp_44709d6fcb", True),
        ("fp_ollama", True),
        ("b4012-a1b2c3d4", True),
        ("vllm-0.10.2", True),
        ("fp_1", False),
        ("fp_Jane_Roe", False),
        ("asthma-Jane-Roe", False),
        ("ssn536.22.8145", False),
        (["fp_44709d6fcb"], False),
    ],
    ids=str,
)
def test_a_fingerprint_is_a_number_or_is_not_told(said: Any, *, kept: bool) -> None:
    body = {**completion(content="ok"), "system_fingerprint": said}
    assert read_row(line(body)).revision == (said if kept else None)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(completion(content="ok")), id="body as JSON string"),
        pytest.param(completion(content=[{"type": "text", "text": "o"}, {"type": "text", "text": "k"}]), id="content as parts"),
        pytest.param({"choices": [{"message": {"content": "ok"}}]}, id="usage, model and finish reason absent"),
        pytest.param({**completion(content="ok"), "usage": None}, id="usage null"),
        pytest.param({**completion(content="ok"), "usage": {"prompt_tokens": "many"}}, id="usage not a number"),
    ],
)
@pytest.mark.parametrize("status", [200, 0], ids=["status 200", "status 0"])
def test_relatives_of_the_api_are_understood(body: Any, status: int) -> None:
    result = read_row(line(body, status=status))
    assert (result.output, result.error_code) == ("ok", None)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(line(None, error={"code": "batch_expired", "message": "m"}), "batch_expired", id="expired row"),
        pytest.param(line(None, error={"code": "John Doe is ill", "message": "m"}), "provider_error", id="free text is never a code"),
        pytest.param(line({"error": {"code": "rate_limit_exceeded"}}, status=429), "rate_limited", id="429"),
        pytest.param(line({}, status=503), "provider_unavailable", id="503"),
        pytest.param(line({"error": {"code": "context_length_exceeded"}}, status=400), "prompt_too_long", id="too long"),
        pytest.param(line({"error": {"message": "quoted text"}}, status=400), "bad_request", id="400"),
        pytest.param(line({"error": {"message": "quoted text"}}), "provider_error", id="200 with an error body"),
        pytest.param(line({"choices": []}), "no_choices", id="no choices"),
        pytest.param(line("not json"), "no_choices", id="body an unreadable string"),
        pytest.param(line(None), "no_choices", id="neither response nor error"),
        pytest.param(line(completion(content=None, refusal="I cannot")), "refusal", id="refusal"),
        pytest.param(line(completion(content="")), "empty_output", id="empty"),
        pytest.param(line({"choices": [{"finish_reason": "length", "message": {"content": "cut"}}]}), "max_tokens", id="length"),
        pytest.param(
            line({"choices": [{"finish_reason": "content_filter", "message": {"content": "cut"}}]}), "content_filter", id="content filter"
        ),
    ],
)
def test_what_is_no_answer_becomes_a_code(raw: bytes, code: str) -> None:
    result = read_row(raw)
    assert (result.row_id, result.output, result.error_code) == ("abc-000000", None, code)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(line(completion(content="x"))[:-9], id="torn"),
        pytest.param(b"\x00\x00", id="NUL"),
        pytest.param(b"[1]", id="not an object"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(line(completion(content="x"), row_id=None), id="id null"),
        pytest.param(line(completion(content="x"), row_id=7), id="id a number"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
    ],
)
def test_lines_without_a_readable_id_are_marked(raw: bytes) -> None:
    result = read_row(raw)
    assert (result.row_id, result.output, result.error_code) == ("", None, "torn_line")


def test_bom_crlf_blank_lines_and_line_separators_in_text() -> None:
    rows = [line(completion(content="one\u2028two"), row_id="a"), line(completion(content="3"), row_id="b")]
    raw = json.dumps(json.loads(rows[0]), ensure_ascii=False).encode()
    assert "\u2028".encode() in raw
    results = list(read_rows(io.BytesIO(b"\xef\xbb\xbf" + raw + b"\r\n\r\n" + rows[1])))
    assert [(result.row_id, result.output) for result in results] == [("a", "one\u2028two"), ("b", "3")]


def test_an_output_never_shows_in_a_repr() -> None:
    assert "Mallory" not in repr(read_row(line(completion(content="Mallory"))))
