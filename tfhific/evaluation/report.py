"""`report.html`: one page with curves, tables and pictures to look at, and nothing outside it."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import os
from typing import Any

from tfhific.evaluation import summary
from tfhific.evaluation.curves import METRICS
from tfhific.evaluation.record import Record
from tfhific.evaluation.reference import SHOWN, SOURCE
from tfhific.evaluation.report_options import ReportOptions
from tfhific.evaluation.report_pictures import Embedded, embed_pictures

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
_SCRIPTS = ("common.js", "curves.js", "tables.js", "viewer.js")


def to_html(evaluation: Record, out: str | None = None, options: ReportOptions | None = None):
    """The page.

    Args:
      evaluation: what was measured.
      out: where its files are kept, if they are; others are made again.
      options: what the page holds.

    Returns:
      str.
    """
    embedded = embed_pictures(evaluation, out, options or ReportOptions())
    title = f"{evaluation.name}: {', '.join(evaluation.labels)}"
    parts = {
        "title": html.escape(title),
        "style": _read("page.css"),
        "data": as_json(page_data(evaluation, embedded)),
        "pictures": "\n".join(
            f'<script type="text/plain" id="{key}">{uri}</script>'
            for key, uri in embedded.sources.items()
        ),
        "script": "\n".join(_read(name) for name in _SCRIPTS),
    }
    pieces = _read("page.html").split("@")
    # Every other piece is a part's name: what is put in is never searched for names itself.
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def page_data(evaluation: Record, embedded: Embedded) -> dict[str, Any]:
    """What the page's script draws from."""
    curves = evaluation.curves()
    labels = [curve.codec for curve in curves]
    compared = evaluation.compare() if evaluation.anchor in labels else []
    published = summary.references(evaluation)
    network = evaluation.distances[0].network if evaluation.distances else ""
    return {
        "lead": summary.lead(evaluation),
        "curve_note": summary.CURVE_NOTE
        + (f" Dashed: {SOURCE[0].lower()}{SOURCE[1:]}." if published else ""),
        "difference_note": summary.difference_note(evaluation),
        "points_note": summary.points_note(evaluation),
        "distance_note": summary.DISTANCE_NOTE.format(network=network),
        "embedded_note": embedded.note,
        "about": summary.about(evaluation),
        "codecs": [{"name": label} for label in labels],
        "metrics": [dataclasses.asdict(metric) for metric in METRICS],
        "curves": [
            {
                "codec": curve.codec,
                "peak_memory_mib": curve.peak_memory_mib,
                "points": [_point(point) for point in curve.points],
            }
            for curve in curves
        ],
        "references": [
            {
                "codec": curve.codec,
                "metric": curve.metric,
                "points": list(zip(curve.rates.tolist(), curve.values.tolist())),
            }
            for curve in published
        ],
        "shown_references": list(SHOWN),
        "comparisons": [_comparison(each) for each in compared],
        "distances": [dataclasses.asdict(each) for each in evaluation.distances],
        "levels": embedded.levels,
        "pictures": embedded.pictures,
    }


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element: no tag can begin or end in it."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "replace").decode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value == math.inf else None
    return value


def _point(point) -> dict[str, Any]:
    return {
        "point": point.point,
        "bpp": point.bpp,
        "means": point.means,
        "intervals": point.intervals,
        "missed": point.missed,
        "encode_seconds": point.encode_seconds,
        "decode_seconds": point.decode_seconds,
    }


def _comparison(each) -> dict[str, Any]:
    return {
        "codec": each.codec,
        "metric": each.metric,
        "rate": None if each.rate is None else each.rate.value,
        "rate_interval": each.rate_interval,
        "quality": None if each.quality is None else each.quality.value,
        "quality_interval": each.quality_interval,
        "reason": each.reason,
    }


def _read(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as stream:
        return stream.read().rstrip("\n")
