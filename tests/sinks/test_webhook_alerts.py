"""Alerts over a webhook: counts alone, nothing from the environment, no redirect followed, and no URL in an error."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sinks.clients.webhook import Alert, WebhookOptions, send_alert
from sinks.errors import EndpointError
from tests.sinks.scripted_server import Script, Server, drop, servers, status


@pytest.fixture
def server() -> Iterator[Server]:
    with servers(status(200, {})) as start:
        yield start()


def test_an_alert_is_counts_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    alert = Alert(run_id="nightly-2026-11-22", held=3, ambiguous=1)
    send_alert(alert, WebhookOptions(url=f"{server.url}/hook"))
    (seen,) = server.seen
    body = json.loads(seen.body)
    assert body.pop("run_id") == "nightly-2026-11-22"
    assert all(type(value) is int for value in body.values())
    assert (body["held"], body["ambiguous"], body["failed"]) == (3, 1, 0)


def test_what_is_news_and_what_only_stands_there() -> None:
    assert not Alert(run_id="r", held=3, failed=2, ambiguous=1).news
    assert Alert(run_id="r", quarantined=1).news


@pytest.mark.parametrize("script", [status(500), status(302, {}, location="/elsewhere"), drop], ids=["500", "redirect", "drop"])
def test_an_alert_that_is_not_taken_is_an_error_without_the_url(server: Server, script: Script) -> None:
    server.play(script)
    with pytest.raises(EndpointError) as caught:
        send_alert(Alert(run_id="r", failed=1), WebhookOptions(url=f"{server.url}/hook/token"))
    assert "token" not in str(caught.value)
    assert len(server.seen) == 1
