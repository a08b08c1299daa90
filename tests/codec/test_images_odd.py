"""Hundreds of odd pictures, each with one fault: the picture, or a refusal in one line."""

from __future__ import annotations

import warnings

import numpy as np

from tests.codec.odd_pictures import odd_pictures
from tfhific.errors import ImageError
from tfhific.pictures.images import read_picture

# Files that mean another picture than the sound ones, and damage that no reader can tell.
ANOTHER = {
    "png-palette-short",  # indexes beyond it are black
    "gif-palette-missing",  # greys
    "bmp-bits-16",
    "bmp-top-down",
    "bmp-rle-sound",
    "jpeg-arithmetic",
}


def outcome(data):
    """The pixels, or the line that refuses them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_picture(data).pixels
        except ImageError as error:
            return str(error)


def test_odd_pictures_are_read_rightly_or_refused_in_one_line(capfd):
    sound, seen, counts = {}, set(), {"read": 0, "refused": 0}
    for name, data in odd_pictures():
        pixels = outcome(data)
        if isinstance(pixels, str):
            assert "\n" not in pixels
            assert not name.endswith("-sound"), f"{name}: {pixels}"
            counts["refused"] += 1
            continue
        whole = sound.setdefault(name.split("-")[0], pixels)
        counts["read"] += 1
        if pixels.shape != whole.shape or np.abs(pixels.astype(int) - whole).mean() > 3:
            seen.add(name)
    assert seen <= ANOTHER
    assert counts["read"] > 100
    assert counts["refused"] > 100
    assert capfd.readouterr().out == ""
