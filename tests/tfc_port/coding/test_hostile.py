"""Payloads that nobody's encoder wrote: every decoder returns or raises, soon, and all agree."""

from __future__ import annotations

import numpy as np
import pytest

from tfc_port import coding
from tfc_port.coding import CodingError


def outcome(data, indexes, tables, streams, implementation):
    try:
        return coding.decode(
            data, indexes, tables, streams=streams, implementation=implementation
        ).tolist()
    except CodingError:
        return "refused"


def check(draw_values, mutate, within_bounds, tables, implementation, count, seed):
    rng = np.random.default_rng(seed)
    refused = 0
    for trial in range(count):
        if trial % 50 == 0:
            streams = int(rng.choice([1, 2, 5, 33]))
            length = int(rng.choice([0, 3, 40, 250]))
            values, indexes = draw_values(rng, tables, length, float(rng.choice([0, 0.05])))
            sound = coding.encode(values, indexes, tables, streams=streams, implementation="python")
            # What is made at the first call, such as a graph, is no part of decoding.
            assert outcome(sound, indexes, tables, streams, implementation) == values.tolist()
        data = mutate(rng, sound)
        plain = outcome(data, indexes, tables, streams, "python")
        with within_bounds:
            result = outcome(data, indexes, tables, streams, implementation)
        assert result == plain, data.hex()
        refused += plain == "refused"
    assert 0 < refused < count


def test_mutated_payloads_are_refused_or_decoded_alike_by_all(
    implementation, oddities, draw_values, mutate, within_bounds
):
    check(draw_values, mutate, within_bounds, oddities, implementation, 1000, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many_mutated_payloads_are_refused_or_decoded_alike_by_all(
    implementation, seed, oddities, draw_values, mutate, within_bounds
):
    check(draw_values, mutate, within_bounds, oddities, implementation, 12500, seed=100 + seed)


def test_what_is_accepted_is_what_an_encoder_writes_but_for_zeros_at_the_end(
    gaussians, draw_values, mutate
):
    """Cut or changed, a stream may still be the code of something; but then it is its code."""
    rng = np.random.default_rng(5)
    values, indexes = draw_values(rng, gaussians, 60)
    sound = coding.encode(values, indexes, gaussians, streams=1, implementation="python")
    payloads = [sound[:length] for length in range(1, len(sound))]
    payloads += [b"\0" + mutate(rng, sound[1:]) for _ in range(1000)]
    accepted = 0
    for data in payloads:
        result = outcome(data, indexes, gaussians, 1, "python")
        if result == "refused":
            continue
        accepted += 1
        again = coding.encode(result, indexes, gaussians, streams=1, implementation="python")
        assert again.rstrip(b"\0") == data.rstrip(b"\0")
    assert accepted > len(sound) // 2


def test_payloads_cut_before_the_last_stream_are_refused(implementation, gaussians, draw_values):
    values, indexes = draw_values(np.random.default_rng(5), gaussians, 60)
    data = coding.encode(values, indexes, gaussians, streams=3, implementation="python")
    for length in range(len(data) // 2):
        assert outcome(data[:length], indexes, gaussians, 3, implementation) == "refused"


def test_bytes_behind_the_last_stream_are_refused(implementation, gaussians, draw_values):
    values, indexes = draw_values(np.random.default_rng(6), gaussians, 60)
    for streams in (1, 4):
        data = coding.encode(values, indexes, gaussians, streams=streams, implementation="python")
        for tail in (b"\1", b"\0" * 5, b"\xff" * 100):
            assert outcome(data + tail, indexes, gaussians, streams, implementation) == "refused"


@pytest.mark.parametrize(
    "escapes",
    [
        # A gap without its excess; a position behind the last value; an excess beyond int32, above
        # and below; a number of six bytes; a needless byte; the end within a number.
        b"\0",
        b"\3\0",
        b"\0\xff\xff\xff\xff\x7f",
        b"\0\xfe\xff\xff\xff\x7f",
        b"\0\xff\xff\xff\xff\xff\1",
        b"\x80\0\0",
        b"\0\x80",
        b"\0\0\3\0",
    ],
)
def test_escape_lists_that_are_not_sound_are_refused(implementation, escapes, oddities):
    indexes = np.zeros(3, np.int32)
    data = b"\x80" + bytes([len(escapes)]) + escapes
    assert outcome(data, indexes, oddities, 1, implementation) == "refused"


def test_an_escape_that_stands_for_another_symbol_than_the_most_probable_is_refused(
    implementation, oddities
):
    indexes = np.full(4, 3, np.int32)
    values = np.array([0, 0, -1, 0], np.int32)
    data = coding.encode(values, indexes, oddities, streams=1, implementation="python")
    for position, expected in ((1, [0, 2, -1, 0]), (2, "refused")):
        escaped = b"\x80\2" + bytes([position, 0]) + data[1:]
        assert outcome(escaped, indexes, oddities, 1, implementation) == expected


def test_the_wrong_number_of_streams_is_refused(implementation, gaussians, draw_values):
    values, indexes = draw_values(np.random.default_rng(7), gaussians, 500)
    data = coding.encode(values, indexes, gaussians, streams=8, implementation="python")
    for streams in (1, 7, 9, 4096):
        assert outcome(data, indexes, gaussians, streams, implementation) == "refused"
