"""Published curves are there, rise, and are shown with the whole Kodak set only."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tfhific.errors import TfhificError
from tfhific.evaluation.reference import is_kodak, kodak_curve, kodak_curves

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "reference" / "kodak_rd.csv"
NAMES = [f"kodim{number:02d}.png" for number in range(1, 25)]


def test_curves_rise_in_both_measures():
    curves = kodak_curves()
    assert {curve.metric for curve in curves} == {"psnr", "ms_ssim"}
    assert len(curves) == 22
    for curve in curves:
        assert (np.diff(curve.rates) > 0).all(), curve.codec
        assert curve.values[-1] > curve.values[0], curve.codec
        low, high = (0, 1) if curve.metric == "ms_ssim" else (15, 60)
        assert low < curve.values.min() <= curve.values.max() < high


def test_one_curve_by_its_name():
    curve = kodak_curve("JPEG 4:2:0 (libjpeg)")
    assert len(curve.rates) == 100
    assert np.interp(0.5, curve.rates, curve.values) == pytest.approx(29.2, abs=0.1)
    with pytest.raises(TfhificError, match="BPG"):
        kodak_curve("JPEG XL")


def test_numbers_are_those_of_the_file_they_came_from():
    if not SHARED.exists():
        pytest.skip("the published numbers are not at ../shared/reference")
    with open(SHARED, newline="", encoding="utf-8") as stream:
        # Some names have a comma and no quotes.
        rows = [line.rstrip("\n").replace('"', "").rsplit(",", 3) for line in stream][1:]
    measure = {"psnr": "psnr_rgb_db", "ms_ssim": "ms_ssim_rgb"}
    found = {(codec, kind, float(bpp), float(value)) for codec, kind, bpp, value in rows}
    for curve in kodak_curves():
        points = zip(curve.rates, curve.values)
        assert {(curve.codec, measure[curve.metric], *point) for point in points} <= found


@pytest.mark.parametrize(
    ("names", "sizes", "expected"),
    [
        (NAMES, [(768, 512)] * 12 + [(512, 768)] * 12, True),
        ([f"sub/{name.upper()}" for name in NAMES], [(768, 512)] * 24, True),
        (NAMES[:23], [(768, 512)] * 23, False),
        ([*NAMES[:23], "kodim01.jpg"], [(768, 512)] * 24, False),
        (NAMES, [(768, 512)] * 23 + [(384, 256)], False),
        ([*NAMES, "other.png"], [(768, 512)] * 25, False),
        ([], [], False),
    ],
)
def test_the_set_is_known_by_names_and_sizes(names, sizes, expected):
    assert is_kodak(names, sizes) is expected
