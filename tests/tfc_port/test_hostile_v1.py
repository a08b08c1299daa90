"""Strings for TFC 1.3's entropy models that no encoder wrote: decoding ends."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port.v1 as tfc


def _cases():
    bottleneck = tfc.EntropyBottleneck(init_scale=3, dtype=tf.float32)
    bottleneck.build([None, 30, 2])
    conditional = tfc.GaussianConditional(tf.fill([1, 60], 3.0), [1.0, 4.0, 16.0])
    values = np.random.default_rng(0).normal(size=[1, 60]) * 9
    yield bottleneck.compress(values.reshape([1, 30, 2])), bottleneck, [[30, 2]]
    yield conditional.compress(values), conditional, []


def _check(count, mutate, within_bounds):
    rng = np.random.default_rng(1)
    for sound, layer, arguments in _cases():
        decode = tf.function(lambda strings, k=layer, a=arguments: k.decompress(strings, *a))
        expected = decode(sound)
        strings = [mutate(rng, sound.numpy()[0]) for _ in range(count)]
        for string in [*strings, b"\xff" * 200, b"\0" * 200, b""]:
            with within_bounds:
                try:
                    decoded = decode(tf.constant([string]))
                except tf.errors.InvalidArgumentError:
                    continue
            assert decoded.shape == expected.shape


def test_mutated_strings_decode_or_are_refused(mutate, within_bounds):
    _check(40, mutate, within_bounds)


@pytest.mark.slow
def test_many_mutated_strings_decode_or_are_refused(mutate, within_bounds):
    _check(10_000, mutate, within_bounds)
