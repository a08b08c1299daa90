"""Names, lazy imports, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfc_port


def test_every_public_name_can_be_used():
    for name in tfc_port.__all__:
        assert getattr(tfc_port, name) is not None
    assert set(tfc_port.__all__) <= set(dir(tfc_port))


def test_importing_the_package_and_the_coder_imports_no_tensorflow():
    code = (
        "import sys, tfc_port, tfc_port.coding;"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'tensorflow_probability')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_tensorflow_probability_one_message_says_what_to_install():
    code = (
        "import sys; sys.modules['tensorflow_probability'] = None;"
        "import tfc_port; tfc_port.GDN, tfc_port.pmf_to_quantized_cdf;"
        "tfc_port.ContinuousBatchedEntropyModel"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install" in run.stderr.strip().splitlines()[-1]
    assert "tensorflow-probability" in run.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        ([-4, 0, 3, 9, 15], "end with"),
        ([-17, 0, 3], "precision"),
        ([4, 1, 16], "start with 0"),
        ([4, 0, 9, 8, 16], "increasing"),
        ([], "too short"),
        (5, "rank 1 or 2"),
    ],
)
def test_bad_lookup_tensors_are_refused(lookup, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tfc_port.create_range_encoder([], tf.constant(lookup, tf.int32))


def test_values_outside_a_row_without_overflow_are_refused():
    handle = tfc_port.create_range_encoder([], [4, 0, 3, 9, 16])
    for value in (-1, 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside its row"):
            tfc_port.entropy_encode_channel(handle, [value])


def test_shapes_that_do_not_fit_the_handle_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be a vector"):
        tfc_port.create_range_encoder(2, [4, 0, 3, 9, 16])
    handle = tfc_port.create_range_encoder([2], [4, 0, 3, 9, 16])
    with pytest.raises(tf.errors.InvalidArgumentError, match="should start with"):
        tfc_port.entropy_encode_channel(handle, [0, 1, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="should match"):
        tfc_port.entropy_encode_index(handle, [[0], [0]], [[0, 1], [0, 1]])


def test_eager_and_graph_decoders_agree_on_arbitrary_strings_and_end():
    lookup = tf.constant([-6, 0, 1, 30, 63, 64, -3, 0, 4, 8], tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def in_graph(strings):
        handle = tfc_port.create_range_decoder(strings, lookup)
        handle, values = tfc_port.entropy_decode_channel(handle, [9], tf.int32)
        return values, tfc_port.entropy_decode_finalize(handle)

    rng = np.random.default_rng(0)
    strings = [rng.bytes(int(rng.integers(0, 12))) for _ in range(60)]
    strings += [b"\xff" * 40, b"\0" * 40, b"\xfe" + b"\0" * 30]
    handle = tfc_port.create_range_decoder(strings, lookup)
    handle, values = tfc_port.entropy_decode_channel(handle, [9], tf.int32)
    sane = tfc_port.entropy_decode_finalize(handle)
    graph_values, graph_sane = in_graph(tf.constant(strings))
    np.testing.assert_array_equal(graph_sane, sane)
    np.testing.assert_array_equal(graph_values, values)


def test_handles_can_be_read_in_parts():
    lookup = [-6, 0, 1, 30, 63, 64]
    values = tf.constant([[0, 1, 2, -3, 100], [2, 2, 1, 0, 1]])
    handle = tfc_port.create_range_encoder([2], lookup)
    for part in tf.split(values, [2, 3], axis=1):
        handle = tfc_port.entropy_encode_channel(handle, part)
    strings = tfc_port.entropy_encode_finalize(handle)
    whole = tfc_port.create_range_encoder([2], lookup)
    whole = tfc_port.entropy_encode_finalize(tfc_port.entropy_encode_channel(whole, values))
    assert strings.numpy().tolist() == whole.numpy().tolist()
    handle = tfc_port.create_range_decoder(strings, lookup)
    handle, first = tfc_port.entropy_decode_channel(handle, [3], tf.int32)
    assert not np.all(tfc_port.entropy_decode_finalize(handle))
    handle, second = tfc_port.entropy_decode_channel(handle, [2], tf.int32)
    np.testing.assert_array_equal(tf.concat([first, second], 1), values)
    assert np.all(tfc_port.entropy_decode_finalize(handle))


def test_attributes_of_built_layers_are_fixed():
    layer = tfc_port.GDN()
    layer.build([None, 3])
    with pytest.raises(RuntimeError, match="after it has been built"):
        layer.inverse = True


@pytest.mark.parametrize("streams", [1, 2])
def test_compression_without_tables_is_refused(streams):
    prior = tfc_port.NoisyNormal(loc=0.0, scale=1.0)
    model = tfc_port.ContinuousBatchedEntropyModel(prior, 1, streams=streams)
    with pytest.raises(RuntimeError, match="compression=True"):
        model.compress([1.0])
    with pytest.raises(RuntimeError, match="compression=True"):
        model.decompress([b""], [1])


def test_a_tail_that_an_adapted_distribution_lacks_is_found_otherwise():
    class Adapter(tfp.distributions.Normal):
        def _quantization_offset(self):
            return self.no_such_base._quantization_offset()

        def _lower_tail(self, tail_mass):
            return self.no_such_base._lower_tail(tail_mass)

    adapter = Adapter(0.25, 2.0)
    assert tfc_port.quantization_offset(adapter) == 0.25
    assert tfc_port.lower_tail(adapter, 0.5) == adapter.quantile(0.25)


def test_probabilities_of_another_type_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32"):
        tfc_port.pmf_to_quantized_cdf(tf.constant([0.5, 0.5], tf.float64), precision=8)


@pytest.mark.parametrize("streams", [0, 10**6])
def test_impossible_numbers_of_streams_are_refused(streams):
    prior = tfc_port.NoisyNormal(loc=0.0, scale=1.0)
    with pytest.raises(ValueError, match="streams"):
        tfc_port.ContinuousBatchedEntropyModel(prior, 1, streams=streams)


def test_indexes_of_another_number_of_ranges_are_refused():
    model = tfc_port.UniversalIndexedEntropyModel(
        tfc_port.NoisyNormal, (3,), {"loc": lambda _: 0.0, "scale": lambda i: i[..., 0] + 1}, 1
    )
    with pytest.raises(ValueError, match="index ranges"):
        model(tf.zeros([2]), tf.zeros([2, 3]))


def test_arrays_that_are_shifted_by_their_location_stay_as_they_are():
    model = tfc_port.LocationScaleIndexedEntropyModel(
        tfc_port.NoisyNormal, 2, lambda index: index + 1.0, coding_rank=1, compression=True
    )
    values, loc = np.array([1.25, 2.5], np.float32), np.array([0.25, 0.5], np.float32)
    indexes = [0, 1]
    perturbed, _ = model(values, indexes, loc, training=False)
    strings = model.compress(values, indexes, loc)
    assert values.tolist() == [1.25, 2.5]
    assert perturbed.numpy().tolist() == values.tolist()
    assert model.decompress(strings, indexes, loc).numpy().tolist() == values.tolist()
    assert model.compress(values.tolist(), indexes, loc) == strings
