"""What Bedrock is asked and how its answers are read: requests are those of botocore's model, answers become results or codes."""

from __future__ import annotations

import codecs
import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from policies.model import Endpoint, Lane
from sinks.errors import EndpointError
from sinks.lanes.bedrock_body import BLANK, bedrock_body
from sinks.lanes.bedrock_rows import read_manifest, read_row, read_rows, record_id_of
from sinks.lanes.bedrock_settings import BedrockSettings, accepted_codes, structure_of
from sinks.request import SALT_ROLE, Message, Part, Prompt, TaskKind
from sinks.shard import LaneResult

ROLE = "arn:aws:iam::123456789012:role/waybill-batch"
ENDPOINT = Endpoint(
    name="aws",
    lane=Lane.CLOUD,
    engine="bedrock_batch",
    provider="aws",
    model="anthropic.claude-3-5-haiku-20241022-v1:0",
    region="eu-central-1",
    base_url="https://bedrock.eu-central-1.amazonaws.com",
    facts={"dpa": True},
    review_by=date(2027, 1, 1),
    settings={"bucket": "bucket-a", "role_arn": ROLE},
)
NEW = "anthropic.claude-haiku-4-5-20251001-v1:0"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}},
}
PROMPT = Prompt(
    kind=TaskKind.EXTRACT,
    messages=(
        Message(role="system", parts=(Part(text="Extract."),)),
        Message(role="user", parts=(Part(text="Subject: "), Part(slot="metadata.subject"), Part(text="\n\n"), Part(slot="text"))),
        Message(role="user", parts=(Part(text="Answer now."),)),
        Message(role=SALT_ROLE, parts=(Part(slot="metadata.matter"),)),
    ),
    schema=SCHEMA,
    max_tokens=77,
    temperature=1.5,
)
PARTS = {"metadata.subject": "Bees", "text": "Ada Quill keeps bees.", "metadata.matter": "M-1"}


def endpoint(model: str = ENDPOINT.model, **settings: Any) -> Endpoint:
    return replace(ENDPOINT, model=model, settings={**ENDPOINT.settings, **settings})


def body(chosen: Endpoint, prompt: Prompt = PROMPT) -> dict[str, Any]:
    return bedrock_body(prompt.fill(PARTS), prompt, chosen)


def assert_converse(found: dict[str, Any]) -> None:
    shape = get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": "m", **found}, shape)
    assert not report.has_errors(), report.generate_report()


def test_a_converse_request_keeps_every_part_apart() -> None:
    found = body(endpoint())
    assert_converse(found)
    assert found == {
        "system": [{"text": "Extract."}],
        "messages": [
            {"role": "user", "content": [{"text": text} for text in ("Subject: ", "Bees", BLANK, "Ada Quill keeps bees.", "Answer now.")]}
        ],
        "inferenceConfig": {"maxTokens": 77, "temperature": 1.0},
    }
    assert "temperature" not in body(endpoint(send_temperature=False))["inferenceConfig"]


