"""Which Keras: version 2, wherever it lives in the TensorFlow at hand."""

from __future__ import annotations

import functools
import types

import tensorflow as tf

_FIRST_WITH_KERAS_3 = (2, 16)
PACKAGE = "tensorflow_compression"
"""The package under which Keras objects are registered: configurations fit TFC's."""


@functools.cache
def load_keras() -> types.ModuleType:
    """Returns Keras 2: `tf.keras` up to TensorFlow 2.15, the package tf_keras from 2.16 on.

    Raises:
      ImportError: if this TensorFlow needs tf_keras, and it is not installed.
    """
    if _tensorflow_version() < _FIRST_WITH_KERAS_3:
        return tf.keras
    try:
        import tf_keras
    except ImportError as error:
        raise ImportError(
            f"TensorFlow {tf.__version__} comes with Keras 3; the layers here are Keras 2 layers. "
            f"Install tf_keras of the same version, and set TF_USE_LEGACY_KERAS=1."
        ) from error
    return tf_keras


def require_legacy_keras(name: str) -> None:
    """Checks that `tf.keras` is the Keras that the layers here are made for.

    Args:
      name: What is about to be built.

    Raises:
      RuntimeError: if it is not.
    """
    if _tensorflow_version() < _FIRST_WITH_KERAS_3:
        return
    try:
        fits = tf.keras.layers.Layer is load_keras().layers.Layer
    except (AttributeError, ImportError):
        fits = False
    if not fits:
        raise RuntimeError(
            f"{name} is a Keras 2 layer, but `tf.keras` of this TensorFlow {tf.__version__} is "
            f"Keras 3. Set the environment variable TF_USE_LEGACY_KERAS=1 before TensorFlow is "
            f"imported."
        )


def _tensorflow_version() -> tuple[int, int]:
    major, minor = tf.__version__.split(".")[:2]
    return int(major), int(minor)
