"""What an operator sees while a night runs, and when it ends: counts, destinations, places. Never a document.

On a terminal, one live line; elsewhere (cron, CI, a log file) a plain line now and then.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, Protocol

from rich.console import Console
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from flows.counted_words import SEVERAL_CLASSES, counted
from flows.report import DESTINATIONS, NightReport
from sinks.lanes.vllm_fleet import LaneProgress

LOGGER = logging.getLogger("waybill")
PLAIN_INTERVAL_S = 15.0


def engine_line(name: str, progress: LaneProgress) -> str:
    """An engine in a few words: records done, tokens per second, and about how long the rest will take."""
    line = f"{name}: {progress.done:,} of {progress.rows:,} records"
    if progress.done == 0 or progress.seconds_working < 1:
        return f"{line}, {progress.state}"
    tokens_per_s = (progress.tokens_in + progress.tokens_out) / progress.seconds_working
    left_s = (progress.rows - progress.done) * progress.seconds_working / progress.done
    end = datetime.now().astimezone() + timedelta(seconds=left_s)
    return f"{line}, {tokens_per_s:,.0f} tokens/s, done about {end:%H:%M}"


class Progress(Protocol):
    """Hears of the steps of a night."""

    def stage(self, label: str) -> None:
        """The night has come to another stage."""
        ...

    def carried(self, documents: int) -> None:
        """So many more documents were read and sent on their way."""
        ...


class SilentProgress:
    """Nobody watches: a worker's run, whose states show in Prefect."""

    def stage(self, label: str) -> None:
        """Say nothing."""

    def carried(self, documents: int) -> None:
        """Say nothing."""


class TerminalProgress:
    """One live line on a terminal."""

    def __init__(self, live: RichProgress) -> None:
        self.live = live
        self.task = live.add_task("starting", total=None)

    def stage(self, label: str) -> None:
        """Rename the live line."""
        self.live.update(self.task, description=label)

    def carried(self, documents: int) -> None:
        """Count up."""
        self.live.update(self.task, advance=documents)


class PlainProgress:
    """A line now and then, for logs."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.documents = 0
        self.spoke_at = time.monotonic()

    def stage(self, label: str) -> None:
        """One line a stage."""
        self._say(label)

    def carried(self, documents: int) -> None:
        """One line every quarter of a minute."""
        self.documents += documents
        if time.monotonic() - self.spoke_at >= PLAIN_INTERVAL_S:
            self._say(f"{self.documents} documents so far")

    def _say(self, line: str) -> None:
        self.spoke_at = time.monotonic()
        print(f"waybill: {line}", file=self.stream, flush=True)


class _Lines(logging.Handler):
    """The program's own log as lines among the progress: no time, no logger's name, and never across the live line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(f"waybill: {record.getMessage()}")


@contextmanager
def _log_lines(say: Callable[[str], None]) -> Iterator[None]:
    handler, before = _Lines(say), LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.propagate = before
        LOGGER.removeHandler(handler)


@contextmanager
def watching(stream: IO[str]) -> Iterator[Progress]:
    """The progress that fits the stream: live on a terminal, plain lines elsewhere."""
    if not stream.isatty():
        with _log_lines(lambda line: print(line, file=stream, flush=True)):
            yield PlainProgress(stream)
        return
    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    # How many there will be is not known before the last batch is read: a count, no bar.
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} documents"), TimeElapsedColumn())
    with RichProgress(*columns, console=console, transient=True) as live, _log_lines(live.console.print):
        yield TerminalProgress(live)


def _money(report: NightReport) -> Iterator[str]:
    """What the night cost, where anything did; and how much of the budget that leaves."""
    for one in report.costs:
        if one.cost_usd or one.open_usd or one.unpriced:
            line = f"{one.endpoint}: ${one.cost_usd:.4f} for {counted(one.records, 'record')}"
            line += f", for which ${one.reserved_usd:.4f} had been reserved"
            line += f", ${one.open_usd:.4f} still reserved" if one.open_usd else ""
            yield line + (f"; {one.unpriced} unpriced: the provider reported no usage" if one.unpriced else "")
    for name, (committed, limit) in report.budget.items():
        share = f" ({committed / limit:.0%})" if limit else ""
        yield f"budget   ${committed:.4f} of ${limit:.2f}{share} committed for the {name}"


def _troubles(report: NightReport) -> Iterator[str]:
    """What went otherwise than first wanted: what is held and failed and why, who was not there, what went elsewhere instead."""
    if report.stopped:
        yield "stopped  by the budget (on_budget: stop): nothing more goes to a provider in this run; see budget_ under held"
    for name, reasons in (("held", report.held_for), ("failed", report.failed_for)):
        if reasons:
            yield f"{name:8} {', '.join(f'{count:,} {reason}' for reason, count in reasons.items())}"
    for one in report.closed:
        yield f"closed   {one.endpoint}: {one.failure}: nothing more was sent to it in this start (the job says: {one.way})"
    for failure, places in report.elsewhere.items():
        where = ", ".join(f"{count:,} to {endpoint}" for endpoint, count in places.items())
        yield f"moved    {counted(sum(places.values()), 'record')} because of {failure}: {where}"


def closing_table(report: NightReport, *, stream: IO[str], job: str, out: str | None) -> None:
    """Class × destination, then where everything is. job, out: as given to the command, for the next one."""
    console = Console(file=stream, highlight=False, soft_wrap=True, markup=False, emoji=False)  # a path may hold brackets
    table = Table(title=f"run {report.run_id}", title_justify="left")
    table.add_column("data class")
    shown = [name for name in DESTINATIONS if name in ("local", "cloud", "held") or any(row.get(name) for row in report.by_class.values())]
    for destination in shown:
        table.add_column(destination, justify="right")
    for data_class, counts in sorted(report.by_class.items()):
        table.add_row(data_class, *(str(counts.get(name, 0) or "·") for name in shown))
    console.print(table)
    if len(report.by_class) > 1:
        console.print(SEVERAL_CLASSES)
    console.print(
        f"{counted(report.documents, 'document')}: {counted(report.results, 'result')}, {report.held} held, {report.failed} failed, "
        f"{report.pending} pending"
        + (f"; {report.unchanged} unchanged since an earlier night" if report.unchanged else "")
        + f", in {report.seconds:.1f} s"
    )
    for line in (*_troubles(report), *_money(report)):
        console.print(line)
    ledger = shlex.quote(report.ledger)
    if report.refused:
        refused = f"The gate refused {counted(report.refused, 'shard')}: nothing of that was sent."
        console.print(f"{refused} See: waybill audit held --ledger {ledger}")
    if report.unanchored:
        console.print(f"{counted(report.unanchored, 'anchor')} did not take the ledger's newest checkpoint; the next run's end tries again")
    console.print(f"results  {report.output}")
    console.print(f"ledger   {report.ledger}")
    console.print(f"next     waybill audit summary --ledger {ledger}")
    if report.held:
        console.print(f"         waybill held list --ledger {ledger}")
    if report.pending:
        command = shlex.join(["waybill", "collect", job, *(("--out", out) if out else ())])
        console.print(f"         {command}   # fetches what the cloud has not finished yet")
