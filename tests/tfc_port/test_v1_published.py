"""Strings and tables that TFC 1 itself wrote: those it published with its unit tests (Apache-2.0).

They are in tensorflow_compression/python/layers/entropy_models_test.py of
https://github.com/tensorflow/compression before version 2, as data that later versions must read.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import tensorflow as tf

import tfc_port.v1 as tfc


def _padded(rows: Iterable[Iterable[int]]) -> np.ndarray:
    rows = [[0, *row, 65536] for row in rows]
    width = max(map(len, rows))
    return np.array([row + [0] * (width - len(row)) for row in rows], np.int32)


# Counts between 0 and 65536, row by row.
# fmt: off
BOTTLENECK_TABLES = [
    [5170, 11858, 19679, 27812, 35302],
    [6100, 13546, 21671, 29523, 36269],
    [6444, 14120, 22270, 29929, 36346],
]
BOTTLENECK_STRINGS = [
    "91f4da6e32d37197d0914e317ec4b03bd338a890",
    "3fc7f917a8cf75991e34fee0d355607a1576",
]
BOTTLENECK_VALUES = [
    [
        [-3, 2, 1, -3, -1, -3, -4, -2, 2],
        [-2, 2, 4, 1, 0, -3, -3, 2, 4],
        [1, 2, 4, -1, -3, 4, 0, -2, -3],
    ],
    [
        [0, 4, 0, 2, 4, 1, -2, 1, 4],
        [2, 2, 3, -3, 4, -1, -1, 0, -1],
        [3, 0, 3, -3, 3, 3, -3, -4, -1],
    ],
]
CONDITIONAL_INDEXES = [[1, 2, 3, 4, 2, 2, 1], [5, 5, 1, 5, 3, 2, 3]]
CONDITIONAL_VALUES = [[-3, 2, 1, -3, -1, -3, -4], [-2, 2, -2, 2, 4, 1, 0]]
CONDITIONAL_STRINGS = {
    "GaussianConditional": ["ffff13ffff0fffefa90030b9ff5487ff5542", "10f16d2df072ac97b6d5"],
    "LogisticConditional": ["ffff13ffff0e17fdb54203fff411", "2c796813291246fb"],
    "LaplacianConditional": ["ffff13ffff0eeac1d96e27fffe2a", "1b9cd306de5fc024"],
}
CONDITIONAL_TABLES = {
    "GaussianConditional": [
        [1, 65534, 65535],
        [1, 65534, 65535],
        [2, 65533, 65535],
        [1491, 64044, 65535],
        [88, 10397, 55138, 65447, 65535],
        [392, 4363, 20205, 45301, 61143, 65114, 65506],
    ],
    "LogisticConditional": [
        [1, 65534, 65535],
        [22, 65513, 65535],
        [1178, 64357, 65535],
        [159, 7809, 57721, 65371, 65530],
        [52, 431, 3100, 17617, 47903, 62420, 65089, 65468, 65520],
        [62, 230, 683, 1884, 4935, 11919, 24706, 40758, 53545, 60529, 63580, 64781, 65234, 65402, 65464],  # noqa: E501
    ],
    "LaplacianConditional": [
        [1, 65534, 65535],
        [11, 65524, 65535],
        [600, 64935, 65535],
        [80, 4433, 61100, 65453, 65533],
        [191, 1602, 12025, 53451, 63874, 65285, 65476],
        [85, 315, 940, 2640, 7262, 19825, 45612, 58175, 62797, 64497, 65122, 65352, 65437],
    ],
}


# fmt: on


def _strings(texts: Iterable[str]) -> np.ndarray:
    return np.array([bytes.fromhex(text) for text in texts], object)


def test_a_bottlenecks_published_strings_decode_and_are_written_again():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        strings = tf.compat.v1.placeholder(tf.string)
        shape = tf.compat.v1.placeholder(tf.int32)
        layer = tfc.EntropyBottleneck(
            data_format="channels_first", filters=(), init_scale=2, dtype=tf.float32
        )
        layer.build([2, 3, 9])
        layer._quantized_cdf = tf.constant(_padded(BOTTLENECK_TABLES))
        layer._cdf_length = tf.constant([7, 7, 7])
        decoded = layer.decompress(strings, shape[1:])
        encoded = layer.compress(tf.constant(BOTTLENECK_VALUES, tf.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        feed = {strings: _strings(BOTTLENECK_STRINGS), shape: [2, 3, 9]}
        values, again = session.run([decoded, encoded], feed)
    np.testing.assert_array_equal(values, BOTTLENECK_VALUES)
    np.testing.assert_array_equal(again, _strings(BOTTLENECK_STRINGS))


@pytest.mark.parametrize("kind", CONDITIONAL_STRINGS)
def test_conditional_models_make_the_published_tables_and_strings_but_for_their_ends(kind):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        strings = tf.compat.v1.placeholder(tf.string)
        indexes = tf.compat.v1.placeholder(tf.int32, [2, 7])
        scale = tf.compat.v1.placeholder(tf.float32, [2, 7])
        layer = getattr(tfc, kind)(scale, [2.0**x for x in range(-5, 1)], indexes=indexes)
        encoded = layer.compress(tf.constant(CONDITIONAL_VALUES, tf.float32))
        tables = [layer._quantized_cdf, layer._cdf_length]
        decoded = layer.decompress(strings)
        session.run(tf.compat.v1.global_variables_initializer())
        feed = {layer.indexes: CONDITIONAL_INDEXES, strings: _strings(CONDITIONAL_STRINGS[kind])}
        written, (cdf, lengths), values = session.run([encoded, tables, decoded], feed)
        # A checkpoint's tables are those that strings are decoded by.
        even = np.zeros(cdf.shape, np.int32)
        even[:, :4] = [0, 1, 2, 65536]
        fed = {layer._quantized_cdf: even, layer._cdf_length: [4] * 6}
        other = session.run(encoded, {**feed, **fed})
    published = _padded(CONDITIONAL_TABLES[kind])
    np.testing.assert_array_equal(lengths, (published > 0).sum(1) + 1)
    np.testing.assert_array_equal(cdf, published)
    for ours, theirs in zip(written, _strings(CONDITIONAL_STRINGS[kind])):
        # Later versions, 2.14 among them, end some strings in a byte less.
        assert len(theirs) - 1 <= len(ours) <= len(theirs)
        assert ours[:-1] == theirs[: len(ours) - 1]
    np.testing.assert_array_equal(values, CONDITIONAL_VALUES)
    assert other.tolist() != written.tolist()


@pytest.mark.parametrize("kind", CONDITIONAL_STRINGS)
def test_quantiles_are_the_inverse_of_the_cumulative(kind):
    probabilities = np.array([1e-5, 1e-2, 0.1, 0.5, 0.6, 0.8])
    layer = getattr(tfc, kind)(tf.ones([3], tf.float64), [1])
    quantiles = layer._standardized_quantile(probabilities)
    cumulative = layer._standardized_cumulative(tf.constant(quantiles, tf.float64))
    np.testing.assert_allclose(cumulative, probabilities, rtol=1e-12)
