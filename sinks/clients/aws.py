"""How AWS, and servers with the same protocols, are reached: what is passed in, and nothing from the environment.

Invariant 8. botocore also reads some eighty AWS_* and BOTO* variables, ~/.aws/config, ~/.aws/credentials, data files in ~/.aws/models,
the proxy and CA variables, and asks the machine's metadata service: none of them takes effect. Region, URL, proxy, CA file and
credentials are those of an `AwsConnection`. A request to another host is stopped, also where the service itself sends us there.

Errors of botocore quote requests and answers: they end here, as codes (invariant 5).
"""

from __future__ import annotations

import configparser
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from policies.model import EMULATOR, Endpoint
from sinks.clients.calls import quiet, retry_after_s
from sinks.errors import AmbiguousError, EndpointError, RejectedError

if TYPE_CHECKING:  # half a second of imports that `waybill --help` must not pay
    from botocore.session import Session

SAFE_ATTEMPTS = 3

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{1,12}){1,3}-[0-9]{1,2}")
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_]{3,128}")
_SERVER_ERROR = 500
# A refusal at the door. 408, 409 and 429 are not among them: a proxy in between may say them after the service has accepted.
_UNDECIDED_STATUS = frozenset({408, 409, 429})
_REASONS = {
    "AccessDenied": "access_denied",
    "AccessDeniedException": "access_denied",
    "AuthorizationHeaderMalformed": "wrong_region",
    "BadDigest": "bad_checksum",
    "EntityTooLarge": "too_large",
    "ExpiredToken": "expired_credentials",
    "ExpiredTokenException": "expired_credentials",
    "301": "wrong_region",  # the answer to a HEAD has no body that could say more
    "IllegalLocationConstraintException": "wrong_region",
    "InvalidAccessKeyId": "bad_credentials",
    "InvalidRequest": "invalid_request",
    "NoSuchBucket": "no_such_bucket",
    "PermanentRedirect": "wrong_region",
    "RequestTimeTooSkewed": "clock_skew",
    "ServiceQuotaExceededException": "quota_exceeded",
    "SignatureDoesNotMatch": "bad_credentials",
    "ThrottlingException": "rate_limited",
    "UnrecognizedClientException": "bad_credentials",
    "ValidationException": "bad_request",
}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    """An access key. Never shown."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, secret: str, name: str) -> AwsCredentials:
        """From `KEY_ID:SECRET[:SESSION_TOKEN]`, or the absolute path of a credentials file (its profile `default`) that is private."""
        if secret.startswith("/"):
            return _from_file(Path(secret), name)
        key_id, _, rest = secret.partition(":")
        key, _, token = rest.partition(":")
        if not _ACCESS_KEY.fullmatch(key_id) or not _is_visible(key) or (token and not _is_visible(token)):
            msg = f"{name}: expected the secret as KEY_ID:SECRET or KEY_ID:SECRET:SESSION_TOKEN, or the absolute path of a credentials file"
            raise EndpointError(msg)
        return cls(key_id=key_id, secret=key, token=token or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConnection:
    """How one account's services are reached. `name` is for messages; an empty URL means AWS itself, in `region`.

    endpoint_url: of the provider's own service; s3_endpoint_url: of its S3. timeout_s: for one read or write, not for a whole transfer.
    """

    name: str
    region: str
    credentials: AwsCredentials = field(repr=False)
    endpoint_url: str = ""
    s3_endpoint_url: str = ""
    proxy: str = field(default="", repr=False)  # may carry a password
    ca_file: str = ""
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.region):
            raise EndpointError(f"{self.name}: region: expected the name of a region, such as eu-central-1, found {self.region or 'none'}")
        if self.ca_file and not Path(self.ca_file).is_file():  # botocore would say so at the first request
            raise EndpointError(f"{self.name}: ca_file: expected a file with certificates, found none at {self.ca_file}")
        for key in ("endpoint_url", "s3_endpoint_url"):
            object.__setattr__(self, key, _checked_url(getattr(self, key), self, key))

    @classmethod
    def of(cls, endpoint: Endpoint, secret: str) -> AwsConnection:
        """The connection of a registry entry. The emulator must be local; its S3, as anybody's, is `settings.s3_endpoint_url`."""
        connection = cls(
            name=f"endpoint {endpoint.name}",
            region=endpoint.region,
            credentials=AwsCredentials.of(secret, f"endpoint {endpoint.name}"),
            endpoint_url=endpoint.base_url,
            s3_endpoint_url=str(endpoint.settings.get("s3_endpoint_url", "")),
            proxy=endpoint.proxy,
            ca_file=endpoint.ca_file,
            timeout_s=float(endpoint.settings.get("timeout_s", 60.0)),
        )
        urls = (connection.endpoint_url, connection.s3_endpoint_url)
        if endpoint.provider == EMULATOR and not all(url.startswith("http://") for url in urls):
            msg = f"endpoint {endpoint.name}: an emulator needs base_url and settings.s3_endpoint_url, both http on a loopback address"
            raise EndpointError(msg)
        return connection


