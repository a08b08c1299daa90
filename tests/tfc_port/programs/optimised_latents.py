"""Inference in the style of 2020: latents are variables that a session optimises for one image."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc
from tensorflow_compression.python.ops import math_ops

tf.disable_eager_execution()
tf.set_random_seed(0)
folder = sys.argv[1]
filters = 4
scale_table = np.exp(np.linspace(np.log(0.11), np.log(256), 64))
image = np.random.RandomState(0).rand(1, 12, 20, 3).astype(np.float32)


class Transform(tf.keras.layers.Layer):
    def __init__(self, outputs, up, *args, **kwargs):
        self.outputs, self.up = outputs, up
        super().__init__(*args, **kwargs)

    def build(self, input_shape):
        scaling = {"corr": False, "strides_up": 2} if self.up else {"corr": True, "strides_down": 2}
        self._layers = [
            tfc.SignalConv2D(
                self.outputs, (5, 5), name="layer_0", padding="same_zeros", use_bias=True,
                activation=tfc.GDN(name="gdn_0", inverse=self.up), **scaling,
            ),
            tfc.SignalConv2D(
                self.outputs, (3, 3), name="layer_1", padding="same_zeros", use_bias=True,
                kernel_parameterizer=None, activation=tf.nn.leaky_relu,
            ),
        ]  # fmt: skip
        super().build(input_shape)

    def call(self, tensor):
        for layer in self._layers:
            tensor = layer(tensor)
        return tensor


x = tf.placeholder(tf.float32, (None, *image.shape[1:]))
x_shape = tf.shape(x)
y = Transform(filters, False, name="analysis_transform")(x)
z = Transform(filters, False, name="hyper_analysis_transform")(y)
synthesis = Transform(3, True, name="synthesis_transform")
hyper_synthesis = Transform(2 * filters, True, name="hyper_synthesis_transform")
y_start = tf.placeholder(tf.float32, y.shape)
z_start = tf.placeholder(tf.float32, z.shape)
temperature = tf.placeholder_with_default(0.5, [])
with tf.variable_scope("inference"):
    y_free = tf.Variable(np.zeros([1, 6, 10, filters], np.float32), name="y", trainable=True)
    z_free = tf.Variable(np.zeros([1, 3, 5, filters], np.float32), name="z", trainable=True)
assign = tf.group(y_free.assign(y_start), z_free.assign(z_start))


def softly_rounded(latents):
    below, above = tf.floor(latents), tf.ceil(latents)
    logits = tf.stack([-(latents - below), -(above - latents)], -1) / temperature
    return tf.reduce_sum(tf.stack([below, above], -1) * tf.nn.softmax(logits), -1)


bottleneck = tfc.EntropyBottleneck()
_ = bottleneck(z, training=False)
z_tilde = softly_rounded(z_free)
z_likelihoods = bottleneck._likelihood(z_tilde)
if bottleneck.likelihood_bound > 0:
    bound = tf.constant(bottleneck.likelihood_bound, dtype=tf.float32)
    z_likelihoods = math_ops.lower_bound(z_likelihoods, bound)
mu, sigma = tf.split(hyper_synthesis(z_tilde), num_or_size_splits=2, axis=-1)
y_shape = tf.shape(y)
mu = mu[:, : y_shape[1], : y_shape[2], :]
sigma = tf.exp(sigma)[:, : y_shape[1], : y_shape[2], :]
conditional = tfc.GaussianConditional(sigma, scale_table, mean=mu)
y_tilde = softly_rounded(y_free)
y_likelihoods = math_ops.lower_bound(conditional._likelihood(y_tilde), conditional.likelihood_bound)
x_tilde = synthesis(y_tilde)[:, : x_shape[1], : x_shape[2], :]
rate = sum(tf.reduce_sum(-tf.log(each)) / np.log(2) for each in (y_likelihoods, z_likelihoods))
loss = 1e3 * tf.reduce_mean(tf.squared_difference(x, x_tilde)) + rate
optimizer = tf.train.AdamOptimizer(learning_rate=0.05)
gradients = optimizer.compute_gradients(loss, [y_free, z_free])
assert all(gradient is not None for gradient, _ in gradients)
step = optimizer.apply_gradients(gradients)

side = bottleneck.compress(z_start)
decoded = bottleneck.decompress(side, tf.shape(z_start)[1:])
y_hat, _ = conditional(y_start, training=False)
string = conditional.compress(y_start)
received = conditional.decompress(string)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(bottleneck.updates[0])
    start = session.run([y, z], {x: image})
    session.run(assign, {y_start: start[0], z_start: start[1]})
    losses = [session.run([loss, step], {x: image})[0] for _ in range(15)]
    assert losses[-1] < losses[0], losses
    best_z = np.round(session.run(z_free))
    sent, z_hat = session.run([side, decoded], {z_start: best_z})
    np.testing.assert_array_equal(np.round(z_hat), best_z)
    values = session.run([y_hat, received], {y_start: start[0], x: image})
    np.testing.assert_array_equal(values[0], values[1])
print("decoded from", len(sent[0]))
