"""How a Keras layer becomes layers of a published network and back: the table by its class."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import tensorflow as tf

from tfhific.errors import ModelError
from tfhific.published.ops import Layer

Arrays = dict[str, np.ndarray]
"""Arrays by the names that they are stored under."""


class Folding(abc.ABC):
    """How one class of Keras layer is folded, and unfolded."""

    @abc.abstractmethod
    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        """The layers as they are stored.

        Args:
          layer: a built Keras layer.
          prefix: begins the names of its arrays.
          arrays: takes them.

        Raises:
          ModelError: when the layer has no folded form; see `refusal`.
        """

    @abc.abstractmethod
    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        """Sets the layer's variables to what `fold` stores.

        Raises:
          ModelError: where an array is missing or of another shape, or the layer has a variable
            that can't be told from the arrays.
        """


class LayerFolding(Folding):
    """A folding of a layer that has no other layers in it.

    Attributes:
      variables: the layer's attributes that are stored as they are, under their own names.
    """

    variables: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        """The layers as they are stored, made with `tfhific.published.ops.Op.entry`.

        Args:
          layer: a built Keras layer.
          prefix: begins the names of its arrays.

        Raises:
          ModelError: when the layer has no folded form; see `refusal`.
        """

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        entries = self.entries(layer, prefix)
        for name in self.variables:
            arrays[f"{prefix}/{name}"] = evaluated(getattr(layer, name))
        return entries

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        for name in self.variables:
            assign(getattr(layer, name), f"{prefix}/{name}", arrays)


FOLDINGS: dict[type | str, Folding] = {}
"""By the class of the Keras layer, or its module and name: see `folds`."""

Kind = TypeVar("Kind", bound=type[Folding])


def folds(*layers: type | str) -> Callable[[Kind], Kind]:
    """A decorator of a `Folding`: it is used for these Keras layers and what derives from them.

    Args:
      *layers: classes; or module and name, of one whose module is not to be imported for this.

    Raises:
      ModelError: when one of them has a folding already.
    """

    def decorate(folding: Kind) -> Kind:
        for layer in layers:
            if layer in FOLDINGS:
                raise ModelError(f"The Keras layer {layer} has a folding already.")
            FOLDINGS[layer] = folding()
        return folding

    return decorate


def folding_of(layer: Any) -> Folding:
    """The folding of a Keras layer: of its class, or of the nearest one that it derives from.

    Raises:
      ModelError: where there is none.
    """
    for cls in type(layer).__mro__:
        for key in (cls, f"{cls.__module__}.{cls.__qualname__}"):
            if key in FOLDINGS:
                return FOLDINGS[key]
    raise refusal(layer)


def refusal(layer: Any, why: str = "") -> ModelError:
    """The error that says that a Keras layer can't be published."""
    said = f": {why}" if why else ""
    return ModelError(f"The layer {type(layer).__name__} ({layer.name}) has no folded form{said}.")


def evaluated(parameter: Any) -> np.ndarray:
    """The array that a variable, a tensor or a TFC parameter holds, float32."""
    value = parameter() if callable(parameter) else parameter
    return np.asarray(tf.convert_to_tensor(value), np.float32)


def array_of(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """A named array.

    Raises:
      ModelError: where it is missing.
    """
    if name not in arrays:
        raise ModelError(f"The array {name!r} is missing.")
    return arrays[name]


def assign(variable: Any, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets a variable to a named array.

    Raises:
      ModelError: where there is no such array, or it is of another shape.
    """
    value = array_of(name, arrays)
    if tuple(variable.shape) != value.shape:
        raise ModelError(
            f"Expected the shape {tuple(variable.shape)} of {name!r}. Received: {value.shape}."
        )
    variable.assign(value.astype(np.float32, copy=False))
