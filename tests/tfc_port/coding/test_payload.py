from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfc_port.coding import CodingError, payload, varints

STRINGS = st.lists(st.binary(max_size=40), min_size=1, max_size=20)


@given(st.lists(st.integers(0, (1 << 35) - 1), max_size=30))
def test_varints_come_back(numbers):
    assert varints.decode(varints.encode(np.array(numbers, np.int64))).tolist() == numbers


@given(st.binary(max_size=12))
def test_varints_that_are_read_are_written_the_same(data):
    try:
        numbers = varints.decode(data)
    except CodingError:
        return
    assert varints.encode(numbers) == data


@given(st.binary(max_size=8), st.integers(0, 8))
def test_one_varint_is_read_as_many_are(data, offset):
    try:
        number, end = varints.read_one(data, offset, "it")
    except CodingError:
        return
    assert varints.decode(data[offset:end]).tolist() == [number]


@given(STRINGS, st.binary(max_size=20))
def test_streams_and_escapes_come_back(strings, escapes):
    assert payload.split(payload.join(strings, escapes), len(strings)) == (strings, escapes)


@settings(max_examples=500)
@given(st.binary(max_size=40), st.integers(1, 6))
def test_a_payload_that_is_read_is_written_the_same(data, streams):
    try:
        strings, escapes = payload.split(data, streams)
    except CodingError:
        return
    assert len(strings) == streams
    assert payload.join(strings, escapes) == data


def test_one_stream_costs_one_byte_beside_itself():
    assert payload.join([b"abc"], b"") == b"\0abc"


def test_nearly_equal_lengths_cost_as_many_bits_as_they_differ_by():
    strings = [bytes(100 + k % 8) for k in range(65)]
    assert len(payload.join(strings, b"")) == 1 + 1 + 64 * 3 // 8 + sum(map(len, strings))


@pytest.mark.parametrize("streams", [0, -1, 4097, 1.0, True, None, "1"])
def test_what_is_no_number_of_streams_is_refused(streams):
    with pytest.raises(CodingError):
        payload.check_streams(streams)


def test_lengths_beyond_the_payload_are_refused_before_anything_is_made_of_them():
    huge = varints.encode(np.array([(1 << 35) - 1]))
    for data in (
        b"\0" + huge,
        b"\x80" + huge + b"ab",
        b"\x1f" + b"\0" + b"\xff" * 20,
    ):
        with pytest.raises(CodingError):
            payload.split(data, payload.MAX_STREAMS)
