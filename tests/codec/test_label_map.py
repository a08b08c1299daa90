"""Label maps come back exactly, in few bytes, and wrong ones are refused."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tfhific.bitstream.label_map import (
    check_label_map,
    decode_label_map,
    encode_label_map,
    label_map_of,
    read_label_map,
)
from tfhific.errors import BitstreamError, ImageError

CAMVID = pathlib.Path(__file__).resolve().parents[2] / "../shared/data/camvid/test_labels"


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=13), elements=st.integers(0, 4)
    ),
)
def test_any_map_comes_back(labels):
    data = encode_label_map(labels, 5)
    decoded = decode_label_map(data, labels.shape, 5)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, labels)


@pytest.mark.parametrize("classes", [2, 255])
def test_extreme_numbers_of_classes(classes):
    labels = np.random.default_rng(1).integers(classes, size=[9, 11]).astype(np.uint8)
    data = encode_label_map(labels, classes)
    np.testing.assert_array_equal(decode_label_map(data, labels.shape, classes), labels)


def test_a_map_of_regions_is_smaller_than_png_and_webp(label_picture):
    labels = label_picture(120, 160, 5)
    sizes = []
    for kind, options in (("PNG", {"optimize": True}), ("WEBP", {"lossless": True, "method": 6})):
        held = io.BytesIO()
        Image.fromarray(labels).convert("RGB").save(held, kind, **options)
        sizes.append(len(held.getvalue()))
    assert len(encode_label_map(labels, 5)) < min(sizes)


@pytest.mark.skipif(not CAMVID.is_dir(), reason="needs the CamVid label maps")
def test_camvid_maps_take_less_than_two_thirds_of_webp():
    coded, webp = 0, 0
    for path in sorted(CAMVID.glob("*.png"))[::40]:
        labels = read_label_map(path, (360, 480), 12)
        data = encode_label_map(labels, 12)
        np.testing.assert_array_equal(decode_label_map(data, labels.shape, 12), labels)
        held = io.BytesIO()
        Image.fromarray(labels).convert("RGB").save(held, "WEBP", lossless=True, method=6)
        coded, webp = coded + len(data), webp + len(held.getvalue())
    assert coded < 2 / 3 * webp


def test_damaged_bytes_are_refused_or_give_another_map(label_picture):
    labels = label_picture(20, 30, 5)
    data = encode_label_map(labels, 5)
    refused = 0
    for place in range(len(data)):
        hurt = bytearray(data)
        hurt[place] ^= 0x55
        try:
            found = decode_label_map(bytes(hurt), labels.shape, 5)
        except BitstreamError:
            refused += 1
        else:
            assert found.shape == labels.shape
            assert found.max() < 5
    assert refused > 0
    for cut in (0, 1):
        with pytest.raises(BitstreamError, match="label map"):
            decode_label_map(data[:cut], labels.shape, 5)
    with pytest.raises(BitstreamError, match="12 classes"):
        decode_label_map(data, labels.shape, 12)
    with pytest.raises(BitstreamError, match="label map"):
        decode_label_map(data + bytes(4000), labels.shape, 5)


def _save(array, path, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def test_grey_and_palette_files_are_read_alike(tmp_path, label_picture):
    labels = label_picture(10, 12, 5)
    grey = _save(labels, tmp_path / "grey.png")
    image = Image.fromarray(labels).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([v for c in range(5) for v in (c * 40, 9, 200 - c)])
    image.save(tmp_path / "palette.png")
    for path in (grey, tmp_path / "palette.png"):
        np.testing.assert_array_equal(read_label_map(path, (10, 12), 5), labels)


def test_what_is_wrong_with_a_map_is_said(tmp_path, label_picture):
    labels = label_picture(10, 12, 5)
    labels[0, 0] = 4
    path = _save(labels, tmp_path / "map.png")
    with pytest.raises(ImageError, match=r"expected a label map of the picture's 13x10 .* 12x10"):
        read_label_map(path, (10, 13), 5)
    with pytest.raises(ImageError, match=r"classes from 0 to 3\. Received: 4"):
        read_label_map(path, (10, 12), 4)
    colour = _save(np.zeros([10, 12, 3], np.uint8), tmp_path / "colour.png")
    with pytest.raises(ImageError, match="mode RGB"):
        read_label_map(colour, (10, 12), 5)
    (tmp_path / "text.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="can't be read"):
        read_label_map(tmp_path / "text.png", (10, 12), 5)
    with pytest.raises(ImageError, match="no such label map"):
        read_label_map(tmp_path / "none.png", (10, 12), 5)
    with pytest.raises(ImageError, match="whole numbers"):
        check_label_map(np.zeros([3, 3], np.float32), (3, 3), 5)
    with pytest.raises(ImageError, match="Received: -1"):
        check_label_map(np.full([3, 3], -1), (3, 3), 5)


def test_pictures_of_one_stem_can_have_maps_of_their_own(tmp_path):
    folder = str(tmp_path)
    assert label_map_of("in/a.jpg", folder) == f"{folder}/a.png"
    (tmp_path / "a.jpg.png").write_bytes(b"x")
    assert label_map_of("in/a.jpg", folder) == f"{folder}/a.jpg.png"
    assert label_map_of("in/a.webp", folder) == f"{folder}/a.png"
