"""A hyperprior in an Estimator: training, evaluation, prediction by strings."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc

tf.disable_v2_behavior()
table = np.exp(np.linspace(np.log(0.11), np.log(64), 16))
images = np.random.RandomState(0).rand(4, 8, 8, 3).astype(np.float32)


def model_fn(features, labels, mode, params):
    training = mode == tf.estimator.ModeKeys.TRAIN
    options = {"padding": "same_zeros", "use_bias": True}
    y = tfc.SignalConv2D(
        params["filters"], 3, corr=True, strides_down=2, activation=tfc.GDN(name="gdn"),
        name="analysis", **options,
    )(features)  # fmt: skip
    z = tfc.SignalConv2D(2, 3, corr=True, strides_down=2, name="hyper_analysis", **options)(y)
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    z_tilde, z_likelihoods = bottleneck(z, training=training)
    sigma = tfc.SignalConv2D(
        params["filters"], 3, strides_up=2, activation=tf.nn.relu, name="hyper_synthesis", **options
    )(z_tilde)
    conditional = tfc.GaussianConditional(sigma, table, name="gaussian_conditional")
    y_tilde, y_likelihoods = conditional(y, training=training)
    outputs = tfc.SignalConv2D(3, 3, strides_up=2, name="synthesis", **options)(y_tilde)
    bits = -(tf.reduce_sum(tf.log(y_likelihoods)) + tf.reduce_sum(tf.log(z_likelihoods)))
    loss = tf.reduce_mean(tf.square(features - outputs)) + 1e-3 * bits
    if mode == tf.estimator.ModeKeys.PREDICT:
        strings = conditional.compress(y)
        predictions = {"string": strings, "decoded": conditional.decompress(strings), "y": y_tilde}
        return tf.estimator.EstimatorSpec(mode, predictions=predictions)
    if mode == tf.estimator.ModeKeys.EVAL:
        metrics = {"bits": tf.metrics.mean(bits)}
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)
    main = tf.train.AdamOptimizer(1e-3).minimize(loss, tf.train.get_or_create_global_step())
    auxiliary = tf.train.AdamOptimizer(1e-2).minimize(bottleneck.losses[0])
    bottleneck.visualize()
    train = tf.group(main, auxiliary, bottleneck.updates[0])
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train)


def input_fn():
    return tf.data.Dataset.from_tensor_slices(images).batch(2)


config = tf.estimator.RunConfig(save_summary_steps=1, tf_random_seed=1)
estimator = tf.estimator.Estimator(model_fn, sys.argv[1], config, params={"filters": 4})
estimator.train(lambda: input_fn().repeat(), max_steps=3)
assert estimator.evaluate(input_fn)["bits"] > 0
assert "gaussian_conditional/quantized_cdf" in estimator.get_variable_names()
predictions = list(estimator.predict(input_fn))
for prediction in predictions:
    np.testing.assert_array_equal(prediction["decoded"], prediction["y"])
print("decoded", len(predictions))
