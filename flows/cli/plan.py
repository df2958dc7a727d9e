"""`waybill plan JOB`: what would go where, how much, how long; no side effects."""

from __future__ import annotations

import click


@click.command()
@click.argument("job", type=click.Path(dir_okay=False))
@click.option("--limit", type=click.IntRange(min=1), help="Take only the first N documents.")
def plan(*, job: str, limit: int | None) -> None:
    """Say what JOB would send where, without sending, writing or recording anything."""
    from rich.console import Console  # noqa: PLC0415 - heavy; `--help` must stay instant
    from rich.table import Column, Table  # noqa: PLC0415

    from flows.night import NightOptions  # noqa: PLC0415
    from flows.planning import make_plan  # noqa: PLC0415

    made = make_plan(NightOptions(job=job, limit=limit))
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    places = Table(
        Column("destination", no_wrap=True), "documents", "tokens in, about", "tokens out, at most", Column("US dollars", no_wrap=True)
    )
    for name, documents in made.by_endpoint.most_common():
        dollars = f"{made.usd_least[name]:,.4f} to {made.usd_most[name]:,.4f}" if made.usd_most.get(name) else ""
        places.add_row(name, f"{documents:,}", f"{made.tokens_in[name]:,}", f"{made.tokens_out[name]:,}", dollars)
    for reason, documents in made.by_reason.most_common():
        places.add_row(f"held: {reason}", f"{documents:,}", "", "", "")
    console.print(places)
    classes = Table("data class", "local", "cloud", "held")
    for name in sorted({name for name, _ in made.by_class}):
        classes.add_row(name, *(str(made.by_class[name, place] or "·") for place in ("local", "cloud", "held")))
    console.print(classes)
    for period, most in (("night", made.budget.night), ("month", made.budget.month)):
        if most is not None:
            console.print(f"budget for the {period}: ${most:.2f}; what does not fit at its most is not handed over (docs/cloud/costs.md)")
    console.print(f"{made.documents:,} documents; reading and detection took {made.seconds:.1f} s here. Nothing was sent or recorded.")
