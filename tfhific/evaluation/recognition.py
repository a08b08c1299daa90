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
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    images = digits.images[..., None].astype(np.float32) / 255.0
    model.fit(images, digits.labels, batch_size=64, epochs=epochs, verbose=0)
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
    found = model.predict(images, batch_size=256, verbose=0).argmax(-1)
    right = found == labels
    classes = model.output_shape[-1]
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, weights=right, minlength=classes) / counts
