"""The settings of a Bedrock endpoint, checked: each that is missing or wrong is one clear line. Pure.

bucket, role_arn   where inputs and outputs lie, and the service role that may read and write there; mandatory
prefix             of the keys in the bucket; `waybill` unless stated
account            the account's number; the role's unless stated
kms_key            the key that outputs are encrypted with; the bucket's own default unless stated
timeout_h          24 to 168: the provider ends the job after so many hours
invocation         converse (any model) or invoke (Anthropic's own form)
structured_output  how an extraction is bound to its JSON Schema: json_schema, tool (invoke only) or none; by the model unless stated
send_temperature   false for models that refuse a temperature; true unless stated
prompt_cache       true, 5m or 1h: cache what all requests begin with
unsafe_accept      codes of `bedrock_account` that do not stop a hand-over, separated by commas
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from policies.model import Endpoint
from sinks.errors import EndpointError
from sinks.packing import ShardLimits

CONVERSE, INVOKE = "converse", "invoke"
INVOCATIONS = {CONVERSE: "Converse", INVOKE: "InvokeModel"}
JSON_SCHEMA, TOOL, NONE = "json_schema", "tool", "none"
CODES = ("account_unreadable", "cross_region", "data_retention", "invocation_logging")
"""What an account may contradict the registry in; see `sinks/lanes/bedrock_account.py`."""

LEAST_HOURS, MOST_HOURS = 24, 168

# The forms that the API reference gives.
_BUCKET = re.compile(r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[-!_*'().a-z0-9A-Z]{1,100}(?:/[-!_*'().a-z0-9A-Z]{1,100}){0,8}")
_ROLE = re.compile(r"arn:aws(?:-[a-z-]{1,20})?:iam::(?P<account>[0-9]{12}):role/[^\s]{1,512}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_KMS_KEY = re.compile(
    r"arn:aws(?:-[a-z-]{1,20})?:kms:[a-z0-9-]{1,30}:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]{1,250}|[a-zA-Z0-9-]{36}|alias/[A-Za-z0-9/_-]{1,250}"
)
# Structured outputs came with Claude 4.5; of other families some models have them, which nobody can tell by the name.
_CLAUDE = re.compile(r"anthropic\.claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?![0-9])")
_STRUCTURED_SINCE = (4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockSettings:
    """What the lane needs to know of its endpoint."""

    bucket: str
    prefix: str
    role_arn: str
    account: str
    kms_key: str
    timeout_h: int
    invocation: str

    @classmethod
    def of(cls, endpoint: Endpoint) -> BedrockSettings:
        """The endpoint's settings. Raises EndpointError with the first thing to mend."""
        _check_address(endpoint)
        ShardLimits.of(endpoint)
        cache_of(endpoint)
        structure_of(endpoint)
        sends_temperature(endpoint)
        accepted_codes(endpoint)
        role_arn = _text(endpoint, "role_arn", _ROLE, "the ARN of the service role for batch inference, arn:aws:iam::ACCOUNT:role/NAME")
        role_account = role_arn.split(":")[4]
        account = _text(endpoint, "account", _ACCOUNT, "the account's twelve digits", default=role_account)
        if account != role_account:
            _fail(endpoint, "account", f"the account of role_arn, {role_account}", account)
        timeout_h = endpoint.settings.get("timeout_h", LEAST_HOURS)
        if not isinstance(timeout_h, int) or isinstance(timeout_h, bool) or not LEAST_HOURS <= timeout_h <= MOST_HOURS:
            _fail(endpoint, "timeout_h", f"whole hours from {LEAST_HOURS} to {MOST_HOURS}", timeout_h)
        return cls(
            bucket=_text(endpoint, "bucket", _BUCKET, "the name of a bucket in the endpoint's region"),
            prefix=_text(endpoint, "prefix", _PREFIX, "a prefix without slashes at its ends", default="waybill"),
            role_arn=role_arn,
            account=account,
            kms_key=_text(endpoint, "kms_key", _KMS_KEY, "the ARN, id or alias of a KMS key", default=""),
            timeout_h=timeout_h,
            invocation=invocation_of(endpoint),
        )


