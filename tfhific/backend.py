"""The one place that chooses Keras and the implementation of TFC's API.

`keras` is Keras 2 (`tf.keras`, or `tf_keras` where TensorFlow carries Keras 3) and `tfc` is
tensorflow-compression where it is installed, otherwise `tfc_port`. Models are written against
these two names. Importing this module imports TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util

import tensorflow as tf

from tfhific.errors import TfhificError


def _choose_keras():
    major, minor = (int(part) for part in tf.__version__.split(".")[:2])
    if (major, minor) < (2, 16):
        return tf.keras
    if importlib.util.find_spec("tf_keras") is None:
        raise TfhificError(
            f"TensorFlow {tf.__version__} brings Keras 3, and models are trained with Keras 2: pip "
            f"install 'tf_keras=={major}.{minor}.*'. Compressing does without it."
        )
    return importlib.import_module("tf_keras")


def _choose_tfc():
    if importlib.util.find_spec("tensorflow_compression") is not None:
        return importlib.import_module("tensorflow_compression")
    return importlib.import_module("tfc_port")


keras = _choose_keras()
tfc = _choose_tfc()
