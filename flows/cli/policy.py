"""`waybill policy …`: is the policy sound, and does it decide what its cases say?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from flows.cli.policy_diff import diff
from flows.counted_words import counted


@click.group()
def policy() -> None:
    """Check a policy, or run its cases."""


@policy.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--registry", type=click.Path(dir_okay=False, path_type=Path), help="Endpoint registry; the bundled one when absent.")
@click.option("--prices", type=click.Path(dir_okay=False, path_type=Path), help="Price file; the bundled one when absent.")
def check(path: Path | None, registry: Path | None, prices: Path | None) -> int:
    """Refuse contradictions, unreachable rules, expired facts, missing prices, routes without required facts. Exit 1 on errors."""
    from detectors import load  # noqa: PLC0415 - heavy; `--help` must stay instant
    from policies.check import Severity  # noqa: PLC0415
    from policies.check import check as find_problems  # noqa: PLC0415
    from policies.load import DEFAULT_POLICY, DEFAULT_REGISTRY  # noqa: PLC0415
    from policies.registry import load_rulebook  # noqa: PLC0415

    rules = load_rulebook(path or DEFAULT_POLICY, registry, prices)
    loaded = rules.policy
    known = load(ner=loaded.ner, participants=loaded.participants).kinds
    problems = find_problems(loaded, rules.registry, today=datetime.now(UTC).date(), known=known, prices=rules.prices)
    for problem in problems:
        click.echo(f"{problem.severity}: {problem.where}: {problem.message}")
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    size = f"{path or DEFAULT_POLICY.name}: {counted(len(loaded.classes), 'class', 'classes')}, {counted(len(loaded.routes), 'route')}"
    places = f"{registry or DEFAULT_REGISTRY.name}: {counted(len(rules.registry), 'endpoint')}"
    click.echo(f"{size}; {places}; {counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}")
    return 1 if errors else 0


@policy.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option(
    "--cases", type=click.Path(dir_okay=False, path_type=Path), help="Case file; POLICY.cases.yaml beside the policy when absent."
)
def test(path: Path | None, cases: Path | None) -> int:
    """Decide every case beside the policy and compare. Exit 1 when one comes out otherwise."""
    from detectors import load  # noqa: PLC0415
    from detectors.scan import scan  # noqa: PLC0415
    from policies.cases import load_cases, run_cases  # noqa: PLC0415
    from policies.demand import demand_for  # noqa: PLC0415
    from policies.load import DEFAULT_POLICY, load_policy  # noqa: PLC0415

    file = path or DEFAULT_POLICY
    case_file = cases or file.with_name(f"{file.stem}.cases.yaml")
    loaded = load_policy(file)
    detectors = load(ner=loaded.ner, participants=loaded.participants)
    complete = demand_for(loaded, complete=True)
    outcomes = run_cases(loaded, load_cases(case_file), lambda document: next(iter(scan([document], detectors, complete))))
    for outcome in outcomes:
        if not outcome.passed:
            case = outcome.case
            click.echo(
                f"{case_file}:{case.line}: {case.name}: expected {_words(case.classes)} → {_words(case.lanes)}, "
                f"found {_words(outcome.classes)} → {_words(outcome.lanes)}"
            )
    failed = sum(not outcome.passed for outcome in outcomes)
    click.echo(f"{case_file.name}: {len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _words(names: object) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "held"  # type: ignore[attr-defined]


policy.add_command(diff)