def test_an_anthropic_message_keeps_every_part_apart() -> None:
    found = body(endpoint(invocation="invoke", structured_output="none"))
    assert found == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 77,
        "temperature": 1.0,
        "system": [{"type": "text", "text": "Extract."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": text} for text in ("Subject: ", "Bees", BLANK, "Ada Quill keeps bees.", "Answer now.")
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        (NEW, {}, "json_schema"),
        ("anthropic.claude-fable-5-v1:0", {}, "json_schema"),
        ("arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-opus-4-6-v1", {}, "json_schema"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", {}, "none"),
        (ENDPOINT.model, {}, "none"),
        (ENDPOINT.model, {"invocation": "invoke"}, "tool"),
        (NEW, {"invocation": "invoke"}, "json_schema"),
        ("amazon.nova-lite-v1:0", {}, "none"),
        ("qwen.qwen3-32b-v1:0", {"structured_output": "json_schema"}, "json_schema"),
        (NEW, {"structured_output": "none"}, "none"),
    ],
)
def test_a_schema_binds_as_the_model_can(model: str, settings: dict[str, Any], expected: str) -> None:
    chosen = endpoint(model, **settings)
    assert structure_of(chosen) == expected
    found = body(chosen)
    bound = {"outputConfig", "output_config", "tools"} & found.keys()
    assert len(bound) == (expected != "none")
    if "outputConfig" in found:
        assert_converse(found)
        sent = json.loads(found["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
    elif "output_config" in found:
        sent = found["output_config"]["format"]["schema"]
    elif "tools" in found:
        (tool,) = found["tools"]
        assert found["tool_choice"] == {"type": "tool", "name": tool["name"]}
        sent = tool["input_schema"]
    else:
        return
    assert sent["properties"]["name"]["type"] == "string"
    assert "$schema" not in sent
    assert not {"outputConfig", "output_config", "tools"} & body(chosen, replace(PROMPT, kind=TaskKind.SUMMARIZE)).keys()


@pytest.mark.parametrize(("setting", "mark"), [(True, {}), ("5m", {"ttl": "5m"}), ("1h", {"ttl": "1h"})])
def test_only_what_all_requests_begin_with_is_cached(setting: Any, mark: dict[str, str]) -> None:
    found = body(endpoint(prompt_cache=setting))
    assert_converse(found)
    assert found["system"] == [{"text": "Extract."}]
    assert found["messages"][0]["content"][:3] == [{"text": "Subject: "}, {"cachePoint": {"type": "default", **mark}}, {"text": "Bees"}]
    message = body(endpoint(prompt_cache=setting, invocation="invoke"))
    marked = [block for block in message["system"] + message["messages"][0]["content"] if "cache_control" in block]
    assert marked == [{"type": "text", "text": "Subject: ", "cache_control": {"type": "ephemeral", **mark}}]
    without = replace(PROMPT, messages=PROMPT.messages[1:], kind=TaskKind.SUMMARIZE)
    begun_by_record = replace(without, messages=(Message(role="user", parts=(Part(slot="text"), Part(text="Say more."))),))
    assert "cachePoint" not in json.dumps(body(endpoint(prompt_cache=setting), begun_by_record))


def line(row_id: str = "0123456789ab-000007", **fields: Any) -> bytes:
    return json.dumps({"modelInput": {"messages": "the document"}, "recordId": record_id_of(row_id), **fields}).encode()


def converse(text: str = "Bees.", stop: Any = "end_turn", **more: Any) -> dict[str, Any]:
    content = [{"reasoningContent": {"reasoningText": {"text": "thinking"}}}, {"text": text}]
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, **more}


USAGE = {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 30}
GOOD = LaneResult(row_id="0123456789ab-000007", output="Bees.", finish_reason="end_turn", model="m")
BAD = LaneResult(row_id="0123456789ab-000007", model="m")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"modelOutput": converse()}, GOOD),
        ({"modelOutput": converse(aNewField=[1])}, GOOD),
        ({"modelOutput": converse(stop=None)}, replace(GOOD, finish_reason=None)),
        (
            {"modelOutput": converse(usage=USAGE)},
            replace(GOOD, tokens_in=140, tokens_out=5, tokens_cached=100, tokens_cache_written=30),
        ),
        (
            {"modelOutput": converse(usage={**USAGE, "cacheDetails": [{"ttl": "1h", "inputTokens": 20}]})},
            replace(GOOD, tokens_in=140, tokens_out=5, tokens_cached=100, tokens_cache_written=30, tokens_cache_written_1h=20),
        ),
        ({"modelOutput": converse(usage={"inputTokens": "ten", "outputTokens": -1})}, GOOD),
        ({"modelOutput": converse(stop="max_tokens")}, replace(BAD, error_code="max_tokens", finish_reason="max_tokens")),
        (
            {"modelOutput": converse(stop="guardrail_intervened")},
            replace(BAD, error_code="content_filter", finish_reason="guardrail_intervened"),
        ),
        ({"modelOutput": converse(stop="content_filtered")}, replace(BAD, error_code="content_filter", finish_reason="content_filtered")),
        ({"modelOutput": converse(stop="refusal")}, replace(BAD, error_code="refusal", finish_reason="refusal")),
        ({"modelOutput": converse(stop="tool_use")}, replace(BAD, error_code="provider_error", finish_reason="tool_use")),
        ({"modelOutput": converse(stop="the document")}, replace(BAD, error_code="provider_error", finish_reason="other")),
        (
            {"modelOutput": converse(stop="model_context_window_exceeded")},
            replace(BAD, error_code="prompt_too_long", finish_reason="model_context_window_exceeded"),
        ),
        ({"modelOutput": converse(text=" \n")}, replace(BAD, error_code="empty_output", finish_reason="end_turn")),
        ({"modelOutput": {"output": None}}, replace(BAD, error_code="empty_output")),
        ({"modelOutput": {"content": [{"type": "text", "text": "Bees."}], "stop_reason": "end_turn"}}, GOOD),
        (
            {"modelOutput": {"content": [{"type": "tool_use", "name": "extraction", "input": {"name": "Ada"}}], "stop_reason": "tool_use"}},
            replace(GOOD, output='{"name": "Ada"}', finish_reason="tool_use"),
        ),
        (
            {"modelOutput": {"content": [], "stop_reason": "refusal", "usage": {"input_tokens": 3, "output_tokens": 1}}},
            replace(BAD, error_code="refusal", finish_reason="refusal", tokens_in=3, tokens_out=1),
        ),
        ({"error": {"errorCode": 400, "errorMessage": "the document is bad"}}, replace(BAD, error_code="bad_request")),
        (
            {"error": {"errorCode": "400", "errorMessage": "Input is too long for requested model."}},
            replace(BAD, error_code="prompt_too_long"),
        ),
        ({"error": {"errorCode": 429}}, replace(BAD, error_code="rate_limited")),
        ({"error": {"errorCode": 503}}, replace(BAD, error_code="provider_unavailable")),
        ({"error": {"errorCode": 408}}, replace(BAD, error_code="provider_unavailable")),
        ({"error": {"errorCode": "ModelTimeoutException"}}, replace(BAD, error_code="provider_unavailable")),
        ({"error": {"errorCode": "the document"}}, replace(BAD, error_code="provider_error")),
        ({"error": "the document"}, replace(BAD, error_code="provider_error")),
        ({"error": {"errorCode": 500}, "modelOutput": converse()}, replace(BAD, error_code="provider_unavailable")),
        ({"modelOutput": "the document"}, replace(BAD, error_code="provider_error")),
        ({}, replace(BAD, error_code="provider_error")),
    ],
)
def test_an_answer_is_a_result_or_a_code(fields: dict[str, Any], expected: LaneResult) -> None:
    found = read_row(line(**fields), model="m")
    assert found == expected
    assert "the document" not in repr(replace(found, output=None))


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b"7", b'{"recordId": 7}', b'{"recordId": null}', b"\xff\xfe", b'{"modelOutput": {}}', b"[" * 100_000]
)
def test_a_line_that_cannot_be_read_belongs_to_no_row(raw: bytes) -> None:
    assert read_row(raw, model="m") == LaneResult(row_id="", error_code="torn_line")


