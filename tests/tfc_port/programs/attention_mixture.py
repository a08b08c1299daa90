"""A codec in the style of 2020: attention, a mixture of Gaussians, a masked context."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc

tf.disable_v2_behavior()
folder = sys.argv[1]
channels = 4
images = np.random.RandomState(0).rand(1, 16, 16, 3).astype(np.float32)


def residual_block(tensor, name):
    with tf.variable_scope(name):
        hidden = tf.keras.layers.Conv2D(channels, 3, padding="same")(tensor)
        return tensor + tf.nn.leaky_relu(hidden)


def attention(tensor, name):
    with tf.variable_scope(name):
        trunk = residual_block(tensor, "trunk")
        mask = tfc.SignalConv2D(
            channels, (1, 1), corr=True, padding="same_zeros", use_bias=True, name="mask",
            activation=tf.nn.sigmoid,
        )(residual_block(tensor, "gate"))  # fmt: skip
        return tensor + trunk * mask


def analysis(tensor):
    with tf.variable_scope("analysis", reuse=tf.AUTO_REUSE):
        tensor = tfc.SignalConv2D(
            channels, (3, 3), corr=True, strides_down=4, padding="same_zeros", use_bias=True,
            activation=tfc.GDN(name="gdn"), name="layer_0",
        )(tensor)  # fmt: skip
        return attention(tensor, "attention")


def synthesis(tensor):
    with tf.variable_scope("synthesis"):
        return tfc.SignalConv2D(
            3, (3, 3), strides_up=4, padding="same_zeros", use_bias=True, name="layer_0",
            activation=tfc.GDN(name="igdn", inverse=True),
        )(attention(tensor, "attention"))  # fmt: skip


def parameters(z_hat, y_hat):
    initializer = tf.keras.initializers.RandomUniform(-0.1, 0.1)
    kernel = tf.get_variable("context", [5, 5, channels, channels], initializer=initializer)
    mask = np.zeros([5, 5, 1, 1], np.float32)
    mask[:2], mask[2, :2] = 1, 1
    context = tf.nn.conv2d(y_hat, kernel * mask, [1, 1, 1, 1], "SAME")
    side = tfc.SignalConv2D(
        channels, (3, 3), strides_up=2, padding="same_zeros", use_bias=True, name="hyper_synthesis"
    )(z_hat)
    outputs = tf.keras.layers.Conv2D(9 * channels, 1)(tf.concat([context, side], -1))
    return tf.split(outputs, 9, axis=-1)


def mixture_likelihood(y, outputs):
    weights = tf.nn.softmax(tf.stack(outputs[:3], -1), -1)
    total = 0.0
    for k in range(3):
        scale = tf.maximum(tf.nn.softplus(outputs[6 + k]), 0.11)
        below, above = (y - 0.5 - outputs[3 + k]) / scale, (y + 0.5 - outputs[3 + k]) / scale
        total += weights[..., k] * 0.5 * (tf.erf(above / 2**0.5) - tf.erf(below / 2**0.5))
    return tfc.lower_bound(total, 1e-6)


x = tf.placeholder(tf.float32, [1, None, None, 3])
y = analysis(x)
z = tfc.SignalConv2D(
    2, (3, 3), corr=True, strides_down=2, padding="same_zeros", name="hyper_analysis"
)(y)
bottleneck_y, bottleneck_z = tfc.EntropyBottleneck(name="y"), tfc.EntropyBottleneck(name="z")
y_tilde, _ = bottleneck_y(y, training=True)
z_tilde, z_likelihoods = bottleneck_z(z, training=True)
outputs = parameters(z_tilde, y_tilde)
y_likelihoods = mixture_likelihood(y_tilde, outputs)
x_tilde = synthesis(y_tilde)
bits = -sum(tf.reduce_sum(tf.log(each)) for each in (y_likelihoods, z_likelihoods)) / np.log(2)
loss = 100 * tf.reduce_mean(tf.squared_difference(x, x_tilde)) + bits / 256
optimizer = tf.train.AdamOptimizer(1e-3)
gradients, variables = zip(*optimizer.compute_gradients(loss))
known = [(g, v) for g, v in zip(gradients, variables) if g is not None]
clipped, _ = tf.clip_by_global_norm([g for g, _ in known], 5.0)
main = optimizer.apply_gradients(zip(clipped, [v for _, v in known]))
auxiliary = tf.train.GradientDescentOptimizer(1e-2).minimize(
    bottleneck_y.losses[0] + bottleneck_z.losses[0]
)
with tf.control_dependencies([main, auxiliary]):
    train = tf.group(bottleneck_y.updates[0], *bottleneck_z.updates)
side_string = bottleneck_z.compress(z)
side = bottleneck_z.decompress(side_string, tf.shape(z)[1:], channels=2)
z_hat, _ = bottleneck_z(z, training=False)
means, scales = outputs[3], tf.nn.softplus(outputs[6])
conditional = tfc.GaussianConditional(scales, [2.0**k for k in range(-3, 6)], mean=means)
string = conditional.compress(y)
y_hat, likelihoods = conditional(y, training=False)
decoded = conditional.decompress(string)

config = tf.ConfigProto()
config.gpu_options.allow_growth = True
with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    session.run(tf.local_variables_initializer())
    for _ in range(3):
        _, value = session.run([train, loss], {x: images})
        assert np.isfinite(value)
    saver = tf.train.Saver(tf.global_variables(), max_to_keep=2)
    saver.save(session, f"{folder}/attention", global_step=3)
    saver.restore(session, tf.train.latest_checkpoint(folder))
    got = session.run([side, z_hat, decoded, y_hat, string, side_string, likelihoods], {x: images})
np.testing.assert_array_equal(got[0], got[1])
# What the noise of training changes differs between runs and not within one.
np.testing.assert_array_equal(got[2], got[3])
print("decoded from", len(got[4][0]), len(got[5][0]), "bits", -np.log2(got[6]).sum())
