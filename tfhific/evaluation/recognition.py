"""Whether generated digits are what they were asked to be: a small classifier's opinion."""

from __future__ import annotations

import numpy as np

from tfhific.data.idx import Digits


def train_classifier(digits: Digits, epochs: int = 2, seed: int = 0):
    """A small convolutional classifier of grey pictures.

    Args:
      digits: to train on.
      epochs: passes over them.
      seed: of weights and order.

    Returns:
      A Keras model from float32 [batch, height, width, 1] in 0..1 to logits [batch, classes].
    """
    import tensorflow as tf

    from tfhific.backend import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Conv2D(16, 3, 2, activation="relu"),
            layers.Conv2D(32, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(int(digits.labels.max()) + 1),
        ]
    )
    images = digits.images[..., None].astype(np.float32) / 255.0
    labels = digits.labels.astype(np.int32)
    model(images[:1])
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(pictures, wanted):
        with tf.GradientTape() as tape:
            logits = model(pictures, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            loss = tf.reduce_mean(loss)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for first in range(0, len(order) - 63, 64):
            chosen = order[first : first + 64]
            step(tf.constant(images[chosen]), tf.constant(labels[chosen]))
    return model


def accuracy_by_class(model, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of each class's pictures that the classifier takes for that class.

    Args:
      model: of `train_classifier`.
      images: float32 [n, height, width, 1] in 0..1.
      labels: integers [n].

    Returns:
      float64 [classes]; NaN for a class without pictures.
    """
    parts = np.array_split(images, max(len(images) // 1000, 1))
    found = np.concatenate([model(part).numpy().argmax(-1) for part in parts])
    right = found == labels
    classes = model.output_shape[-1]
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, weights=right, minlength=classes) / counts
