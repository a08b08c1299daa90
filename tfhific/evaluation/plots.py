"""Curves as PNG and SVG files."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from tfhific.evaluation.curves import METRICS, Curve, Metric
from tfhific.evaluation.reference import ReferenceCurve

COLOURS = (
    *("#0a5fb4", "#c4383e", "#1f8a50", "#a86f00"),
    *("#7a46b0", "#00828c", "#bd4f97", "#5d6873"),
)
_MARKERS = "os^D"
_DASHES = ((7, 4), (2, 3), (10, 3, 2, 3), (4, 4), (12, 4), (1, 4), (8, 2, 2, 2, 2, 2), (5, 2))


def draw(
    metric: Metric,
    curves: Sequence[Curve],
    references: Sequence[ReferenceCurve] = (),
    title: str = "",
) -> dict[str, bytes]:
    """Draws one metric's curves with the 95 % intervals of their means.

    Args:
      metric: which; MS-SSIM is drawn in dB.
      curves: measured.
      references: published; those of other metrics are left out.
      title: of the plot.

    Returns:
      The files' bytes by extension, `png` and `svg`; the same for the same arguments.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def scale(values):
        return metric.quality(values) if metric.name == "ms_ssim" else np.asarray(values)

    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    widest = 0.0
    for number, curve in enumerate(curves):
        rates, values = curve.drawn(metric.name)
        if not len(rates):
            continue
        widest = max(widest, rates.max())
        colour = COLOURS[number % len(COLOURS)]
        spans = [
            p.intervals[metric.name] for p in curve.points if np.isfinite(p.means[metric.name])
        ]
        shown = scale(values)
        errors = [
            (0.0, 0.0) if np.isnan(low) else tuple(abs(scale([low, high]) - at))
            for at, (low, high) in zip(shown, spans)
        ]
        axes.errorbar(
            rates,
            shown,
            yerr=np.array(errors).T,
            color=colour,
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=5,
            linewidth=1.6,
            elinewidth=0.7,
            label=curve.codec,
        )
    for number, reference in enumerate(r for r in references if r.metric == metric.name):
        kept = reference.rates <= 1.06 * widest
        axes.plot(
            reference.rates[kept],
            scale(reference.values[kept]),
            color="#7b828a",
            linewidth=0.9,
            dashes=_DASHES[number % len(_DASHES)],
            label=f"{reference.codec} (published)",
        )
    axes.set_xlim(0, 1.06 * widest or 1)
    axes.set_xlabel("bits per pixel, whole files")
    axes.set_ylabel("MS-SSIM, dB" if metric.name == "ms_ssim" else metric.title)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color="#e4e1da", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].endswith("(published)"))
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        frameon=False,
        fontsize=8,
        loc="outside right upper",
    )
    files = {}
    with matplotlib.rc_context({"svg.hashsalt": "tfhific", "svg.fonttype": "path"}):
        for kind in ("png", "svg"):
            held = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(held, format=kind, metadata=metadata)
            files[kind] = held.getvalue()
    return files


def drawable(curves: Sequence[Curve]) -> list[Metric]:
    """The metrics that any curve has."""
    return [m for m in METRICS if any(len(curve.drawn(m.name)[0]) for curve in curves)]
