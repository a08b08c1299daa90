"""Rate-distortion curves: means over pictures, point by point."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfhific.evaluation.metrics import PEAK
from tfhific.evaluation.results import Row
from tfhific.evaluation.statistics import mean_interval


@dataclasses.dataclass(frozen=True)
class Metric:
    """A measure of quality.

    Attributes:
      name: the column of `Row`.
      title: with its unit.
      better: 1 where more is better, else -1.
      digits: after the point, in tables.
    """

    name: str
    title: str
    better: int
    digits: int

    def quality(self, values):
        """Values on the scale that Bjontegaard differences are taken on; more is better.

        MS-SSIM in dB, -10 log10(1 - x), as the reference curves' publishers draw it.
        """
        if self.name == "ms_ssim":
            return -10 * np.log10(np.maximum(1 - np.asarray(values, np.float64), 1e-12))
        return self.better * np.asarray(values, np.float64)


METRICS = (
    Metric("psnr", "PSNR over RGB, dB", 1, 2),
    Metric("psnr_y", "PSNR of luma, dB", 1, 2),
    Metric("ms_ssim", "MS-SSIM", 1, 4),
    Metric("lpips", "LPIPS", -1, 4),
)
METRIC = {metric.name: metric for metric in METRICS}


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """Means over the pictures at one setting or target.

    Attributes:
      point: the setting, or the target.
      rows: one a picture, in the pictures' order.
      bpp: mean bits per pixel.
      means: by metric.
      intervals: of the means, 95 %, by metric and for `bpp`.
      missed: how many pictures missed the target.
    """

    point: str
    rows: tuple[Row, ...]
    bpp: float
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    missed: int

    @property
    def encode_seconds(self) -> float:
        """Median."""
        return float(np.median([row.encode_seconds for row in self.rows]))

    @property
    def decode_seconds(self) -> float:
        """Median."""
        return float(np.median([row.decode_seconds for row in self.rows]))


@dataclasses.dataclass(frozen=True)
class Curve:
    """A codec's points by rising rate.

    Attributes:
      codec: label.
      points: at least one.
      peak_memory_mib: of a process with this codec, NaN where not measured.
    """

    codec: str
    points: tuple[CurvePoint, ...]
    peak_memory_mib: float = math.nan

    def drawn(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Rates and means of a metric, without points that have none (or an infinite one)."""
        kept = [(p.bpp, p.means[metric]) for p in self.points if math.isfinite(p.means[metric])]
        rates, values = zip(*kept) if kept else ((), ())
        return np.array(rates, np.float64), np.array(values, np.float64)


def value_of(row: Row, metric: str) -> float:
    """A row's value as it goes into means.

    A picture that comes back exactly has no finite PSNR, and one such would leave a mean without
    any: it counts with that of a single sample that is off by one, which it is better than.
    """
    value = getattr(row, metric)
    if value == math.inf and metric in ("psnr", "psnr_y"):
        return 10 * math.log10(PEAK**2 * 3 * row.width * row.height)
    return value


def make_curves(rows: Sequence[Row], codecs: Sequence[str]) -> list[Curve]:
    """Curves of codecs, in their order; codecs without rows are left out.

    All means are over the same pictures: one that lacks any codec's point is left out of all.
    """
    kept = complete_pictures(rows)
    curves = []
    for codec in codecs:
        own = [row for row in rows if row.codec == codec and _picture(row) in kept]
        grouped: dict[str, list[Row]] = {}
        for row in own:
            grouped.setdefault(row.target or row.setting, []).append(row)
        points = [make_point(name, sorted(group, key=_picture)) for name, group in grouped.items()]
        peaks = [row.peak_memory_mib for row in rows if row.codec == codec]
        peaks = [peak for peak in peaks if math.isfinite(peak)]
        if points:
            ordered = tuple(sorted(points, key=lambda p: p.bpp))
            curves.append(Curve(codec, ordered, max(peaks, default=math.nan)))
    return curves


def make_point(name: str, rows: Sequence[Row]) -> CurvePoint:
    """The means of one codec's rows, one a picture."""
    columns = {
        key: np.array([value_of(row, key) for row in rows], np.float64) for key in ("bpp", *METRIC)
    }
    means = {key: float(values.mean()) for key, values in columns.items()}
    intervals = {key: mean_interval(values) for key, values in columns.items()}
    bpp = means.pop("bpp")
    missed = sum(not row.reached for row in rows)
    return CurvePoint(name, tuple(rows), bpp, means, intervals, missed)


def complete_pictures(rows: Sequence[Row]) -> set[tuple[str, str]]:
    """Pictures that have every codec's every point."""
    points = {(row.codec, row.target or row.setting) for row in rows}
    found: dict[tuple[str, str], set] = {}
    for row in rows:
        found.setdefault(_picture(row), set()).add((row.codec, row.target or row.setting))
    return {picture for picture, own in found.items() if own == points}


def _picture(row: Row) -> tuple[str, str]:
    return row.image, row.image_digest
