"""The range coder's strings and tables are TFC's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port


def _encode(lookup, shape, index, value, channel):
    handle = tfc_port.create_range_encoder(shape, lookup)
    if channel:
        handle = tfc_port.entropy_encode_channel(handle, value)
    else:
        handle = tfc_port.entropy_encode_index(handle, index, value)
    return tfc_port.entropy_encode_finalize(handle)


def _decode(lookup, strings, index, shape, channel):
    handle = tfc_port.create_range_decoder(strings, lookup)
    if channel:
        handle, value = tfc_port.entropy_decode_channel(handle, shape, Tdecoded=tf.int32)
    else:
        handle, value = tfc_port.entropy_decode_index(handle, index, shape, Tdecoded=tf.int32)
    return value, tfc_port.entropy_decode_finalize(handle)


def _tensors(case):
    shape = case["shape"].tolist()
    lanes = int(np.prod(shape))
    full = [*shape, case["value"].size // lanes]
    index, value = (tf.constant(case[key].reshape(full), tf.int32) for key in ("index", "value"))
    return tf.constant(shape, tf.int32), index, value, bool(case["channel"][0])


@pytest.mark.parametrize(
    "part", [slice(1, None, 6), pytest.param(slice(None), marks=pytest.mark.slow)]
)
def test_eager_strings_are_those_recorded_and_decode_to_the_values(golden, part):
    for case in golden("coding")[part]:
        shape, index, value, channel = _tensors(case)
        strings = _encode(case["lookup"], shape, index, value, channel)
        assert strings.shape == shape.numpy().tolist()
        assert tf.reshape(strings, [-1]).numpy().tolist() == case["strings"]
        decoded, sane = _decode(case["lookup"], strings, index, value.shape[-1:], channel)
        np.testing.assert_array_equal(decoded, value)
        assert np.all(sane)


@pytest.mark.parametrize("channel", [True, False])
def test_graph_strings_are_those_recorded_and_decode_to_the_values(golden, channel):
    vector = tf.TensorSpec([None], tf.int32)
    matrix = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[vector, matrix, matrix])
    def round_trip(lookup, index, value):
        strings = _encode(lookup, tf.shape(value)[:1], index, value, channel)
        return strings, *_decode(lookup, strings, index, tf.shape(value)[1:], channel)

    graph = round_trip.get_concrete_function().graph
    operations = {operation.type for operation in graph.get_operations()}
    assert not {op for op in operations if "Range" in op and op != "Range"}
    for case in golden("coding"):
        if bool(case["channel"][0]) != channel:
            continue
        _, index, value, _ = _tensors(case)
        value = tf.reshape(value, [len(case["strings"]), value.shape[-1]])
        index = tf.reshape(index, tf.shape(value))
        strings, decoded, sane = round_trip(case["lookup"], index, value)
        assert strings.numpy().tolist() == case["strings"]
        np.testing.assert_array_equal(decoded, value)
        assert np.all(sane)


def test_quantised_tables_are_those_recorded_but_for_ties(golden):
    for case in golden("pmfs"):
        pmf = case["pmf"]
        cdf = tfc_port.pmf_to_quantized_cdf(pmf, precision=int(case["precision"][0])).numpy()
        counts, recorded = np.diff(cdf), np.diff(case["cdf"])
        moved = np.flatnonzero(counts != recorded)
        assert np.all(np.abs(counts - recorded) <= 1)
        # Counts of entries of one probability may trade places.
        for probability in np.unique(pmf[moved]):
            equal = pmf == probability
            assert sorted(counts[equal]) == sorted(recorded[equal])