def aws_client(connection: AwsConnection, service: str, *, url: str = "", retries: bool = False, hosts: Iterable[str] = ()) -> Any:
    """A client of one service that reaches only its own host, and `hosts` before it (`bucket` for bucket.HOST).

    retries: only for what may safely be sent twice; botocore's default sends a create three times when the connection drops.
    """
    import botocore.plugin  # noqa: PLC0415 - half a second of imports that `waybill --help` must not pay
    from botocore.config import Config  # noqa: PLC0415

    proxy = connection.proxy
    config = Config(
        retries={"mode": "standard", "total_max_attempts": SAFE_ATTEMPTS if retries else 1},
        proxies={"http": proxy, "https": proxy} if proxy else {},  # None would look into the environment
        connect_timeout=connection.timeout_s,
        read_timeout=connection.timeout_s,
        user_agent="waybill",
        signature_version="s3v4" if service == "s3" else "v4",  # else AWS_BEARER_TOKEN_BEDROCK would be preferred
        s3={"addressing_style": "path" if url else "virtual", "us_east_1_regional_endpoint": "regional"},
    )
    # BOTOCORE_EXPERIMENTAL__PLUGINS would import any module into the client.
    plugins = botocore.plugin.set_plugin_context(botocore.plugin.PluginContext(plugins="DISABLED"))
    try:
        client = _session().create_client(
            service,
            region_name=connection.region,
            endpoint_url=url or None,
            verify=connection.ca_file or True,
            aws_access_key_id=connection.credentials.key_id,
            aws_secret_access_key=connection.credentials.secret,
            aws_session_token=connection.credentials.token,
            config=config,
        )
    except ValueError:  # an URL that botocore cannot use
        raise EndpointError(f"{connection.name}: the URL of {service} is none that can be used; correct it") from None
    finally:
        botocore.plugin.reset_plugin_context(plugins)
    _guard(client, connection, tuple(hosts))
    return client


def create(call: Callable[[], Answer]) -> Answer:
    """Make a request that changes something: done, refused (RejectedError), or nobody knows (AmbiguousError)."""
    from botocore import exceptions  # noqa: PLC0415

    try:
        return call()
    except exceptions.ClientError as error:
        status, code = status_of(error), reason_of(error)
        if code == "wrong_region" or (400 <= status < _SERVER_ERROR and status not in _UNDECIDED_STATUS):  # noqa: PLR2004 - the HTTP client-error range
            raise RejectedError(code) from None
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        raise AmbiguousError(code, retry_after_s=retry_after_s(headers)) from None
    except (exceptions.ReadTimeoutError, exceptions.ConnectionClosedError) as error:
        raise AmbiguousError("timeout" if isinstance(error, exceptions.ReadTimeoutError) else "connection_lost") from None
    except (exceptions.EndpointConnectionError, exceptions.ProxyConnectionError, exceptions.ConnectTimeoutError):
        raise RejectedError("unreachable") from None  # the connection was never made: no byte has left
    except exceptions.ParamValidationError:
        raise RejectedError("bad_request") from None  # found before anything was sent
    except exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # in the handshake: no byte of the request has left
            raise RejectedError("untrusted_certificate") from None
        raise AmbiguousError("connection_lost") from None
    except exceptions.BotoCoreError:
        raise AmbiguousError("bad_response") from None


def ask(name: str, what: str, call: Callable[[], Answer]) -> Answer:
    """Make a request that only reads or removes: any failure is an EndpointError, to be tried again later."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return call()
    except ClientError as error:
        msg = f"{name}: {what} was refused (HTTP {status_of(error)}, {reason_of(error)}); check region, bucket, credentials and permissions"
        raise EndpointError(msg) from None
    except BotoCoreError as error:
        msg = f"{name}: no usable answer to {what} ({type(error).__name__}); run again when it is reachable"
        raise EndpointError(msg) from None


def status_of(error: Any) -> int:
    """The HTTP status of a botocore ClientError; 500 where it states none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    return int(status) if isinstance(status, int) else _SERVER_ERROR


