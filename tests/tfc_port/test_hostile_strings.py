"""Strings of entropy models that no encoder wrote: decoding ends, eagerly and in graphs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

SHAPE = (5, 3)
BATCH = 50
KINDS = pytest.mark.parametrize("kind", ["batched", "indexed"])
STREAMS = pytest.mark.parametrize("streams", [1, 3])


class Codec(tf.Module):
    """An entropy model, and what it is called with beside values and strings."""

    def __init__(self, kind, streams):
        super().__init__()
        options = {"coding_rank": 2, "compression": True, "streams": streams}
        if kind == "batched":
            prior = tfc_port.NoisyNormal(loc=[0.1, 0.0, -3.0], scale=[0.2, 2.0, 30.0])
            self.model = tfc_port.ContinuousBatchedEntropyModel(prior, **options)
            self.further = SHAPE[:1]
        else:
            self.model = tfc_port.LocationScaleIndexedEntropyModel(
                tfc_port.NoisyNormal, 8, lambda i: tf.exp(i - 2.0), **options
            )
            self.further = tf.constant(np.arange(BATCH * 15).reshape(BATCH, *SHAPE) % 8, tf.int32)

    def compress(self, values):
        indexes = [] if isinstance(self.further, tuple) else [self.further]
        return self.model.compress(values, *indexes)

    def decompress(self, strings):
        return self.model.decompress(strings, self.further)


def _outcome(decompress, strings):
    """The values, None if the sanity check fails."""
    try:
        return decompress(tf.constant(strings)).numpy()
    except tf.errors.InvalidArgumentError as error:
        if "Sanity check failed" in error.message:
            return None
        raise


def _check(kind, streams, sanity_check, batches, mutate, within_bounds):
    codec = Codec(kind, streams)
    codec.model.decode_sanity_check = sanity_check
    rng = np.random.default_rng(streams)

    @tf.function(input_signature=[tf.TensorSpec([BATCH], tf.string)])
    def in_graph(strings):
        return codec.decompress(strings)

    # A few values far outside the tables: damage to their codes is what may go on and on.
    values = rng.normal(size=[BATCH, *SHAPE]) * rng.choice([1.0, 5.0, 1e6], [BATCH, *SHAPE])
    sound = codec.compress(tf.constant(values, tf.float32))
    np.testing.assert_array_equal(codec.decompress(sound), in_graph(sound))
    for _ in range(batches):
        strings = [mutate(rng, string) for string in sound.numpy()]
        strings[0] = b"\0" * int(rng.integers(0, 100))
        strings[1] = b"\xff" * int(rng.integers(0, 100))
        results = []
        for decompress in (codec.decompress, in_graph):
            with within_bounds:
                results.append(_outcome(decompress, strings))
        assert sanity_check or not any(result is None for result in results)
        np.testing.assert_equal(*results)


@KINDS
@STREAMS
@pytest.mark.parametrize("sanity_check", [True, False])
def test_mutated_strings_decode_alike_eagerly_and_in_graphs(
    kind, streams, sanity_check, mutate, within_bounds
):
    _check(kind, streams, sanity_check, 4, mutate, within_bounds)


@pytest.mark.slow
@KINDS
@STREAMS
def test_many_mutated_strings_decode_alike_eagerly_and_in_graphs(
    kind, streams, mutate, within_bounds
):
    _check(kind, streams, False, 2000, mutate, within_bounds)
