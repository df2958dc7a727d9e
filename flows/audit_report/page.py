"""The page: sections put together, and rendered into one HTML file that asks nobody for anything.

- Everything that the ledger says goes through the template's escaping, and through `shown`; nothing is marked safe but our own files.
- The content security policy allows exactly one style and one script, by their hashes, and no request at all.
- The same ledger, registry and arguments give the same bytes, but for the time of creation.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import jinja2

from flows.audit_report import account, exceptions, movement, routing
from flows.audit_report.blocks import Section
from flows.audit_report.breakeven_section import when_own_machines_are_cheaper
from flows.audit_report.period import Period
from flows.audit_report.registry_facts import Registry
from flows.audit_report.verification import Verification
from flows.breakeven import BreakEven
from sinks.ledger.report_rows import ReportData

STYLE, SCRIPT, PAGE = "report.css", "report.js", "report.html"

_TEMPLATES = Path(__file__).with_name("page")


def sections(
    data: ReportData, *, period: Period, registry: Registry, verification: Verification, economics: BreakEven | None = None
) -> list[Section]:
    """The report, top to bottom."""
    return [
        account.summary(data, period, verification),
        movement.class_to_destination(data),
        movement.daily_volumes(data, period),
        movement.egress_by_endpoint(data, registry),
        routing.routing(data),
        exceptions.held_records(data),
        exceptions.overrides(data),
        exceptions.ambiguous(data),
        account.costs(data),
        *([when_own_machines_are_cheaper(economics)] if economics is not None else []),
        account.local_engine(data),
        *exceptions.found_afterwards(data),
        account.versions(data),
        account.runs_and_entries(data),
        account.seal(data, verification),
        account.not_in_the_ledger(),
    ]


def page(parts: Sequence[Section], *, origin: str, period: Period, verification: Verification, created: datetime) -> str:
    """The HTML of these sections."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(PAGE).render(
        sections=parts,
        origin=origin,
        period=period,
        verification=verification,
        created=f"{created:%Y-%m-%d %H:%M:%S} UTC",
        policy=_policy(environment),
    )


def _policy(environment: jinja2.Environment) -> str:
    # The hashes are over what the page will hold between its tags, to the byte.
    style, script = (_hash(environment.get_template(name).render()) for name in (STYLE, SCRIPT))
    return f"default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
