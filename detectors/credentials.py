"""Keys, tokens and passwords, by the maintained detectors of `detect-secrets`, behind our interface.

Only the patterns are used: no verification (it would call out), no entropy guessing (hashes and ids are everywhere), no log. Text is
looked at in bounded slices of lines, and only in lines that a cheap pattern lets through, so that a long line stays linear.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from detectors.detector import collect, entity_kind
from detectors.document import Evidence, EvidenceKind, Finding
from detectors.normalized import Normalized

# Module and class of each plugin, and what every match of it contains: literals, or a pattern where there is no literal.
PLUGINS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("artifactory", "ArtifactoryDetector", ("AKC", "AP"), ""),
    ("aws", "AWSKeyDetector", ("A3T", "ABIA", "ACCA", "AKIA", "ASIA", "aws", "AWS"), ""),
    ("azure_storage_key", "AzureStorageKeyDetector", ("AccountKey=",), ""),
    ("basic_auth", "BasicAuthDetector", ("://",), r"://[^\s/]{1,200}@"),
    ("discord", "DiscordBotTokenDetector", ("M", "N", "O"), r"\.[\w-]{6}\.[\w-]{27}"),
    ("github_token", "GitHubTokenDetector", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), ""),
    (
        "gitlab_token",
        "GitLabTokenDetector",
        ("glpat", "gldt", "glft", "glsoat", "glrt", "GR1348941", "glcbt", "glimt", "glptt", "glagent", "gloas"),
        "",
    ),
    ("jwt", "JwtTokenDetector", ("eyJ",), ""),
    ("mailchimp", "MailchimpDetector", ("-us",), r"[0-9a-z]{32}-us\d"),
    ("npm", "NpmDetector", ("_authToken",), ""),
    ("openai", "OpenAIDetector", ("T3BlbkFJ",), ""),
    ("private_key", "PrivateKeyDetector", ("PRIVATE KEY", "PuTTY"), ""),
    ("pypi_token", "PypiTokenDetector", ("pypi-Ag",), ""),
    ("sendgrid", "SendGridDetector", ("SG.",), ""),
    ("slack", "SlackDetector", ("xox", "XOX", "hooks.slack"), ""),
    ("square_oauth", "SquareOAuthDetector", ("sq0csp",), ""),
    ("stripe", "StripeDetector", ("k_live",), ""),
    ("telegram_token", "TelegramBotTokenDetector", (":",), r":(?<=\d{8}:)[\w-]{35}"),
    ("twilio", "TwilioKeyDetector", ("AC", "SK"), r"(?:AC|SK)[a-z0-9]{32}"),
)
KEYWORDS = ("key", "pass", "pwd", "secret", "token", "credential")
# `NAME = value` and `name: value` where the name says it is a secret. The value must look like one: see `_secret_like`.
NAMES = (
    "api[_-]?key|auth[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|service[_-]?key|encryption[_-]?key|account[_-]?key|"
    "password|passwd|passphrase|pwd|db[_-]?pass|secret|token|credentials?"
)
KEYWORD = re.compile(NAMES)
ASSIGNED = re.compile(
    rf"(?i)(?P<name>(?:{NAMES})[\w-]{{0,20}})[\"'\]]{{0,2}}[ \t]{{0,4}}(?P<sign>:=|=>|={{1,3}}|:|\bis\b)[ \t]{{0,4}}"
    r"(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;<>]{4,200})"
)
PLACEHOLDER = re.compile(
    r"(?i)^(?:[x*.•_-]+|\$?\{.*|\$\(.*|\$[A-Z_]+|%.*%|<.*|\[.*|change[_-]?me.*|your[_-].*|example.*|placeholder.*|redacted.*"
    r"|none|null|nil|true|false|undefined|string|required"
    r"|optional|os\.environ.*|process\.env.*|getenv.*|env\..*|settings\..*|self\..*|config\..*|secrets?\..*|vault.*|\w+\(.*)$"
)
SLICE = 2_000
OVERLAP = 300
STRENGTH = 6


class CredentialsDetector:
    """CREDENTIAL findings."""

    name = "credentials"
    version = "1"
    cost = 2
    provides: frozenset[EvidenceKind] = frozenset({entity_kind("CREDENTIAL")})

    @cached_property
    def _plugins(self) -> tuple[tuple[Any, tuple[str, ...], re.Pattern[str]], ...]:
        return tuple(
            (getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)(), literals, re.compile(pattern))
            for module, name, literals, pattern in PLUGINS
        )

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """Look where a secret may be."""
        return [collect(self._findings(text)) for text in texts]

    def _findings(self, text: Normalized) -> Iterator[Finding]:
        seen: set[tuple[int, int]] = set()
        for span, score in (*self._assigned(text), *self._shaped(text.text)):
            if span not in seen:
                seen.add(span)
                yield text.finding(self.name, "CREDENTIAL", span, score)

    def _assigned(self, text: Normalized) -> Iterator[tuple[tuple[int, int], float]]:
        """Values assigned to a name that says it is a secret."""
        if any(word in text.lowered for word in KEYWORDS):
            last = 0
            for keyword in KEYWORD.finditer(text.lowered):
                if keyword.start() < last:
                    continue
                match = ASSIGNED.match(text.text, keyword.start())
                if match is not None and _secret_like(match):
                    last = match.end()
                    yield match.span("value"), 0.85

    def _shaped(self, text: str) -> Iterator[tuple[tuple[int, int], float]]:
        """Values whose shape is that of a known provider's key."""
        possible = [plugin for plugin, literals, pattern in self._plugins if any(map(text.__contains__, literals)) and pattern.search(text)]
        for start, piece in _slices(text) if possible else ():
            for plugin in possible:
                for secret in plugin.analyze_string(piece):
                    place = piece.find(secret)
                    if place >= 0 and secret and not PLACEHOLDER.match(secret):
                        yield (start + place, start + place + len(secret)), 0.95


def _slices(text: str) -> Iterator[tuple[int, str]]:
    """Lines, the long ones in overlapping pieces."""
    start = 0
    for line in text.split("\n"):
        for offset in range(0, max(1, len(line) - OVERLAP), SLICE - OVERLAP):
            yield start + offset, line[offset : offset + SLICE]
        start += len(line) + 1


def _secret_like(match: re.Match[str]) -> bool:
    """Six characters or more with a digit or a symbol among letters, or anything quoted or behind `=`; never a placeholder."""
    value = match.group("value").rstrip(".)")
    if len(value) < STRENGTH or PLACEHOLDER.match(value):
        return False
    mixed = any(character.isdigit() for character in value) and any(character.isalpha() for character in value)
    symbol = any(not character.isalnum() and character not in "/._-" for character in value[1:-1])
    assigned = match.group("sign") in {"=", ":="} and match.group("quote") != "" and "token" not in match.group("name").lower()
    return mixed or (symbol and "(" not in value) or assigned


def detector() -> CredentialsDetector:
    """The one detector for all kinds of credentials."""
    return CredentialsDetector()
