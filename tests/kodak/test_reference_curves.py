"""Classical codecs on the Kodak pictures come out where others have published them."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tfhific.evaluation.bjontegaard_delta import quality_difference
from tfhific.evaluation.codecs import CodecSpec, open_codec
from tfhific.evaluation.metrics import ms_ssim, psnr
from tfhific.evaluation.reference import kodak_curve
from tfhific.pictures.images import read_picture

KODAK = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "kodak"


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    found = sorted(KODAK.glob("*.png"))
    if len(found) != 24:
        pytest.skip("the 24 Kodak pictures are not at ../shared/data/kodak")
    return [read_picture(path).pixels for path in found]


def curve(name: str, pictures: list[np.ndarray], measure, settings=None) -> np.ndarray:
    codec = open_codec(CodecSpec(name, (name,)))
    rows = []
    for setting in settings or codec.ladder:
        files = [codec.encode(pixels, setting) for pixels in pictures]
        bpp = [8 * len(data) / pixels[..., 0].size for data, pixels in zip(files, pictures)]
        values = [measure(p, codec.decode(data)) for p, data in zip(pictures, files)]
        rows.append((np.mean(bpp), np.mean(values)))
    return np.array(rows).T


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"), [("jpeg-plain", "JPEG 4:2:0 (libjpeg)"), ("webp", "WebP")]
)
def test_psnr_is_within_three_tenths_of_a_decibel_of_the_published_curve(name, published, pictures):
    reference = kodak_curve(published)
    measured = curve(name, pictures, psnr)
    found = quality_difference((reference.rates, reference.values), tuple(measured))
    assert abs(found.value) < 0.3
    if name == "jpeg-plain":  # at every point, too
        expected = np.interp(measured[0], reference.rates, reference.values)
        np.testing.assert_allclose(measured[1], expected, atol=0.3)


@pytest.mark.slow
def test_ms_ssim_of_jpeg_is_on_the_published_curve(pictures):
    reference = kodak_curve("JPEG 4:2:0 (libjpeg)", "ms_ssim")
    measured = curve("jpeg-plain", pictures, ms_ssim, (10, 30, 60))
    expected = np.interp(measured[0], reference.rates, reference.values)
    np.testing.assert_allclose(measured[1], expected, atol=0.006)
