"""The search for the largest quality that fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfhific.codec.rate_search import largest_that_fits
from tfhific.errors import TfhificError


def size_at(quality: float) -> bytes:
    return bytes(int(100 * 1.7**quality))


@given(st.integers(len(size_at(1)), 2 * len(size_at(8))))
def test_result_fits_and_a_hundredth_more_quality_would_not(limit):
    data, quality = largest_that_fits(size_at, limit)
    assert data == size_at(quality)
    assert len(data) <= limit
    assert quality == 8 or len(size_at(min(8.0, quality + 0.01))) > limit


def test_ends_of_the_range_are_reached():
    assert largest_that_fits(size_at, 10**9)[1] == 8.0
    assert largest_that_fits(size_at, len(size_at(1)))[1] < 1.01


def test_what_even_the_smallest_quality_exceeds_is_refused():
    smallest = len(size_at(1))
    with pytest.raises(TfhificError, match=rf"{smallest - 1} bytes can't.* takes {smallest} bytes"):
        largest_that_fits(size_at, smallest - 1)


def test_sizes_that_do_not_rise_evenly_still_give_a_file_that_fits():
    def bumpy(quality):
        return bytes(int(1000 * quality) + (300 if int(quality * 7) % 2 else 0))

    for limit in range(1300, 8500, 300):
        data, quality = largest_that_fits(bumpy, limit)
        assert len(data) <= limit
        assert data == bumpy(quality)


def test_number_of_tries_is_bounded():
    tries = []

    def counted(quality):
        tries.append(quality)
        return size_at(quality)

    largest_that_fits(counted, 1000)
    assert len(tries) <= 12
