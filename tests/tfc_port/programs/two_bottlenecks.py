"""A video codec in the style of 2020: two bottlenecks, one graph, weights restored by name."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc

tf.disable_eager_execution()
folder = sys.argv[1]
channels = 4
frames = np.random.RandomState(0).rand(2, 1, 16, 16, 3).astype(np.float32)


def analysis(tensor, name):
    with tf.variable_scope(name):
        first = tfc.SignalConv2D(
            channels, (3, 3), corr=True, strides_down=2, padding="same_zeros", use_bias=True,
            activation=tfc.GDN(name="gdn_0"), name="layer_0",
        )  # fmt: skip
        second = tfc.SignalConv2D(
            channels, (3, 3), corr=True, strides_down=2, padding="same_zeros", use_bias=False,
            activation=None, name="layer_1",
        )  # fmt: skip
        return second(first(tensor))


def synthesis(tensor, name, outputs):
    with tf.variable_scope(name):
        layer = tfc.SignalConv2D(
            channels, (3, 3), corr=False, strides_up=2, padding="same_zeros", use_bias=True,
            activation=tfc.GDN(name="igdn_0", inverse=True), name="layer_0",
        )  # fmt: skip
        last = tfc.SignalConv2D(
            outputs, (3, 3), corr=False, strides_up=2, padding="same_zeros", use_bias=True,
            activation=None, name="layer_1",
        )  # fmt: skip
        return last(layer(tensor))


def inputs():
    shape = [1, 16, 16, 3]
    return tf.placeholder(tf.float32, shape), tf.placeholder(tf.float32, shape)


with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(device_count={"GPU": 0})) as session:
    before, now = inputs()
    motion = analysis(tf.concat([before, now], -1), "motion")
    motion_bottleneck = tfc.EntropyBottleneck()
    motion_hat, motion_likelihoods = motion_bottleneck(motion, training=True)
    flow = synthesis(motion_hat, "flow", 2)
    warped = before + tf.reduce_mean(flow, -1, keepdims=True)
    residual = analysis(now - warped, "residual")
    residual_bottleneck = tfc.EntropyBottleneck()
    residual_hat, residual_likelihoods = residual_bottleneck(residual, training=True)
    decoded = warped + synthesis(residual_hat, "frame", 3)
    bits = sum(
        tf.reduce_sum(tf.log(each)) / (-np.log(2) * 256)
        for each in (motion_likelihoods, residual_likelihoods)
    )
    loss = 100 * tf.reduce_mean(tf.squared_difference(now, decoded)) + bits
    rate = tf.train.exponential_decay(1e-3, tf.Variable(0, trainable=False), 10, 0.9)
    step = tf.train.AdamOptimizer(rate).minimize(loss)
    bottlenecks = motion_bottleneck, residual_bottleneck
    auxiliary = [
        tf.train.AdamOptimizer(1e-2).minimize(each.losses[0], name=f"auxiliary_{k}")
        for k, each in enumerate(bottlenecks)
    ]
    train = tf.group(step, *auxiliary, *(each.updates[0] for each in bottlenecks))
    session.run(tf.global_variables_initializer())
    feed = {before: frames[0], now: frames[1]}
    for _ in range(3):
        session.run([train, loss], feed)
    assert np.isfinite(session.run(loss, feed))
    saved = tf.train.Saver(max_to_keep=None).save(session, f"{folder}/model.ckpt")
names = {name for name, _ in tf.train.list_variables(saved)}
assert {"entropy_bottleneck/quantiles", "entropy_bottleneck_1/quantized_cdf"} <= names, names

with tf.Graph().as_default(), tf.Session() as session:
    before, now = inputs()
    motion = analysis(tf.concat([before, now], -1), "motion")
    motion_bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    motion_string = tf.squeeze(motion_bottleneck.compress(motion), axis=0)
    motion_hat = motion_bottleneck.decompress(
        tf.expand_dims(motion_string, 0), [4, 4, channels], channels=channels
    )
    flow = synthesis(motion_hat, "flow", 2)
    warped = before + tf.reduce_mean(flow, -1, keepdims=True)
    residual = analysis(now - warped, "residual")
    residual_bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck_1")
    residual_string = tf.squeeze(residual_bottleneck.compress(residual), axis=0)
    residual_hat, _ = residual_bottleneck(residual, training=False)
    decoded = warped + synthesis(residual_hat, "frame", 3)
    tf.train.Saver().restore(session, saved)
    sent = session.run(
        [motion_string, residual_string, decoded], {before: frames[0], now: frames[1]}
    )

with tf.Graph().as_default(), tf.Session() as session:
    before, _ = inputs()
    strings = [tf.placeholder(tf.string, []) for _ in range(2)]
    latents = [
        tfc.EntropyBottleneck(dtype=tf.float32, name=name).decompress(
            tf.expand_dims(string, 0), [4, 4, channels], channels=channels
        )
        for name, string in zip(("entropy_bottleneck", "entropy_bottleneck_1"), strings)
    ]
    flow = synthesis(latents[0], "flow", 2)
    warped = before + tf.reduce_mean(flow, -1, keepdims=True)
    decoded = warped + synthesis(latents[1], "frame", 3)
    tf.train.Saver(max_to_keep=None).restore(session, saved)
    received = session.run(decoded, {before: frames[0], **dict(zip(strings, sent))})
np.testing.assert_allclose(received, sent[2], atol=1e-5)
print("decoded from", [len(string) for string in sent[:2]])
