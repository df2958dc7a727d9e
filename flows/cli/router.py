"""`waybill router …`: train and judge a router, and calibrate from which confidence a local answer is kept."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import FORMATS, show
from flows.counted_words import counted

if TYPE_CHECKING:
    from flows.router_outcomes import Outcomes

FILE = click.Path(dir_okay=False, path_type=Path)
LEDGER = click.option("--ledger", type=click.Path(file_okay=False, path_type=Path), help="A ledger folder.")
SHARE = click.FloatRange(0.5, 1, min_open=True, max_open=True)
CONFIDENCE = click.option("--confidence", type=SHARE, default=0.95, show_default=True, help="Of the intervals, or of the guarantee.")
FORMAT = click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print the table.")
PLOT = click.option("--plot", type=FILE, help="Draw the curves: a PNG.")
ENDPOINT = click.option("--endpoint", help="Answers of this local endpoint only.")


@click.group()
def router() -> None:
    """Train and judge a router, and calibrate from which confidence a local answer is kept."""


@router.command()
@click.argument("file", type=FILE, required=False)
@LEDGER
@click.option("--output", type=FILE, required=True, help="The router, a JSON file that `lanes.router` names.")
@PLOT
@CONFIDENCE
@FORMAT
def train(*, file: Path | None, ledger: Path | None, output: Path, plot: Path | None, confidence: float, fmt: str) -> int:
    """Fit a router to FILE, labelled outcomes as JSON lines, or to the ledger, and measure it on subjects it has not seen.

    The file says whether it may be used: only where it beats chance, length and the best single feature, each with its whole interval.
    """
    from flows.router_report import told, train_table  # noqa: PLC0415 - heavy; `--help` must stay instant
    from flows.router_training import train as fit  # noqa: PLC0415

    outcomes, subject = _outcomes(file, ledger)
    report = fit(outcomes, where=file or ledger, confidence=confidence, today=datetime.now(UTC).date(), subject=subject)
    _write(output, report.router.text.encode())
    if plot:
        from flows.router_plot import plot as draw  # noqa: PLC0415

        title = f"{report.router.trained.rows:,} requests of {report.router.trained.subjects} {subject}, none seen in training"
        _write(plot, draw(report.scored, report.scores, title=title))
    show(train_table(report), fmt)
    for line in told(report, output, subject):
        click.echo(line, err=fmt != "table")
    return 0


@router.command("eval")
@click.argument("model", type=FILE)
@click.argument("file", type=FILE, required=False)
@LEDGER
@PLOT
@CONFIDENCE
@FORMAT
def evaluate(*, model: Path, file: Path | None, ledger: Path | None, plot: Path | None, confidence: float, fmt: str) -> int:
    """Measure a trained router, the file MODEL, on outcomes that it was not trained on. Changes nothing."""
    from flows.router_report import evaluate as measure  # noqa: PLC0415
    from flows.router_report import scores_table  # noqa: PLC0415
    from policies.strategies.router import load_router  # noqa: PLC0415

    loaded = load_router(model)
    outcomes, subject = _outcomes(file, ledger)
    scored = measure(loaded, outcomes, where=file or ledger, confidence=confidence, subject=subject)
    if plot:
        from flows.router_plot import plot as draw  # noqa: PLC0415

        _write(plot, draw(scored, tuple(scored.curves), title=f"{len(outcomes.weak):,} requests of {outcomes.subject_count} {subject}"))
    show(scores_table(scored, tuple(scored.curves)), fmt)
    click.echo(f"{model}: usable: {str(loaded.usable).lower()}, as decided when it was trained", err=fmt != "table")
    return 0


@router.command()
@click.argument("file", type=FILE, required=False)
@LEDGER
@ENDPOINT
@click.option("--target", type=SHARE, default=0.95, show_default=True, help="The share of kept answers that are to be right.")
@CONFIDENCE
@click.option("--output", type=FILE, required=True, help="The calibration, a JSON file that `lanes.calibration` names.")
def calibrate(*, file: Path | None, ledger: Path | None, endpoint: str | None, target: float, confidence: float, output: Path) -> int:
    """Pick the confidence from which local answers are kept, from FILE (confidence, verdict) or the ledger's newest sample.

    With the stated confidence, at least the target share of all answers that are kept are right. Refuses where the sample does not show it.
    """
    from flows.local_answers import joined, ledger_reviewed  # noqa: PLC0415
    from flows.router_calibration import calibrate as pick  # noqa: PLC0415
    from flows.router_reviews import read_reviewed  # noqa: PLC0415

    if file is not None:
        sample = joined(read_reviewed(file), file, ledger, endpoint=endpoint)
    elif ledger is not None:
        sample = ledger_reviewed(ledger, endpoint=endpoint)
    else:
        raise click.UsageError("name a FILE of reviewed answers, or --ledger")
    found = pick(sample, where=file or ledger, target=target, confidence=confidence, today=datetime.now(UTC).date())
    _write(output, found.text.encode())
    click.echo(
        f"threshold {found.threshold:g}: {found.accepted:,} of {found.reviewed:,} reviewed answers ({found.accepted_share:.1%}) are kept, "
        f"{found.wrong:,} of them wrong"
    )
    click.echo(
        f"with confidence {confidence:g} at least {target:g} of all kept answers are right, if these were drawn at random from them "
        f"(learn-then-test with exact binomial tails; at this threshold alone at least {found.right_at_least:.4f})"
    )
    click.echo(f"written to {output}; a job uses it as lanes.calibration")
    return 0


@router.command()
@click.option("--ledger", type=click.Path(file_okay=False, path_type=Path), default="out/ledger", show_default=True, help="The ledger.")
@ENDPOINT
@click.option("--job", help="Answers of this job only, by its name.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Answers from this day on (UTC): of the last change.")
@click.option("--n", "size", type=click.IntRange(1, 1_000_000), default=500, show_default=True, help="How many answers.")
@click.option("--seed", help="Letters, digits and hyphens; a random one when absent.")
@click.option("--output", type=FILE, required=True, help="The CSV file for the reviewers, for its owner only; never one that is there.")
def sample(*, ledger: Path, size: int, seed: str | None, output: Path, since: datetime | None, **given: str | None) -> int:
    """Draw local answers of one model and template at random, for people to say whether each is right. Writes nothing to the ledger."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    from flows.answer_sampling import draw_answers  # noqa: PLC0415

    if output.exists():
        raise click.UsageError(f"--output: {output} is there already, and may hold verdicts; name another file")
    day = since.date() if since else None
    drawn = draw_answers(ledger, seed=seed or secrets.token_hex(8), size=size, endpoint=given["endpoint"], job=given["job"], since=day)
    show(pa.Table.from_pylist(drawn.lines), "csv", output=output)
    click.echo(f"{len(drawn.rows):,} of {drawn.population:,} local answers of {drawn.spec.endpoint}, drawn at random")
    click.echo("fill in the column verdict (right, wrong or unsure), then: waybill router review FILE --reviewer NAME")
    return 0


