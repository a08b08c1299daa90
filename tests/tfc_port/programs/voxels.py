"""A point-cloud codec in the style of 2019: three dimensions, an Estimator-like loop, summaries."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc
from tensorflow.keras.layers import Layer
from tensorflow_compression.python.ops import math_ops, range_coding_ops

tf.disable_v2_behavior()
folder = sys.argv[1]
filters = 4
scale_table = np.exp(np.linspace(np.log(0.11), np.log(256), 64))
blocks = np.random.RandomState(0).rand(4, 8, 8, 8, 1) > 0.8


class LookedAt(tfc.GaussianConditional):
    """Shows what strings are decoded by."""

    def build(self, input_shape):
        super().build(input_shape)
        self._scale = math_ops.lower_bound(self._scale, self.scale_table[0])
        self.seen = {"cdf": self._quantized_cdf, "lengths": self._cdf_length}

    def decompress(self, strings):
        indexes = self._prepare_indexes()

        def one(arguments):
            return range_coding_ops.unbounded_index_range_decode(
                arguments[0], arguments[1], self._quantized_cdf, self._cdf_length, self._offset,
                precision=self.range_coder_precision, overflow_width=4, debug_level=0,
            )  # fmt: skip

        symbols = tf.map_fn(one, (strings, indexes), dtype=tf.int32, back_prop=False)
        return self._dequantize(symbols, "dequantize")


tfc.GaussianConditional = LookedAt


class Sequential(Layer):
    def __init__(self, layers, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._layers = layers

    def call(self, tensor, **kwargs):
        for layer in self._layers:
            tensor = layer(tensor)
        return tensor


def convolution(outputs, name, activation=tf.nn.relu, **options):
    return tfc.SignalConv3D(
        outputs, 3, padding="same_zeros", use_bias=True, activation=activation, name=name, **options
    )


def analysis():
    return Sequential(
        [
            convolution(filters, "a", corr=True, strides_down=2, activation=tfc.GDN(name="gdn")),
            convolution(filters, "b", None, corr=True),
        ],
        name="analysis",
    )


def hyper_analysis():
    return Sequential([convolution(2, "h", None, corr=True, strides_down=2)], name="hyper_analysis")


def hyper_synthesis():
    return Sequential([convolution(filters, "i", strides_up=2)], name="hyper_synthesis")


def synthesis():
    last = tf.keras.layers.Conv3D(1, 3, padding="same", activation=tf.nn.sigmoid)
    return Sequential([convolution(filters, "s", strides_up=2), last], name="synthesis")


with tf.Graph().as_default(), tf.Session() as session:
    dataset = tf.data.Dataset.from_generator(lambda: iter(blocks), tf.bool, (8, 8, 8, 1))
    dataset = dataset.repeat().batch(2).map(lambda each: tf.cast(each, tf.float32))
    x = tf.data.make_one_shot_iterator(dataset).get_next()
    y = analysis()(x)
    z = hyper_analysis()(y)
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    z_tilde, z_likelihoods = bottleneck(z, training=True)
    conditional = tfc.GaussianConditional(
        hyper_synthesis()(z_tilde), scale_table, name="conditional"
    )
    y_tilde, y_likelihoods = conditional(y, training=True)
    x_tilde = synthesis()(y_tilde)
    occupied = tf.reduce_sum(x)
    rate = (tf.reduce_sum(tf.log(y_likelihoods)) + tf.reduce_sum(tf.log(z_likelihoods))) / (
        -np.log(2) * occupied
    )
    loss = rate + tf.reduce_mean(tf.keras.losses.binary_crossentropy(x, x_tilde))
    tf.summary.scalar("loss", loss)
    tf.summary.histogram("y", y)
    merged = tf.summary.merge_all()
    step = tf.train.get_or_create_global_step()
    main = tf.train.AdamOptimizer(learning_rate=1e-3).minimize(loss, global_step=step)
    auxiliary = tf.train.AdamOptimizer(learning_rate=1e-2).minimize(bottleneck.losses[0])
    train = tf.group(main, auxiliary, bottleneck.updates[0])
    writer = tf.summary.FileWriter(folder, session.graph)
    session.run(tf.global_variables_initializer())
    for k in range(3):
        summary, value, _ = session.run([merged, loss, train])
        writer.add_summary(summary, k)
        assert np.isfinite(value)
    tf.train.Saver(keep_checkpoint_every_n_hours=1).save(session, f"{folder}/model", step)

with tf.Graph().as_default(), tf.Session() as session:
    x = tf.placeholder(tf.float32, (1, 8, 8, 8, 1))
    y = analysis()(x)
    z = hyper_analysis()(y)
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    z_string = bottleneck.compress(z)
    z_hat = bottleneck.decompress(z_string, tf.shape(z)[1:], channels=2)
    conditional = tfc.GaussianConditional(hyper_synthesis()(z_hat), scale_table, name="conditional")
    y_string = conditional.compress(y)
    y_hat = conditional.decompress(y_string)
    x_hat = synthesis()(y_hat)
    session.run(tf.global_variables_initializer())
    tf.train.Saver().restore(session, tf.train.latest_checkpoint(folder))
    sent = session.run([y_string, z_string, x_hat, conditional.seen], {x: blocks[:1]})

with tf.Graph().as_default(), tf.Session() as session:
    y_string, z_string = tf.placeholder(tf.string), tf.placeholder(tf.string)
    shape = tf.placeholder(tf.int32, shape=(3,))
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    z_hat = bottleneck.decompress(z_string, tf.concat([shape // 4, [2]], 0), channels=2)
    conditional = tfc.GaussianConditional(
        hyper_synthesis()(z_hat), scale_table, dtype=tf.float32, name="conditional"
    )
    x_hat = synthesis()(conditional.decompress(y_string))
    tf.train.Saver().restore(session, tf.train.latest_checkpoint(folder))
    feed = {y_string: sent[0], z_string: sent[1], shape: (8, 8, 8)}
    received, seen = session.run([x_hat, conditional.seen], feed)
np.testing.assert_allclose(received, sent[2], atol=1e-5)
np.testing.assert_array_equal(seen["cdf"], sent[3]["cdf"])
print("decoded from", len(sent[0][0]), len(sent[1][0]))
