"""The region that selective compression keeps: written, read and checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfhific.bitstream.kept import Kept, blocks_of, read_kept
from tfhific.errors import BitstreamError, ImageError

SIZE = 40, 60
boxes = st.tuples(st.integers(0, 59), st.integers(0, 39), st.integers(1, 60), st.integers(1, 40))


@given(st.sets(st.integers(0, 11)), st.lists(boxes, max_size=5))
def test_what_is_written_is_read(classes, found):
    found = [b for b in found if b[0] + b[2] <= 60 and b[1] + b[3] <= 40]
    kept = Kept(tuple(sorted(classes)), tuple(found))
    if not classes and not found:
        with pytest.raises(ImageError, match="needs a region"):
            kept.checked(SIZE, 12)
        return
    assert read_kept(kept.checked(SIZE, 12).to_bytes(), SIZE, 12) == kept


def test_pixels_and_blocks_are_those_of_classes_and_boxes():
    labels = np.zeros(SIZE, np.uint8)
    labels[3, 17] = 2
    pixels = Kept((2,), ((33, 20, 2, 3),)).pixels(labels)
    assert pixels.sum() == 1 + 6
    blocks = blocks_of(pixels, (4, 5), 16)
    assert np.argwhere(blocks).tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    "box", [(0, 0, 61, 1), (0, 0, 1, 41), (60, 0, 1, 1), (0, 0, 0, 1), (-1, 0, 2, 2)]
)
def test_boxes_outside_the_picture_are_refused(box):
    with pytest.raises(ImageError, match="within the picture's 60x40"):
        Kept((), (box,)).checked(SIZE, 12)


def test_unknown_classes_are_refused():
    with pytest.raises(ImageError, match=r"0 to 11\. Received: \[12\]"):
        Kept((1, 12)).checked(SIZE, 12)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02\x03\x02\x00",  # classes not rising
        b"\x01\x0c\x00",  # unknown class
        b"\x00\x00",  # nothing kept
        b"\x00\xff\xff\xff\xff\x0f",  # four billion boxes
        b"\x00\x01\x00\x00\x3d\x01",  # a box beyond the picture
        b"\x01\x02\x00\x00",  # something left over
    ],
)
def test_damaged_entries_are_refused(data):
    with pytest.raises(BitstreamError):
        read_kept(data, SIZE, 12)
