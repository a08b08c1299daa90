"""Variables of modules in the files that Keras 2 calls version 3: `.keras` and `.weights.h5`.

For each layer such a file holds the variables that Keras knows as the layer's own. Those of a
`tf.Module` in it, such as a reparameterised kernel or a prior, are none of them, and neither
writing nor reading would say so.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._keras import load_keras

_KERAS = load_keras()
_Loss: Any = _KERAS.losses.Loss
# Keras's own names are numbers.
_MARK = ":"


class SavesParameters:
    """Mixin of layers: their files also hold the variables of modules that are attributes."""

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the variables that are this layer's own, by name, into what Keras gives."""
        super().save_own_variables(store)  # type: ignore[misc]  # of the layer, a base behind this
        for name, variable in _variables_of_modules(self).items():
            store[name] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote.

        Raises:
          ValueError: if the file lacks variables, has others, or has one of another shape.
        """
        variables = _variables_of_modules(self)
        arrays = {name: store[name] for name in store if _MARK in name}
        _check(self, variables, arrays)
        own = {name: store[name] for name in store if _MARK not in name}
        super().load_own_variables(own)  # type: ignore[misc]  # of the layer, a base behind this
        for name, variable in variables.items():
            variable.assign(np.asarray(arrays[name]))


class KeptByKeras(_Loss):
    """Mixin of modules: they are in the files of Keras models that have them as attributes.

    Keras saves layers, metrics, optimisers and losses, wherever it finds them in a model, and asks
    those that want to be asked. What is no layer (its variables would be tracked twice) is a loss:
    that class has neither state nor behaviour of its own.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises `TypeError`, where the class is not one of callable objects."""
        raise TypeError(f"{type(self).__name__!r} object is not callable")

    call = __call__

    def get_config(self) -> dict[str, Any]:
        """Raises `NotImplementedError`, where the class has no configuration."""
        raise NotImplementedError(f"Serializing {type(self).__name__} is not implemented.")

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the variables that no such module within this one has, into what Keras gives."""
        for name, variable in _own_variables(self).items():
            store[name] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote.

        Raises:
          ValueError: if the file lacks variables, has others, or has one of another shape.
        """
        variables = _own_variables(self)
        arrays = {name: store[name] for name in store}
        _check(self, variables, arrays)
        for name, variable in variables.items():
            variable.assign(np.asarray(arrays[name]))


def _check(owner: Any, variables: Mapping[str, tf.Variable], arrays: Mapping[str, Any]) -> None:
    what = f"{type(owner).__name__} {owner.name!r}"
    missing, further = sorted(variables.keys() - arrays), sorted(arrays.keys() - variables)
    if missing or further:
        differs = [f"lacks {missing}"] if missing else []
        differs += [f"has {further}, which is not there"] if further else []
        raise ValueError(
            f"The file does not hold the variables of {what}: it {' and '.join(differs)}. Either "
            f"this is not built yet: call it once before. Or the file is of another model, or of "
            f"tensorflow-compression, whose .keras and .weights.h5 files leave variables out: use "
            f"a SavedModel, a checkpoint, or save_weights('name.h5')."
        )
    for name, variable in variables.items():
        if not variable.shape.is_compatible_with(arrays[name].shape):
            raise ValueError(
                f"Variable {name} of {what} must have shape {variable.shape}. "
                f"The file has {tf.TensorShape(arrays[name].shape)}."
            )


def _own_variables(module: tf.Module) -> dict[str, tf.Variable]:
    """The variables of a module by number, less those of modules within it that Keras asks too."""
    within = [inner for inner in module.submodules if isinstance(inner, KeptByKeras)]
    known = {id(variable) for inner in within for variable in inner.variables}
    variables = [variable for variable in module.variables if id(variable) not in known]
    return {str(number): variable for number, variable in enumerate(variables)}


def _variables_of_modules(layer: tf.Module) -> dict[str, tf.Variable]:
    """The variables of modules that are attributes of a layer, but for layers, each once."""
    known = {id(variable) for variable in layer._trainable_weights + layer._non_trainable_weights}
    variables = {}
    for attribute, value in sorted(vars(layer).items()):
        if not isinstance(value, tf.Module) or isinstance(value, _KERAS.layers.Layer):
            continue
        for number, variable in enumerate(value.variables):
            if id(variable) not in known:
                known.add(id(variable))
                variables[f"{attribute.lstrip('_')}{_MARK}{number}"] = variable
    return variables
