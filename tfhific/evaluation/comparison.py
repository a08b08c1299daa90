"""Curves compared with an anchor's, metric by metric."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfhific.evaluation.bjontegaard_delta import (
    Difference,
    NoOverlapError,
    quality_difference,
    rate_difference,
)
from tfhific.evaluation.curves import METRICS, Curve, Metric, value_of
from tfhific.evaluation.statistics import interval, resamples

# Each resample takes a Bjontegaard difference anew, for every pair of curves and metric.
_RESAMPLES = 200


@dataclasses.dataclass(frozen=True)
class ComparedCurves:
    """The Bjontegaard differences of a codec against the anchor, by one metric.

    Attributes:
      codec: label.
      metric: name.
      rate: percent of bits at equal quality; None where it cannot be taken.
      rate_interval: 95 %, by bootstrap over pictures.
      quality: at equal bits, in the metric's unit (MS-SSIM: dB), more is better; or None.
      quality_interval: 95 %.
      reason: why there is none.
    """

    codec: str
    metric: str
    rate: Difference | None
    rate_interval: tuple[float, float]
    quality: Difference | None
    quality_interval: tuple[float, float]
    reason: str = ""


def compare_curves(anchor: Curve, others: Sequence[Curve]) -> list[ComparedCurves]:
    """Bjontegaard differences of curves against one, by every metric that the anchor has."""
    return [
        compare(anchor, other, metric)
        for metric in METRICS
        if len(anchor.drawn(metric.name)[0])
        for other in others
    ]


def compare(anchor: Curve, other: Curve, metric: Metric) -> ComparedCurves:
    """The differences of one curve against another by one metric."""
    nothing = (math.nan, math.nan)
    a, b = (_on_scale(curve, metric) for curve in (anchor, other))
    try:
        rate, quality = rate_difference(a, b), quality_difference(a, b)
    except NoOverlapError as error:
        return ComparedCurves(other.codec, metric.name, None, nothing, None, nothing, str(error))
    rates, qualities = [], []
    columns = [_columns(curve, metric) for curve in (anchor, other)]
    count = len(anchor.points[0].rows)
    for chosen in resamples(count, _RESAMPLES) if count > 1 else ():
        means = [own[:, chosen].mean(1) for own in columns]
        pair = [(mean[:, 0], metric.quality(mean[:, 1])) for mean in means]
        try:
            rates.append(rate_difference(*pair).value)
            qualities.append(quality_difference(*pair).value)
        except NoOverlapError:
            continue
    enough = len(rates) > _RESAMPLES // 2
    return ComparedCurves(
        other.codec,
        metric.name,
        rate,
        interval(np.array(rates)) if enough else nothing,
        quality,
        interval(np.array(qualities)) if enough else nothing,
    )


def _on_scale(curve: Curve, metric) -> tuple[np.ndarray, np.ndarray]:
    rates, values = curve.drawn(metric.name)
    return rates, metric.quality(values)


def _columns(curve: Curve, metric: Metric) -> np.ndarray:
    """Rates and values, float64 [points, pictures, 2]."""
    return np.array(
        [[[row.bpp, value_of(row, metric.name)] for row in point.rows] for point in curve.points]
    )