@router.command()
@click.argument("file", type=FILE)
@click.option("--ledger", type=click.Path(file_okay=False, path_type=Path), default="out/ledger", show_default=True, help="The ledger.")
@click.option("--reviewer", required=True, help="Whose verdicts these are.")
@click.option("--keys", type=click.Path(path_type=Path), help="The ledger's key folder, where it is not beside the ledger.")
def review(*, file: Path, ledger: Path, reviewer: str, keys: Path | None) -> int:
    """Enter the verdicts of FILE, a sample that was filled in. Every line must be good, or nothing is entered."""
    from flows.answer_sampling import enter_answers  # noqa: PLC0415
    from flows.router_reviews import read_reviewed  # noqa: PLC0415

    lines = read_reviewed(file)
    entered = enter_answers(ledger, file, lines, reviewer=reviewer, keys=keys, now=datetime.now(UTC))
    wrong = sum(not line.right for line in lines)
    click.echo(f"{counted(entered, 'verdict')} entered; of {counted(len(lines), 'answer')}, {wrong:,} wrong or in doubt")
    return 0


def _outcomes(file: Path | None, ledger: Path | None) -> tuple[Outcomes, str]:
    if (file is None) == (ledger is None):
        raise click.UsageError("name either a FILE of labelled outcomes or --ledger")
    if ledger is not None:
        from flows.router_ledger import ledger_outcomes  # noqa: PLC0415 - heavy

        return ledger_outcomes(ledger)
    from flows.router_outcomes import read_outcomes  # noqa: PLC0415

    return read_outcomes(file or Path()), "subjects"


def _write(path: Path, data: Any) -> None:
    from sinks.durable import PRIVATE_FILE, replace  # noqa: PLC0415

    try:
        replace(path, data, mode=PRIVATE_FILE)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there") from None
