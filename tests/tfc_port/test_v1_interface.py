"""What programs of the TensorFlow-1 era replace in TFC 1.3's entropy models, and call by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port.v1 as tfc

v1 = tf.compat.v1
TABLE = np.exp(np.linspace(np.log(0.11), np.log(16), 6))


@pytest.fixture
def session():
    """A session of a graph of its own, which is the default."""
    with tf.Graph().as_default(), v1.Session() as session:
        yield session


def _start(session):
    session.run(v1.global_variables_initializer())


def test_a_subclass_that_rounds_otherwise_does_so_in_calls_and_strings(session):
    class ToEven(tfc.EntropyBottleneck):
        def _quantize(self, inputs, mode):
            rank, axis, channels, slices = self._get_input_dims()
            assert (rank, axis, channels) == (3, 2, 2)
            medians = self._medians[slices]
            if mode == "noise":
                return tf.stop_gradient(tf.round(inputs) - inputs) + inputs
            rounded = 2 * tf.round((inputs - medians) / 2)
            return tf.cast(rounded, tf.int32) if mode == "symbols" else rounded + medians

    x = v1.placeholder(tf.float32, [None, None, 2])
    layer = ToEven()
    rounded, likelihood = layer(x, training=False)
    hard, _ = layer(x, training=True)
    decoded = layer.decompress(layer.compress(x), tf.shape(x)[1:])
    assert decoded.shape.as_list() == [None, None, 2]
    again = layer._likelihood(rounded)
    _start(session)
    values = np.random.default_rng(0).normal(size=[3, 4, 2]) * 4
    fetched = session.run([rounded, hard, decoded, likelihood, again], {x: values})
    rounded, hard, decoded, likelihood, again = fetched
    np.testing.assert_array_equal(rounded % 2, 0)
    np.testing.assert_allclose(hard, np.round(values.astype(np.float32)))
    np.testing.assert_array_equal(decoded, rounded)
    np.testing.assert_allclose(again, likelihood, rtol=1e-6)


def test_a_subclass_with_a_density_of_its_own_is_rated_and_coded_by_it(session):
    class Narrow(tfc.EntropyBottleneck):
        def _logits_cumulative(self, inputs, stop_gradient):
            logits = inputs
            for matrix, bias in zip(self._matrices, self._biases):
                logits = tf.matmul(matrix, logits) + 0.01 * bias
            return tf.stop_gradient(8 * logits) if stop_gradient else 8 * logits

    # Biases start at random: of some, a table of whole numbers gives a little more than its share
    # to what is most probable.
    tf.keras.utils.set_random_seed(1)
    x = v1.placeholder(tf.float32, [1, None, 3])
    layer = Narrow(filters=(), init_scale=2)
    _, likelihood = layer(x, training=False)
    strings = layer.compress(x)
    _start(session)
    session.run(layer.updates[0])
    likelihood, strings = session.run([likelihood, strings], {x: np.zeros([1, 500, 3])})
    assert likelihood.min() > 0.6
    ideal = -np.log2(likelihood).sum() / 8
    assert ideal <= len(strings[0]) < 1.05 * ideal + 4


def test_a_conditional_family_of_somebodys_own_codes(session):
    class Cauchy(tfc.SymmetricConditional):
        def _standardized_cumulative(self, inputs):
            return 0.5 + tf.atan(inputs) / np.pi

        def _standardized_quantile(self, quantile):
            return np.tan(np.pi * (quantile - 0.5))

    rng = np.random.default_rng(0)
    scale = v1.placeholder(tf.float32, [None, None])
    layer = Cauchy(scale, [0.5, 1], tail_mass=2**-4)
    x = v1.placeholder(tf.float32, [None, None])
    rounded, likelihood = layer(x, training=False)
    decoded = layer.decompress(layer.compress(x))
    _start(session)
    feed = {x: rng.standard_cauchy([2, 40]), scale: rng.uniform(0.2, 2, [2, 40])}
    rounded, decoded, likelihood = session.run([rounded, decoded, likelihood], feed)
    np.testing.assert_array_equal(decoded, rounded)
    assert np.all((likelihood > 0) & (likelihood < 1))


def test_layers_that_are_built_by_a_function_put_in_their_class_decode(session, monkeypatch):
    """As programs do that want to look at the tables: `build` and `decompress` replaced."""
    seen = {}

    def build(self, input_shape):
        tf.TensorShape(input_shape).assert_is_compatible_with(self.input_spec.shape)
        assert self.scale_bound is None
        scales = tf.constant(self.scale_table, dtype=self.dtype)
        reach = -self._standardized_quantile(self.tail_mass / 2)
        centre = np.ceil(np.array(self.scale_table) * reach).astype(int)
        length = 2 * centre + 1
        widest = np.max(length)
        away = tf.constant(abs(np.arange(widest) - centre[:, None]), dtype=self.dtype)
        upper = self._standardized_cumulative((0.5 - away) / scales[:, None])
        lower = self._standardized_cumulative((-0.5 - away) / scales[:, None])

        def start(shape, dtype=None, partition_info=None):
            assert tuple(shape) == (len(length), widest + 2)
            return self._pmf_to_cdf(
                upper - lower, 2 * lower[:, :1], tf.constant(length, tf.int32), widest
            )

        cdf = self.add_weight(
            "quantized_cdf", shape=(len(length), widest + 2), initializer=start,
            dtype=tf.int32, trainable=False,
        )  # fmt: skip
        self._quantized_cdf = tf.identity(cdf)
        self._cdf_length = tf.constant(length + 2, tf.int32)
        self._offset = tf.constant(-centre, tf.int32)
        if not hasattr(self, "_indexes"):
            self._indexes = tf.reduce_sum(
                tf.cast(self.scale[..., None] > scales[:-1], tf.int32), -1
            )
        super(tfc.SymmetricConditional, self).build(input_shape)
        seen["built"] = True

    def decompress(self, strings, **options):
        with tf.name_scope(self._name_scope()):
            indexes = self._prepare_indexes(**options)
            assert indexes.shape.ndims == self.input_spec.ndim

            def one(arguments):
                return tfc.unbounded_index_range_decode(
                    *arguments, self._quantized_cdf, self._cdf_length, self._offset,
                    precision=self.range_coder_precision, overflow_width=4, debug_level=0,
                )  # fmt: skip

            symbols = v1.map_fn(one, (strings, indexes), dtype=tf.int32, back_prop=False)
            outputs = self._dequantize(symbols, "dequantize")
            assert outputs.dtype == self.dtype
            outputs.set_shape(self.input_spec.shape)
            seen["decoded"] = True
            return outputs

    rng = np.random.default_rng(0)
    values, scales = rng.normal(size=[2, 9, 3]) * 9, rng.uniform(0.1, 20, [2, 9, 3])
    mean = rng.normal(size=[2, 9, 3]).astype(np.float32)

    def run():
        scale = v1.placeholder(tf.float32, [None, None, 3])
        x = v1.placeholder(tf.float32, [None, None, 3])
        layer = tfc.GaussianConditional(scale, TABLE, mean=mean)
        rounded, _ = layer(x, training=False)
        strings = layer.compress(x)
        tensors = [strings, layer.decompress(strings), rounded]
        _start(session)
        return session.run(tensors, {x: values, scale: scales})

    expected = run()
    monkeypatch.setattr(tfc.GaussianConditional, "build", build)
    monkeypatch.setattr(tfc.GaussianConditional, "decompress", decompress)
    replaced = run()
    assert seen == {"built": True, "decoded": True}
    assert replaced[0].tolist() == expected[0].tolist()
    np.testing.assert_array_equal(replaced[1], expected[2])
    np.testing.assert_array_equal(expected[1], expected[2])


def test_a_layer_is_built_by_decompress_from_what_little_is_known(session):
    strings = v1.placeholder(tf.string)
    sizes = v1.placeholder(tf.int32, [3])
    layer = tfc.EntropyBottleneck(dtype=tf.float32, name="named", data_format="channels_first")
    y = layer.decompress(strings, tf.concat([[5], sizes], 0), channels=5)
    assert layer.built
    assert y.shape.as_list() == [None, 5, None, None, None]
    names = {variable.op.name for variable in v1.global_variables()}
    assert {"named/matrix_0", "named/quantiles", "named/quantized_cdf"} <= names
    with pytest.raises(ValueError, match="pass `channels`"):
        tfc.EntropyBottleneck().decompress(strings, sizes)
    with pytest.raises(ValueError, match="How many numbers"):
        tfc.EntropyBottleneck().decompress(strings, v1.placeholder(tf.int32), channels=5)
    scale = v1.placeholder(tf.float32, [None, None, 4])
    conditional = tfc.GaussianConditional(scale, TABLE)
    assert conditional.decompress(strings).shape.as_list() == [None, None, 4]
    assert conditional.built
    with pytest.raises(ValueError, match="rank"):
        tfc.GaussianConditional(v1.placeholder(tf.float32), TABLE)
    with pytest.raises(ValueError, match="'symbols'"):
        conditional._quantize(tf.zeros([1, 2, 4]), "hard")


def test_tables_of_conditional_models_come_with_a_checkpoint(session, tmp_path):
    layer = tfc.GaussianConditional(tf.ones([1, 50]), [0.5, 1], name="conditional")
    strings = layer.compress(tf.zeros([1, 50]))
    names = [variable.op.name for variable in v1.global_variables()]
    assert names == ["conditional/quantized_cdf", "conditional/cdf_length"]
    _start(session)
    before = session.run(strings)
    cdf, length = v1.global_variables()
    flat = np.zeros(cdf.shape, np.int32)
    flat[:, :6] = [0, 10, 20, 30, 40, 65536]
    session.run([cdf.assign(flat), length.assign([6, 6])])
    saved = v1.train.Saver().save(session, str(tmp_path / "model"))
    changed = session.run(strings)
    _start(session)
    assert session.run(strings).tolist() == before.tolist() != changed.tolist()
    v1.train.Saver().restore(session, saved)
    assert session.run(strings).tolist() == changed.tolist()


def test_as_many_strings_as_the_batch_has_elements_are_asked_for():
    layer = tfc.GaussianConditional(tf.ones([2, 3]), [1, 2])
    strings = layer.compress(tf.zeros([2, 3]))
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        layer.decompress(tf.concat([strings, strings], 0))
    assert not layer.weights


def test_layers_that_are_made_within_a_function_work_on_every_trace():
    @tf.function(reduce_retracing=False)
    def coded(values, scale):
        layer = tfc.GaussianConditional(scale, TABLE)
        rounded, _ = layer(values, training=False)
        return layer.decompress(layer.compress(values)), rounded

    for batch in (1, 2):
        values = tf.random.stateless_normal([batch, 30], [1, 2]) * 5
        decoded, rounded = coded(values, tf.fill([batch, 30], 3.0))
        np.testing.assert_array_equal(decoded, rounded)
