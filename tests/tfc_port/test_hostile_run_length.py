"""Strings of the run-length ops and the older range coder that no encoder wrote: decoding ends."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

CODES = [(-1, -1, False), (-1, 0, False), (2, -1, True), (31, 31, True)]


def _bits(text):
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return bytes(int(text[k : k + 8][::-1], 2) for k in range(0, len(text), 8))


def _reference(string, size, run_code, magnitude_code, by_runs):
    """Decodes bit by bit; None for what is no code of so many values."""
    bits = [octet >> k & 1 for octet in string for k in range(8)]
    place = 0

    def bit():
        nonlocal place
        place += 1
        return bits[place - 1]

    def number(parameter):
        zeros = 0
        while not bit():
            zeros += 1
        if parameter >= 0:
            return (zeros << parameter) + sum(bit() << k for k in range(parameter))
        if zeros > 30:
            raise IndexError
        return (1 << zeros) + sum(bit() << k for k in range(zeros)) - 1

    values = []
    try:
        while len(values) < size:
            zeros = number(run_code) + (1 if by_runs and values else 0)
            if zeros > size - len(values):
                return None
            values += [0] * zeros
            if len(values) == size:
                break
            run = number(run_code) + 1 if by_runs else 1
            if run > size - len(values):
                return None
            for _ in range(run):
                sign = bit()
                magnitude = number(magnitude_code) + 1
                if magnitude >= 1 << 31:
                    return None
                values.append(magnitude if sign else -magnitude)
    except IndexError:
        return None
    return values


def _outcome(decode, *arguments):
    try:
        return decode(*arguments).numpy().tolist()
    except tf.errors.InvalidArgumentError:
        return None


def _check_run_length(count, mutate, within_bounds):
    rng = np.random.default_rng(0)
    for codes in CODES:
        magnitudes = rng.choice([0, 0, 0, 1, 2, 90], 40) * rng.choice([-1, 1], 40)
        sound = tfc_port.run_length_encode(tf.constant(magnitudes, tf.int32), *codes).numpy()
        tfc_port.run_length_decode(sound, [40], *codes)
        for _ in range(count):
            string = mutate(rng, sound)
            size = int(rng.choice([0, 1, 39, 40, 41, 200]))
            with within_bounds:
                decoded = _outcome(tfc_port.run_length_decode, string, [size], *codes)
            assert decoded == _reference(string, size, *codes)


def test_mutated_run_length_strings_decode_as_bit_by_bit(mutate, within_bounds):
    _check_run_length(40, mutate, within_bounds)


@pytest.mark.slow
def test_many_mutated_run_length_strings_decode_as_bit_by_bit(mutate, within_bounds):
    _check_run_length(25_000, mutate, within_bounds)


@pytest.mark.parametrize(
    ("bits", "size", "by_runs", "message"),
    [
        ("", 3, False, "Out of bits to read"),
        ("1 1", 1, False, "Out of bits to read"),
        ("0000000 1 0000000", 1, False, "Decoded past end"),
        ("1 1" + "0" * 31 + "1" * 40, 1, False, "Exceeded maximum gamma bit width"),
        ("1 010 1111", 1, True, "Decoded past end"),
        ("1 00100", 2, True, "Decoded past end"),
    ],
)
def test_strings_of_other_sizes_are_refused(bits, size, by_runs, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tfc_port.run_length_decode(_bits(bits), [size], -1, -1, by_runs)


def _check_range(widths, count, mutate, within_bounds):
    rng = np.random.default_rng(1)
    tables = [[0, 3, 8, 16], [0, 15, 16, 0]], [4, 3], [-1, 7]
    index = tf.constant(rng.integers(0, 2, 30), tf.int32)
    data = tf.constant(rng.integers(-9, 20, 30) * rng.choice([1, 10**7], 30), tf.int32)
    for width in widths:
        options = {"precision": 4, "overflow_width": width}
        sound = tfc_port.unbounded_index_range_encode(data, index, *tables, **options).numpy()

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def in_graph(string, options=options):
            return tfc_port.unbounded_index_range_decode(string, index, *tables, **options)

        in_graph(sound)
        strings = [mutate(rng, sound) for _ in range(count)]
        for string in [*strings, b"\xff" * 200, b"\0" * 200, b""]:
            results = []
            with within_bounds:
                results.append(
                    _outcome(
                        lambda string, options=options: tfc_port.unbounded_index_range_decode(
                            string, index, *tables, **options
                        ),
                        string,
                    )
                )
            with within_bounds:
                results.append(_outcome(in_graph, string))
            assert results[0] == results[1]


def test_mutated_unbounded_strings_decode_alike_eagerly_and_in_graphs(mutate, within_bounds):
    _check_range((4,), 20, mutate, within_bounds)


@pytest.mark.slow
def test_many_mutated_unbounded_strings_decode_alike(mutate, within_bounds):
    _check_range((1, 4), 10_000, mutate, within_bounds)


def _check_broadcast(count, mutate, within_bounds):
    rng = np.random.default_rng(2)
    tables = tf.constant([[[0, 3, 8, 16], [0, 1, 15, 16]]], tf.int32)
    data = tf.constant(rng.integers(0, 3, [20, 2]), tf.int16)
    sound = tfc_port.range_encode(data, tables, precision=4).numpy()

    def decode(string):
        return tfc_port.range_decode(string, [20, 2], tables, precision=4)

    in_graph = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
    np.testing.assert_array_equal(in_graph(sound), data)
    strings = [mutate(rng, sound) for _ in range(count)]
    for number, string in enumerate([b"\xff" * 200, b"\0" * 200, b"", *strings]):
        with within_bounds:
            found = in_graph(string).numpy()
        # There is no way to tell damage: any string has symbols of the tables.
        assert found.min() >= 0
        assert found.max() <= 2
        if number < 100:  # eagerly the same takes twenty times as long
            with within_bounds:
                np.testing.assert_array_equal(decode(string), found)


def test_mutated_strings_of_broadcast_tables_decode_to_symbols_of_theirs(mutate, within_bounds):
    _check_broadcast(20, mutate, within_bounds)


@pytest.mark.slow
def test_many_mutated_strings_of_broadcast_tables_decode(mutate, within_bounds):
    _check_broadcast(10_000, mutate, within_bounds)
