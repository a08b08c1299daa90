"""Curves are means of real files; Bjontegaard differences are what they should be."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image

from tfhific.errors import TfhificError
from tfhific.evaluation import rate_distortion as rd
from tfhific.evaluation.metrics import psnr
from tfhific.evaluation.rate_distortion import Point


@pytest.fixture(scope="module")
def paths(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("pictures")
    for seed, size in enumerate([(192, 200), (176, 240)]):
        Image.fromarray(photo(*size, seed)).save(folder / f"{seed}.png")
    return [str(folder / f"{seed}.png") for seed in range(2)]


def test_points_of_a_model_are_those_of_its_files(paths, tiny_codec):
    points = list(rd.measure_model(tiny_codec, paths, [2.0, 6.0]))
    assert [(p.image, p.setting) for p in points] == [
        ("0.png", 2.0),
        ("1.png", 2.0),
        ("0.png", 6.0),
        ("1.png", 6.0),
    ]
    for point in points:
        image = np.asarray(Image.open(paths[int(point.image[0])]))
        data = tiny_codec.compress(image, point.setting)
        assert point.codec == "tiny"
        assert point.bytes == len(data)
        assert point.bpp == pytest.approx(8 * len(data) / image[..., 0].size)
        assert point.psnr == pytest.approx(psnr(image, tiny_codec.decompress(data)))
        assert 0 < point.ms_ssim < 1
        assert point.estimated_bpp == pytest.approx(tiny_codec.estimate_bpp(image, point.setting))
        assert point.encode_seconds > 0
        assert point.decode_seconds > 0


def test_jpeg_has_no_estimate_and_more_quality_costs_more(paths):
    points = list(rd.measure_jpeg(paths, [20, 80]))
    assert all(np.isnan(point.estimated_bpp) for point in points)
    low, high = rd.curve(points, "jpeg")
    assert (low[0], high[0]) == (20, 80)
    assert low[1] < high[1]
    assert low[2] < high[2]
    assert low[3] < high[3]


def point(codec="a", setting=1.0, bpp=1.0, decibel=30.0, similarity=0.9) -> Point:
    return Point("x.png", codec, setting, 100, bpp, decibel, similarity, 0.9, 0.1, 0.1)


def test_curve_has_the_means_of_one_codec_by_rising_rate():
    points = [
        point(setting=2.0, bpp=0.2, decibel=28.0, similarity=0.8),
        point(setting=2.0, bpp=0.4, decibel=30.0, similarity=0.9),
        point(setting=1.0, bpp=0.9, decibel=35.0, similarity=0.95),
        point(codec="b", setting=2.0, bpp=50.0),
    ]
    rows = rd.curve(points, "a")
    np.testing.assert_allclose(rows, [(2.0, 0.3, 29.0, 0.85), (1.0, 0.9, 35.0, 0.95)])


def rows(rates, decibels):
    return [(0.0, rate, decibel, 0.9) for rate, decibel in zip(rates, decibels)]


@pytest.mark.parametrize(("factor", "percent"), [(1.0, 0.0), (0.5, -50.0), (1.25, 25.0)])
def test_rate_scaled_everywhere_differs_by_that_much(factor, percent):
    rates, decibels = np.array([0.1, 0.2, 0.4, 0.7, 1.1]), [25.0, 28.0, 31.0, 33.5, 36.0]
    found = rd.bjontegaard_rate(rows(rates, decibels), rows(factor * rates, decibels))
    assert found == pytest.approx((percent, 25.0, 36.0), abs=1e-6)


def test_range_is_where_both_curves_are():
    anchor = rows([0.1, 0.2, 0.4, 0.8], [25.0, 28.0, 31.0, 34.0])
    test = rows([0.1, 0.2, 0.4, 0.8, 1.6], [26.0, 29.0, 32.0, 35.0, 38.0])
    difference, low, high = rd.bjontegaard_rate(anchor, test)
    assert (low, high) == (26.0, 34.0)
    # One decibel more at every rate, three of which double it.
    assert difference == pytest.approx(100 * (2 ** (-1 / 3) - 1), abs=1.0)


def test_curves_that_do_not_overlap_are_told():
    low, high = rows([0.1, 0.2], [20.0, 22.0]), rows([1.0, 2.0], [30.0, 32.0])
    for pair in ((low, high), (high, low)):
        with pytest.raises(TfhificError, match="do not overlap"):
            rd.bjontegaard_rate(*pair)


def test_table_has_a_row_a_point():
    points = [point(), point(setting=2.5, bpp=1 / 3)]
    read = list(csv.DictReader(io.StringIO(rd.to_csv(points).decode())))
    assert [row["setting"] for row in read] == ["1", "2.5"]
    assert read[1]["bpp"] == "0.333333"
    assert read[0]["bytes"] == "100"
