"""TensorFlow Probability, or one error that says what to install."""

from __future__ import annotations

import functools
import importlib
import types

import tensorflow as tf

from tfc_port._keras import load_keras

# The release that was made for each TensorFlow; later ones of it work with later TensorFlows.
_RELEASES = {(2, 14): "0.22", (2, 15): "0.23", (2, 16): "0.24", (2, 17): "0.24"}
_LATEST = "0.25"


@functools.cache
def load_probability() -> types.ModuleType:
    """Returns tensorflow_probability.

    Raises:
      ImportError: if it is not installed, or does not fit this TensorFlow.
    """
    # What it needs itself, from TensorFlow 2.16 on.
    load_keras()
    try:
        module = importlib.import_module("tensorflow_probability")
        # Imported when first used, which is when it looks at TensorFlow's version.
        module.distributions  # noqa: B018
        return module
    except ImportError as error:
        major, minor = (int(part) for part in tf.__version__.split(".")[:2])
        release = _RELEASES.get((major, minor), _LATEST)
        raise ImportError(
            "The distributions and entropy models here need tensorflow-probability, which can't be "
            f"imported ({error}). Install the release for TensorFlow {tf.__version__}: "
            f'pip install "tensorflow-probability=={release}.*"'
        ) from error
