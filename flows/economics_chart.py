"""The break-even chart: what a month costs by volume, at each provider and on own machines. The one place that draws it, with matplotlib.

Both scales are logarithmic. A provider is a line in a colour of its own: solid at list price, dashed in batches. Own machines are the black
stair. Where they begin to be cheaper there is a mark: full at list price, hollow in batches.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from flows.breakeven import BreakEven, ModelRow, tokens
from policies.prices import MILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which those who cannot tell red from green can tell apart: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
OWN, GRID, TEXT = "#000000", "#D9D9D9", "#333333"
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 9.6, 6.0, 150
POINTS_A_DECADE = 200
BESIDE = 1.08
"""From the ends of lines to their names, on a logarithmic scale."""
NAMES_APART = 0.034
"""Of the height, between names at the ends of lines."""


def break_even_chart(found: BreakEven, *, kind: Literal["png", "svg"] = "png") -> bytes:
    """The chart as a file's bytes; the same for the same figures, byte for byte."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy; only where a chart is asked for
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above; no display is ever looked for
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    with mpl.rc_context({"svg.hashsalt": "waybill", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, found)
        data = io.BytesIO()
        # Without what changes from one time to the next, or names the program that drew it.
        figure.savefig(data, format=kind, metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None})
    return data.getvalue()


def _draw(figure: Figure, found: BreakEven) -> None:
    axes = figure.subplots()
    low, high = float(min(found.inputs.volumes)), float(max(found.inputs.volumes))
    if low == high:  # a chart of one volume is one of what lies around it
        low, high = low / 10, high * 10
    volumes = _spaced(low, high)
    # The model that is asked about comes last, over the others.
    coloured = sorted(zip(found.by_model, _colours(len(found.by_model)), strict=True), key=lambda one: one[0].api == found.inputs.against)
    for row, colour in coloured:
        _provider(axes, row, colour, volumes, asked=row.api == found.inputs.against)
    fleet = found.inputs.fleet
    axes.plot(volumes, [float(fleet.cost(Decimal(one))) for one in volumes], color=OWN, linewidth=2.6, drawstyle="steps-post", zorder=5)
    axes.annotate(
        f"{fleet.name} (own machines)",
        (volumes[0], float(fleet.monthly)),
        xytext=(4, 6),
        textcoords="offset points",
        color=OWN,
        weight="bold",
    )
    for row, colour in coloured:
        _marks(axes, row, colour, found)
    _frame(axes, found, low, high)
    _names(axes, coloured, volumes[-1], found)


def _provider(axes: Axes, row: ModelRow, colour: str, volumes: list[float], *, asked: bool) -> None:
    """Both lines of a model."""
    for usd, style in ((row.usd_list, "-"), (row.usd_batch, "--")):
        if not usd:
            continue  # nothing has no place on a logarithmic scale
        costs = [one * float(usd) / MILLION for one in volumes]
        axes.plot(
            volumes,
            costs,
            color=colour,
            linestyle=style,
            linewidth=2.4 if asked else 1.1,
            alpha=1 if asked else 0.75,
            zorder=4 if asked else 3,
        )


def _names(axes: Axes, coloured: Sequence[tuple[ModelRow, str]], end: float, found: BreakEven) -> None:
    """The model's name at the end of its upper line, moved up where another one is already there."""
    low, high = (math.log10(one) for one in axes.get_ylim())
    apart, before = (high - low) * NAMES_APART, -math.inf
    for row, colour in sorted(coloured, key=lambda one: one[0].usd_list):
        if not row.usd_list:
            continue
        true = end * float(row.usd_list) / MILLION
        place = max(math.log10(true), before + apart)
        before = place
        axes.annotate(
            row.api.name,
            (end, true),
            xytext=(end * BESIDE, 10**place),
            va="center",
            color=colour,
            weight="bold" if row.api == found.inputs.against else "normal",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
        )


def _marks(axes: Axes, row: ModelRow, colour: str, found: BreakEven) -> None:
    """Where own machines begin to be cheaper; of the model that is asked about, with the volume."""
    asked = row.api == found.inputs.against
    for crossed, usd, full in ((row.at_list, row.usd_list, True), (row.at_batch, row.usd_batch, False)):
        if crossed.first is None or crossed.first > max(found.inputs.volumes):
            continue
        place = (float(crossed.first), float(crossed.first * usd) / MILLION)
        filling, size, order = colour if full else "white", 10 if asked else 6, 8 if asked else 6
        axes.plot(*place, marker="o", markersize=size, color=colour, markerfacecolor=filling, markeredgewidth=2, zorder=order)
        if asked:
            label = f"{tokens(crossed.first)} at {'list' if full else 'batch'} price"
            beside = (-10, 24) if full else (10, -24)
            axes.annotate(
                label,
                place,
                xytext=beside,
                textcoords="offset points",
                ha="right" if full else "left",
                color=colour,
                weight="bold",
                zorder=9,
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": colour},
                arrowprops={"arrowstyle": "-", "color": colour},
            )


def _frame(axes: Axes, found: BreakEven, low: float, high: float) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - as above
    from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: PLC0415 - as above

    mix = found.inputs.mix
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tokens(Decimal(str(value)))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:,.0f}" if value >= 1 else f"${value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"tokens a month (input to output {mix.input}:{mix.output})", color=TEXT)
    axes.set_ylabel("US dollars a month", color=TEXT)
    axes.set_title(found.inputs.title, loc="left", color=TEXT, weight="bold", pad=12)
    axes.grid(visible=True, color=GRID, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend: list[Any] = [
        Line2D([], [], color=OWN, linewidth=2.4, label="own machines, in whole hosts"),
        Line2D([], [], color=TEXT, linewidth=1.6, label="provider, list price"),
        Line2D([], [], color=TEXT, linewidth=1.6, linestyle="--", label="provider, batch price"),
        Line2D([], [], color=TEXT, marker="o", linestyle="", markersize=8, label="own machines begin to be cheaper than list"),
        Line2D(
            [], [], color=TEXT, marker="o", linestyle="", markersize=8, markerfacecolor="white", markeredgewidth=1.8, label="… than batch"
        ),
    ]
    axes.legend(handles=legend, loc="upper left", frameon=False, labelcolor=TEXT)


def _colours(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _spaced(low: float, high: float) -> list[float]:
    """Volumes from the least to the greatest, evenly on a logarithmic scale."""
    import numpy as np  # noqa: PLC0415 - as above

    return [float(one) for one in np.geomspace(low, high, max(2, int(math.log10(high / low) * POINTS_A_DECADE)))]
