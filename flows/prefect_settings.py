"""Prefect, quiet: no telemetry, no version checks, no log upload. Imported before Prefect, which reads its environment once.

Only what the operator has not set is set: an organisation's own choice stands.
"""

from __future__ import annotations

import os

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
}

TERMINAL = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # What these report at ERROR is our own error with a traceback; the command says it in one line.
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "CRITICAL",
}

for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)


def quiet_at_the_terminal() -> None:
    """Leave the terminal to the command's own lines, and to warnings. Before the first import of Prefect."""
    for name, value in TERMINAL.items():
        os.environ.setdefault(name, value)


def api_is_configured() -> bool:
    """Whether the environment or the active profile names a Prefect API."""
    from prefect.settings import get_current_settings  # noqa: PLC0415 - only after the lines above

    return get_current_settings().api.url is not None
