"""Instance and spectral normalisation: from tensorflow-addons, or built-in where that is absent.

tensorflow-addons is past its end of life and absent from the latest stack. Keras's own
`GroupNormalization(groups=-1)` and `SpectralNormalization` give the same numbers, which
`tests/models/test_addons.py` shows where both exist.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings

from tfhific.backend import keras

EPSILON = 1e-5
"""Added to the variance by instance normalisation."""


def addons_available() -> bool:
    """Whether tensorflow-addons is installed."""
    return importlib.util.find_spec("tensorflow_addons") is not None


def instance_normalization(addons: bool | None = None) -> keras.layers.Layer:
    """Normalises every channel of every picture by its mean and variance over height and width.

    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization: The Missing Ingredient for Fast
    Stylization", 2016, arXiv 1607.08022. Scale and shift are learned.

    Args:
      addons: take tensorflow-addons' layer; None to take it where it is installed.

    Input and output shape: float [batch, height, width, channels].
    """
    if _use_addons(addons):
        return _addons().layers.InstanceNormalization(axis=-1, epsilon=EPSILON)
    return keras.layers.GroupNormalization(groups=-1, axis=-1, epsilon=EPSILON)


def is_instance_normalization(layer: keras.layers.Layer) -> bool:
    """Whether a layer is one that `instance_normalization` makes."""
    if isinstance(layer, keras.layers.GroupNormalization):
        return layer.groups in (-1, layer.gamma.shape[0])
    return addons_available() and isinstance(layer, _addons().layers.InstanceNormalization)


def spectral_normalization(
    layer: keras.layers.Layer, addons: bool | None = None
) -> keras.layers.Layer:
    """Divides a layer's kernel by an estimate of its largest singular value at every training step.

    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral Normalization for Generative Adversarial
    Networks", ICLR 2018, arXiv 1802.05957. One power iteration a step.

    Args:
      layer: a layer with a kernel, such as a convolution.
      addons: as for `instance_normalization`.
    """
    if _use_addons(addons):
        return _addons().layers.SpectralNormalization(layer)
    return keras.layers.SpectralNormalization(layer)


def _use_addons(addons: bool | None) -> bool:
    return addons_available() if addons is None else addons


def _addons():
    # It announces its end of life, and the TensorFlow versions it was tested with, at import.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("tensorflow_addons")
