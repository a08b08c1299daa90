"""The activation of a Keras layer as a layer of its own."""

from __future__ import annotations

from typing import Any

from tfhific.errors import ModelError
from tfhific.published.ops import Layer, Relu, Sigmoid, Tanh

_KINDS = {"relu": Relu, "tanh": Tanh, "sigmoid": Sigmoid}
"""By the name of the function, TensorFlow's or Keras's."""


def activation_entries(layer: Any) -> list[Layer]:
    """What a Keras layer's `activation` is stored as: nothing where it changes nothing.

    Raises:
      ModelError: for one that has no folded form.
    """
    if layer.activation is None:
        return []
    name = getattr(layer.activation, "__name__", None)
    if name == "linear":
        return []
    if name not in _KINDS:
        raise ModelError(
            f"The activation of {layer.name} has no folded form: {name or layer.activation!r}."
        )
    return [_KINDS[name].entry()]
