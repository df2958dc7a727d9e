"""The picture of an evaluation: how much of the gap each score recovers, by the share of requests that go to the strong model."""

from __future__ import annotations

import io
from collections.abc import Sequence

from flows.router_metrics import Scored

STYLES = {
    "random": ("#888888", "--", "chance"),
    "length": ("#0072b2", "-", "length alone"),
    "single": ("#009e73", "-", "best single feature"),
    "rules": ("#cc79a7", "-", "complexity rules"),
    "router": ("#d55e00", "-", "router"),
}
"""Colours that people with colour blindness tell apart (M. Okabe and K. Ito, 2008)."""


def plot(scored: Scored, scores: Sequence[str], *, title: str) -> bytes:
    """A PNG. scores: which, in order. Drawn without a window system, and without matplotlib's global state."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy; only where a picture is asked for

    figure = Figure(figsize=(7.5, 5.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for name in scores:
        colour, line, words = STYLES[name]
        curve, apgr = scored.curves[name], scored.measure(name, "apgr")
        label = f"{words}: APGR {apgr.value:.3f}" + ("" if name == "random" else f" [{apgr.low:.3f}, {apgr.high:.3f}]")
        width = 2.4 if name == "router" else 1.4
        axes.plot(100 * curve.share, 100 * curve.recovered, color=colour, linestyle=line, linewidth=width, label=label)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("requests that go to the strong model, %")
    axes.set_ylabel("performance gap recovered (PGR), %")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=9, title=f"with {scored.confidence:.4g} intervals")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()
