"""Published curves, to draw beside measured ones.

`data/kodak_reference.csv` holds averages over the 24 Kodak pictures, PSNR and MS-SSIM over RGB, at
constant settings: rate-distortion data that the authors of tensorflow-compression publish
(github.com/tensorflow/compression, `results/image_compression/kodak`, Apache-2.0), the numbers
unchanged. MS-SSIM is stored as it is, not in dB.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import re
from collections.abc import Iterable

import numpy as np

from tfhific.errors import TfhificError

SOURCE = (
    "Published averages over Kodak from tensorflow-compression, results/image_compression/kodak"
)
SHOWN = ("JPEG 4:2:0 (libjpeg)", "BPG 4:4:4", "bmshj2018 hyperprior (MSE)")
"""Those that plots have, and that the page draws before more are asked for."""

KODAK_PICTURES = 24
_KODAK = re.compile(r"kodim(\d\d)\.\w+$", re.IGNORECASE)
_COLUMNS = {"psnr_rgb_db": "psnr", "ms_ssim_rgb": "ms_ssim"}


@dataclasses.dataclass(frozen=True)
class ReferenceCurve:
    """A published curve.

    Attributes:
      codec: as its publishers name it.
      metric: `psnr` or `ms_ssim`.
      rates: float64 [points], bits per pixel, rising.
      values: float64 [points].
    """

    codec: str
    metric: str
    rates: np.ndarray
    values: np.ndarray


def kodak_curves() -> list[ReferenceCurve]:
    """All published Kodak curves."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "kodak_reference.csv")
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            key = (row["codec"], _COLUMNS[row["metric"]])
            points.setdefault(key, []).append((float(row["bpp"]), float(row["value"])))
    return [
        ReferenceCurve(codec, metric, *np.array(sorted(own)).T)
        for (codec, metric), own in points.items()
    ]


def kodak_curve(codec: str, metric: str = "psnr") -> ReferenceCurve:
    """One published Kodak curve.

    Raises:
      TfhificError: none of that name; the message lists what there is.
    """
    curves = kodak_curves()
    for curve in curves:
        if (curve.codec, curve.metric) == (codec, metric):
            return curve
    known = ", ".join(f"{curve.codec} ({curve.metric})" for curve in curves)
    raise TfhificError(f"No published curve {codec!r} of {metric!r}. There are: {known}.")


def is_kodak(names: Iterable[str], sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether pictures are the whole Kodak set, by their names and sizes (width, height)."""
    numbers = [int(m.group(1)) if (m := _KODAK.search(name)) else 0 for name in names]
    right = all(sorted(size) == [512, 768] for size in sizes)
    return right and sorted(numbers) == list(range(1, KODAK_PICTURES + 1))