def reason_of(error: Any) -> str:
    """A code from a closed list: what the service called the error if we know the word, else its HTTP status."""
    return _REASONS.get(str(error.response.get("Error", {}).get("Code", "")), f"http_{status_of(error)}")


def _session() -> Session:
    """A botocore session in which every setting has its default and nothing can be looked up anywhere."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider  # noqa: PLC0415
    from botocore.credentials import CredentialResolver  # noqa: PLC0415
    from botocore.loaders import Loader  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415
    from botocore.tokens import TokenProviderChain  # noqa: PLC0415

    quiet("botocore", "urllib3")
    session = Session()
    defaults = {name: variable[2] for name, variable in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
    defaults |= {"config_file": os.devnull, "credentials_file": os.devnull, "ignore_configured_endpoint_urls": True}
    session.register_component("config_store", ConfigValueStore({name: ConstantProvider(value) for name, value in defaults.items()}))
    session.register_component("credential_provider", CredentialResolver([]))
    session.register_component("token_provider", TokenProviderChain([]))  # AWS_BEARER_TOKEN_BEDROCK and its like
    # Without ~/.aws/models: an endpoints.json there could send a region anywhere.
    session.register_component("data_loader", Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False))
    return session


def _guard(client: Any, connection: AwsConnection, hosts: tuple[str, ...]) -> None:
    own = urlsplit(client.meta.endpoint_url)
    allowed = {own.netloc, *(f"{host}.{own.netloc}" for host in hosts)}

    def stay(request: Any, **_: Any) -> None:
        request.headers.pop("X-Amzn-Trace-Id", None)  # of a Lambda's environment
        target = urlsplit(request.url)
        if target.scheme != own.scheme or target.netloc not in allowed:
            raise EndpointError(f"{connection.name}: a request to another host was stopped; report this")

    def no_redirect(context: dict[str, Any], **_: Any) -> None:
        context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}  # so botocore does not look for the right region

    service = client.meta.service_model.service_name
    client.meta.events.register_first(f"before-send.{service}", stay)
    if service == "s3":
        client.meta.events.register_last("before-parameter-build.s3", no_redirect)


def _checked_url(url: str, connection: AwsConnection, key: str) -> str:
    """The URL as it will be used: https, or http to a loopback address, whose name is resolved here once and for all."""
    if not url:
        return url
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme == "https" and parts.hostname and port != -1 and not (parts.query or parts.fragment or parts.username):
        return url.rstrip("/")
    if parts.scheme != "http" or not parts.hostname or port == -1 or parts.query or parts.fragment or parts.username:
        raise EndpointError(f"{connection.name}: {key}: expected an https URL, or http on a loopback address")
    if connection.proxy:
        raise EndpointError(f"{connection.name}: {key}: a server on this machine cannot be reached through a proxy; remove proxy")
    from sinks.clients.resolve import local_address  # noqa: PLC0415 - it brings an HTTP library along

    try:
        address = local_address(parts.hostname, port or 80)
    except EndpointError as error:
        raise EndpointError(f"{connection.name}: {key}: plain http is for this machine alone: {error}") from None
    return f"http://{f'[{address}]' if ':' in address else address}:{port or 80}{parts.path.rstrip('/')}"


def _from_file(path: Path, name: str) -> AwsCredentials:
    parser = configparser.RawConfigParser()
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid not in {0, os.geteuid()}:
                raise EndpointError(
                    f"{name}: {path}: others can read or change the credentials file; make it yours and run `chmod 600` on it"
                )
            parser.read_file(file)
        section = parser["default"]
        return AwsCredentials(
            key_id=section["aws_access_key_id"], secret=section["aws_secret_access_key"], token=section.get("aws_session_token")
        )
    except OSError as error:
        raise EndpointError(f"{name}: {path}: the credentials file cannot be read ({error.strerror})") from None
    except (configparser.Error, KeyError, ValueError):  # their messages quote lines
        msg = f"{name}: {path}: expected a section [default] with aws_access_key_id and aws_secret_access_key"
        raise EndpointError(msg) from None


def _is_visible(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
