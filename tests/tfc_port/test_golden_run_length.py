"""The strings of the run-length ops and of the older range coder are TFC's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

GRAPHS = pytest.mark.parametrize("in_graph", [False, True])


def _codes(case):
    run_code, magnitude_code, by_runs = case["codes"].tolist()
    return run_code, magnitude_code, bool(by_runs)


def test_run_length_strings_are_those_recorded_and_decode_to_the_values(golden):
    for case in golden("run_length"):
        values, codes = case["values"], _codes(case)
        string = tfc_port.run_length_encode(values, *codes)
        assert string.numpy() == case["strings"][0]
        decoded = tfc_port.run_length_decode(string, [values.size], *codes)
        # The one number without an opposite is coded as the next.
        np.testing.assert_array_equal(decoded, np.maximum(values, -(2**31) + 1))


def test_run_length_ops_do_in_graphs_what_they_do_eagerly(golden):
    cases = [case for case in golden("run_length") if case["values"].size]
    for codes in sorted({_codes(case) for case in cases[::4]})[::12][:3]:

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
        def both_ways(values, codes=codes):
            string = tfc_port.run_length_encode(values, *codes)
            return string, tfc_port.run_length_decode(string, tf.shape(values), *codes)

        for case in cases:
            if _codes(case) == codes:
                string, decoded = both_ways(case["values"])
                assert string.numpy() == case["strings"][0]
                np.testing.assert_array_equal(decoded, np.maximum(case["values"], -(2**31) + 1))


def test_the_gamma_ops_are_the_run_length_ops_by_gamma_codes():
    values = tf.constant([[0, 3, 0], [0, -1, 0]])
    string = tfc_port.run_length_gamma_encode(values)
    assert string == tfc_port.run_length_encode(values, -1, -1, False)
    np.testing.assert_array_equal(tfc_port.run_length_gamma_decode(string, [2, 3]), values)


@GRAPHS
def test_range_strings_are_those_recorded_and_decode_to_the_symbols(golden, in_graph):
    cases = golden("range")
    for case in cases[3:5] if in_graph else cases:
        data = tf.constant(case["data"].reshape(case["shape"]), tf.int16)
        cdf = tf.constant(case["cdf"].reshape(case["cdf_shape"]))
        precision = int(case["precision"][0])

        def both_ways(data, cdf, precision=precision):
            string = tfc_port.range_encode(data, cdf, precision=precision)
            return string, tfc_port.range_decode(string, tf.shape(data), cdf, precision=precision)

        if in_graph:
            both_ways = tf.function(both_ways)
        string, decoded = both_ways(data, cdf)
        assert string.numpy() == case["strings"][0]
        np.testing.assert_array_equal(decoded, data)


@GRAPHS
def test_unbounded_strings_are_those_recorded_and_decode_to_the_values(golden, in_graph):
    cases = golden("unbounded")
    for case in cases[3:5] if in_graph else cases:
        cdf = case["cdf"].reshape(case["cdf_size"].size, -1)
        arguments = [tf.constant(x) for x in (case["index"], cdf, case["cdf_size"], case["offset"])]
        options = {key: int(case[key][0]) for key in ("precision", "overflow_width")}

        def both_ways(data, *arguments, options=options):
            string = tfc_port.unbounded_index_range_encode(data, *arguments, **options)
            return string, tfc_port.unbounded_index_range_decode(string, *arguments, **options)

        if in_graph:
            both_ways = tf.function(both_ways)
        string, decoded = both_ways(tf.constant(case["data"]), *arguments)
        assert string.numpy() == case["strings"][0]
        np.testing.assert_array_equal(decoded, case["data"])


@GRAPHS
def test_unbounded_values_of_any_int32_come_back(in_graph):
    tables = [[0, 3, 8, 16], [0, 15, 16, 0]], [4, 3], [-1, 7]
    data = tf.constant([2**31 - 1, -(2**31), 2**30, 0, -(2**30) - 5, 8], tf.int32)
    index = tf.constant([0, 1, 1, 0, 0, 1])
    for width in (3,) if in_graph else (1, 3, 4, 16):

        def both_ways(data, index, width=width):
            options = {"precision": 4, "overflow_width": width}
            string = tfc_port.unbounded_index_range_encode(data, index, *tables, **options)
            return tfc_port.unbounded_index_range_decode(string, index, *tables, **options)

        both_ways = tf.function(both_ways) if in_graph else both_ways
        np.testing.assert_array_equal(both_ways(data, index), data)