def test_lines_end_at_newlines_only() -> None:
    odd = "one\u2028two\u0085\u0000three"
    first, second = line(modelOutput=converse(odd)), line("0123456789ab-000008", modelOutput=converse())
    raw = json.dumps(json.loads(first), ensure_ascii=False).encode()
    lines = codecs.BOM_UTF8 + raw + b"\r\n\r\n" + second + b"\n" + second[:40]
    found = list(read_rows(lines.split(b"\n"), model="m"))
    assert [(result.row_id, result.error_code) for result in found] == [
        ("0123456789ab-000007", None),
        ("0123456789ab-000008", None),
        ("", "torn_line"),
    ]
    assert found[0].output == odd


def test_an_id_that_is_none_of_ours_stays_what_it_is() -> None:
    assert read_row(b'{"recordId": "CALL0000001"}', model="m").row_id == "CALL0000001"
    assert record_id_of("0123456789ab-000007") == "0123456789ab000007"


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (b'{"totalRecordCount": 9, "successRecordCount": 7, "errorRecordCount": 2, "inputTokenCount": 4}', (9, 7, 2)),
        (b'{"totalRecordCount": "nine", "successRecordCount": 7}', (None, 7, None)),
        (b"", (None, None, None)),
        (b"[]", (None, None, None)),
        (b"<html>", (None, None, None)),
    ],
)
def test_a_manifest_says_what_it_can(content: bytes, counts: tuple[int | None, ...]) -> None:
    assert read_manifest(content) == counts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bucket": None}, "settings.bucket: expected the name of a bucket in the endpoint's region, found none"),
        ({"bucket": "A B"}, "settings.bucket: expected the name of a bucket"),
        ({"role_arn": None}, "settings.role_arn: expected the ARN of the service role .*, found none"),
        ({"role_arn": "waybill-batch"}, "settings.role_arn: expected the ARN"),
        ({"account": "999999999999"}, "settings.account: expected the account of role_arn, 123456789012"),
        ({"prefix": "/a/"}, "settings.prefix: expected a prefix without slashes at its ends"),
        ({"timeout_h": 12}, "settings.timeout_h: expected whole hours from 24 to 168, found 12"),
        ({"timeout_h": True}, "settings.timeout_h"),
        ({"kms_key": "my key"}, "settings.kms_key: expected the ARN, id or alias"),
        ({"invocation": "chat"}, "settings.invocation: expected converse or invoke, found 'chat'"),
        ({"structured_output": "tool"}, "settings.structured_output: expected json_schema, none"),
        ({"prompt_cache": "2h"}, "settings.prompt_cache: expected true, false, 5m or 1h"),
        ({"send_temperature": "no"}, "settings.send_temperature"),
        ({"unsafe_accept": "anything"}, "settings.unsafe_accept: expected codes of account_unreadable, .*, found 'anything'"),
        ({"shard_min_rows": 0}, "settings.shard_min_rows"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_setting_that_is_missing_or_wrong_is_one_clear_line(changes: dict[str, Any], said: str) -> None:
    settings = {name: value for name, value in {**ENDPOINT.settings, **changes}.items() if value is not None}
    with pytest.raises(EndpointError, match=said) as caught:
        BedrockSettings.of(replace(ENDPOINT, settings=settings))
    assert "\n" not in str(caught.value)


def test_settings_have_defaults() -> None:
    chosen = endpoint(account=123456789012, unsafe_accept="cross_region, invocation_logging")
    found = BedrockSettings.of(chosen)
    assert (found.account, found.prefix, found.timeout_h, found.kms_key) == ("123456789012", "waybill", 24, "")
    assert accepted_codes(chosen) == {"cross_region", "invocation_logging"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "amazon.nova-lite-v1:0", "settings": {"invocation": "invoke"}}, "only Anthropic's own form is known"),
        ({"base_url": "https://bedrock.us-east-1.amazonaws.com"}, "a host in the endpoint's region eu-central-1"),
        ({"base_url": "https://bedrock-runtime.eu-central-1.amazonaws.com"}, "expected Bedrock's control plane"),
        ({"base_url": "https://bedrock.us-east-1.api.aws"}, "base_url: expected a host in the endpoint's region eu-central-1"),
        ({"settings": {"s3_endpoint_url": "https://s3.us-east-1.amazonaws.com"}}, "s3_endpoint_url: expected a host in the endpoint's"),
        ({"settings": {"s3_endpoint_url": "https://s3.amazonaws.com"}}, "s3_endpoint_url: expected a host in the endpoint's region"),
        ({"settings": {"s3_endpoint_url": "https://s3.eu-central-1x.amazonaws.com"}}, "s3_endpoint_url: expected a host in the"),
    ],
    ids=["form", "region", "runtime", "region of a new host", "store elsewhere", "store anywhere", "store by a like name"],
)
def test_an_endpoint_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    changes = {**changes, "settings": {**ENDPOINT.settings, **changes.get("settings", {})}}
    with pytest.raises(EndpointError, match=said):
        BedrockSettings.of(replace(ENDPOINT, **changes))


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.eu-central-1.amazonaws.com",
        "https://s3-eu-central-1.amazonaws.com",
        "https://s3.dualstack.eu-central-1.amazonaws.com",
        "https://bucket.vpce-1a2b3c-4d.s3.eu-central-1.vpce.amazonaws.com",
        "https://objects.inside.example",
    ],
)
def test_a_store_of_the_region_or_of_ones_own(url: str) -> None:
    assert BedrockSettings.of(endpoint(s3_endpoint_url=url)).bucket


@pytest.mark.parametrize("as_text", [False, True], ids=["object", "text"])
@pytest.mark.parametrize("error", [None, {}, {"errorCode": None, "errorMessage": ""}], ids=["none", "empty", "blank"])
def test_an_answer_beside_an_error_of_nothing_or_as_a_text_is_one(error: Any, *, as_text: bool) -> None:
    output = {"output": {"message": {"content": [{"text": "ok"}]}}, "stopReason": "end_turn", "usage": {"inputTokens": 4.0}}
    tree = {"recordId": "0" * 18, "modelOutput": json.dumps(output) if as_text else output, "error": error}
    result = read_row(json.dumps(tree).encode(), model="m")
    assert (result.output, result.error_code, result.tokens_in) == ("ok", None, 4)