def invocation_of(endpoint: Endpoint) -> str:
    """`converse` or `invoke`. Raises EndpointError."""
    chosen = endpoint.settings.get("invocation", CONVERSE)
    if chosen not in INVOCATIONS:
        _fail(endpoint, "invocation", "converse or invoke", chosen)
    if chosen == INVOKE and "anthropic." not in endpoint.model:
        _fail(endpoint, "invocation", f"converse for the model {endpoint.model}: only Anthropic's own form is known", chosen)
    return str(chosen)


def structure_of(endpoint: Endpoint) -> str:
    """How an extraction is bound to its schema: `json_schema`, `tool` or `none`. Raises EndpointError."""
    invocation = invocation_of(endpoint)
    found = _CLAUDE.search(endpoint.model)
    is_new = found is not None and (int(found[1]), int(found[2] or 0)) >= _STRUCTURED_SINCE
    chosen = endpoint.settings.get("structured_output", JSON_SCHEMA if is_new else TOOL if invocation == INVOKE else NONE)
    if chosen not in {JSON_SCHEMA, TOOL, NONE} or (chosen == TOOL and invocation != INVOKE):  # batches of Converse know no tools
        _fail(endpoint, "structured_output", "json_schema, none, or with invocation: invoke also tool", chosen)
    return str(chosen)


def sends_temperature(endpoint: Endpoint) -> bool:
    """Whether the model takes a temperature. Raises EndpointError."""
    chosen = endpoint.settings.get("send_temperature", True)
    if not isinstance(chosen, bool):
        _fail(endpoint, "send_temperature", "true or false", chosen)
    return chosen


def cache_of(endpoint: Endpoint) -> dict[str, str] | None:
    """How long the common beginning is cached: {} for the model's own time, {"ttl": …}, or None for no caching. Raises EndpointError."""
    chosen = endpoint.settings.get("prompt_cache", False)
    if chosen is False or chosen is True:
        return {} if chosen else None
    if chosen not in {"5m", "1h"}:
        _fail(endpoint, "prompt_cache", "true, false, 5m or 1h", chosen)
    return {"ttl": str(chosen)}


def accepted_codes(endpoint: Endpoint) -> frozenset[str]:
    """The codes that do not stop a hand-over. Raises EndpointError."""
    named = frozenset(code.strip() for code in str(endpoint.settings.get("unsafe_accept", "")).split(",") if code.strip())
    if unknown := sorted(named - set(CODES)):
        _fail(endpoint, "unsafe_accept", f"codes of {', '.join(CODES)}, separated by commas", ", ".join(unknown))
    return named


def _check_address(endpoint: Endpoint) -> None:
    """The addresses of AWS name their region, and must name the endpoint's: requests and results do not leave it."""
    host = urlsplit(endpoint.base_url).hostname or ""
    store = urlsplit(str(endpoint.settings.get("s3_endpoint_url", ""))).hostname or ""
    if _is_aws(host) and host.startswith("bedrock-runtime"):
        raise EndpointError(
            f"endpoint {endpoint.name}: base_url: expected Bedrock's control plane, bedrock.REGION.amazonaws.com, found {host}"
        )
    if _is_aws(host) and not endpoint.region:
        raise EndpointError(f"endpoint {endpoint.name}: region: expected the region of base_url's host, {host}, found none; add it")
    for key, found in (("base_url", host), ("settings.s3_endpoint_url", store)):
        # Old addresses of S3 have a hyphen before the region; s3.amazonaws.com, without one, leads anywhere.
        if _is_aws(found) and not re.search(rf"[.-]{re.escape(endpoint.region)}\.", found):
            raise EndpointError(
                f"endpoint {endpoint.name}: {key}: expected a host in the endpoint's region {endpoint.region}, found {found}"
            )


def _is_aws(host: str) -> bool:
    return re.search(r"\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)\.?$", host) is not None


def _text(endpoint: Endpoint, name: str, pattern: re.Pattern[str], expected: str, *, default: str | None = None) -> str:
    value = endpoint.settings.get(name, default)
    if value is None:
        _fail(endpoint, name, expected, "none")
    if isinstance(value, int) and not isinstance(value, bool):  # an account without quotes is a number to YAML
        value = str(value)
    if value == default and value == "":
        return ""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        _fail(endpoint, name, expected, value)
    return str(value)


def _fail(endpoint: Endpoint, name: str, expected: str, found: object) -> NoReturn:
    shown = found if found == "none" else repr(found)
    raise EndpointError(f"endpoint {endpoint.name}: settings.{name}: expected {expected}, found {shown}; correct the endpoint registry")
