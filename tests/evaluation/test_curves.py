"""Curves are means over the same pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfhific.evaluation.curves import METRIC, complete_pictures, make_curves
from tfhific.evaluation.metrics import psnr


def test_points_are_means_by_rising_rate(make_row):
    rows = [
        make_row(image="a", setting="9", bpp=0.2, psnr=28.0),
        make_row(image="b", setting="9", bpp=0.4, psnr=30.0, encode_seconds=0.6),
        make_row(image="a", setting="1", bpp=0.05),
        make_row(image="b", setting="1", bpp=0.15),
    ]
    (curve,) = make_curves(rows, ["a"])
    assert [point.point for point in curve.points] == ["1", "9"]
    assert curve.points[1].bpp == pytest.approx(0.3)
    assert curve.points[1].means["psnr"] == pytest.approx(29.0)
    assert curve.points[1].encode_seconds == pytest.approx(0.4)
    assert [row.image for row in curve.points[0].rows] == ["a", "b"]


def test_picture_that_lacks_a_point_is_left_out_of_all_means(make_row):
    rows = [
        make_row(image="a", codec="x", psnr=20.0),
        make_row(image="b", codec="x", psnr=40.0),
        make_row(image="a", codec="y", psnr=25.0),
    ]
    assert complete_pictures(rows) == {("a", "0" * 16)}
    x, y = make_curves(rows, ["x", "y"])
    assert x.points[0].means["psnr"] == 20
    assert y.points[0].means["psnr"] == 25


def test_targets_are_points_and_misses_are_counted(make_row):
    rows = [
        make_row(image="a", target="bpp:0.1", setting="3"),
        make_row(image="b", target="bpp:0.1", setting="4", reached=False),
    ]
    (curve,) = make_curves(rows, ["a"])
    assert [(p.point, p.missed, len(p.rows)) for p in curve.points] == [("bpp:0.1", 1, 2)]


def test_memory_is_the_largest_measured_and_codecs_without_rows_are_left_out(make_row):
    rows = [make_row(peak_memory_mib=90.0), make_row(setting="2", peak_memory_mib=120.0)]
    (curve,) = make_curves(rows, ["a", "b"])
    assert curve.peak_memory_mib == 120
    (curve,) = make_curves([make_row()], ["a"])
    assert math.isnan(curve.peak_memory_mib)


def test_a_picture_that_comes_back_exactly_counts_as_one_sample_off_by_one(make_row):
    size = {"width": 64, "height": 48}
    rows = [
        make_row(setting="1", bpp=2.0),
        make_row(setting="2", bpp=9.0, psnr=math.inf, psnr_y=math.inf, **size),
        make_row(image="b.png", image_digest="b", setting="1", bpp=2.0),
        make_row(image="b.png", image_digest="b", setting="2", bpp=9.0),
    ]
    (curve,) = make_curves(rows, ["a"])
    off_by_one = np.zeros([48, 64, 3], np.uint8)
    off_by_one[5, 6, 1] = 1
    nearest = psnr(np.zeros([48, 64, 3], np.uint8), off_by_one)
    rates, values = curve.drawn("psnr")
    assert list(rates) == [2.0, 9.0]
    np.testing.assert_allclose(values, [30.0, (nearest + 30.0) / 2])
    assert math.isfinite(curve.points[1].means["psnr_y"])
    low, high = curve.points[1].intervals["psnr"]
    assert 30.0 <= low < high <= nearest + 1e-9


def test_missing_measures_are_not_drawn(make_row):
    (curve,) = make_curves([make_row(setting="1"), make_row(setting="2", bpp=2.0)], ["a"])
    assert [list(part) for part in curve.drawn("lpips")] == [[], []]


def test_quality_rises_with_better_pictures():
    assert METRIC["ms_ssim"].quality([0.9, 0.99]) == pytest.approx([10.0, 20.0])
    assert np.isfinite(METRIC["ms_ssim"].quality(1.0))
    assert METRIC["lpips"].quality(0.3) < METRIC["lpips"].quality(0.1)
    assert METRIC["psnr"].quality(30.0) == 30.0
