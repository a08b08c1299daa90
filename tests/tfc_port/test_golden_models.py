"""Likelihoods, gradients, tables and strings of entropy models are TFC's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

FAMILIES = ("NoisyNormal", "NoisyLogistic", "NoisyLaplace")


def _assert_close(actual, recorded, absolute=1e-6):
    """1e-5 relative above 1e-6, and the same infinities."""
    actual, recorded = np.asarray(actual).reshape(-1), recorded.reshape(-1)
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(recorded))
    np.testing.assert_array_equal(actual[np.isinf(actual)], recorded[np.isinf(recorded)])
    np.testing.assert_allclose(actual, recorded, rtol=1e-5, atol=absolute, equal_nan=True)


def _prior(case):
    loc, scale = tf.constant(case["loc"]), tf.constant(case["scale"])
    return getattr(tfc_port, FAMILIES[int(case["family"][0])])(loc=loc, scale=scale)


def test_likelihoods_and_gradients_are_those_recorded(golden):
    for case in golden("densities"):
        tensors = [tf.constant(case[name]) for name in ("x", "loc", "scale")]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            family = FAMILIES[int(case["family"][0])]
            prior = getattr(tfc_port, family)(loc=tensors[1], scale=tensors[2])
            log_prob = prior.log_prob(tensors[0])
        _assert_close(prior.prob(tensors[0]), case["prob"])
        _assert_close(log_prob, case["log_prob"])
        # A gradient is a difference of two densities over a probability: what is left of float32
        # after the subtraction depends on the processor's exp. Relative to the case's largest.
        finite = np.abs(case["gradients"][np.isfinite(case["gradients"])])
        absolute = max(1e-6, 1e-5 * finite.max(initial=0.0))
        _assert_close(tf.stack(tape.gradient(log_prob, tensors)), case["gradients"], absolute)


def test_deep_likelihoods_and_gradients_are_those_recorded(golden):
    for case in golden("deep"):
        channels = int(case["channels"][0])
        prior = tfc_port.NoisyDeepFactorized(batch_shape=(channels,))
        sizes = [variable.shape.num_elements() for variable in prior.trainable_variables]
        weights = np.split(case["weights"], np.cumsum(sizes)[:-1])
        for variable, weight in zip(prior.trainable_variables, weights):
            variable.assign(weight.reshape(variable.shape))
        x = tf.constant(case["x"].reshape(-1, channels))
        with tf.GradientTape() as tape:
            tape.watch(x)
            log_prob = prior.log_prob(x)
        gradients = tape.gradient(log_prob, [x, *prior.trainable_variables])
        _assert_close(log_prob, case["log_prob"])
        recorded = np.split(case["gradients"], np.cumsum([x.shape.num_elements(), *sizes])[:-1])
        for gradient, expected in zip(gradients, recorded):
            # Sums over values whose terms cancel, and processors' exponentials differ in their last
            # bits: relative to the largest element of all.
            tolerance = 1e-4 * np.abs(case["gradients"]).max()
            np.testing.assert_allclose(
                gradient.numpy().reshape(-1), expected, rtol=1e-5, atol=tolerance
            )


def test_models_from_recorded_tables_write_the_recorded_strings(golden):
    for case in golden("models"):
        channels = case["loc"].size
        offset = case["quantization_offset"]
        model = tfc_port.ContinuousBatchedEntropyModel(
            prior_shape=(channels,),
            coding_rank=2,
            compression=True,
            cdf=case["cdf"],
            cdf_offset=case["cdf_offset"],
            quantization_offset=tf.constant(offset) if offset.size else None,
            offset_heuristic=False,
        )
        values = tf.constant(case["values"].reshape(2, -1, channels))
        strings = model.compress(values)
        assert strings.numpy().tolist() == case["strings"]
        decoded = model.decompress(strings, [values.shape[1]])
        _assert_close(decoded, case["decoded"])


@pytest.mark.parametrize("family", range(3), ids=FAMILIES)
def test_rebuilt_tables_are_those_recorded_but_for_ties(golden, family):
    for case in golden("models"):
        if case["family"][0] != family:
            continue
        precision = int(case["precision"][0])
        model = tfc_port.ContinuousBatchedEntropyModel(
            _prior(case), 2, compression=True, range_coder_precision=precision
        )
        np.testing.assert_array_equal(model.cdf_offset, case["cdf_offset"])
        rebuilt, recorded = model.cdf.numpy(), case["cdf"]
        assert rebuilt.shape == recorded.shape
        assert np.abs(rebuilt - recorded).max(initial=0) <= 1
        _, bits = model(case["values"].reshape(2, -1, case["loc"].size), training=False)
        _assert_close(bits, case["bits"])
