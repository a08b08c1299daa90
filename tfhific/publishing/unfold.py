"""A folded network's arrays back into the Keras network that it was folded from."""

from __future__ import annotations

import numpy as np

from tfhific.backend import keras, tfc
from tfhific.errors import ModelError
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.layers import Parallel, Residual
from tfhific.models.normalisation import ChannelNorm


def unfold(layer: keras.layers.Layer, prefix: str, weights: dict[str, np.ndarray]) -> None:
    """Sets the variables of a built Keras network; the inverse of `tfhific.publishing.fold.fold`.

    Args:
      layer: see `fold`.
      prefix: began the names of the network's arrays.
      weights: arrays by name.

    Raises:
      ModelError: where an array is missing or of another shape, or for a layer whose kernel is
        not a variable.
    """
    if isinstance(layer, keras.Sequential):
        for number, part in enumerate(layer.layers):
            unfold(part, f"{prefix}/{number}", weights)
    elif isinstance(layer, Parallel):
        for number, branch in enumerate(layer.branches):
            unfold(branch, f"{prefix}/{number}", weights)
    elif isinstance(layer, Residual):
        unfold(layer.branch, f"{prefix}/0", weights)
    elif isinstance(layer, ChannelNorm):
        assign(layer.gamma, f"{prefix}/gamma", weights)
        assign(layer.beta, f"{prefix}/beta", weights)
    elif isinstance(layer, (PaddedConv2D, CroppedConv2DTranspose)):
        assign(layer.kernel, f"{prefix}/kernel", weights)
        assign(layer.bias, f"{prefix}/bias", weights)
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = weights[f"{prefix}/kernel"][..., None]
        assign(layer.depthwise_kernel, f"{prefix}/kernel", {f"{prefix}/kernel": kernel})
        assign(layer.bias, f"{prefix}/bias", weights)
    elif isinstance(layer, tfc.GDN):
        for name in ("gamma", "beta"):
            parameter = getattr(layer, f"{name}_parameter")
            value = weights[f"{prefix}/{name}"].astype(np.float64)
            root = np.sqrt(np.maximum(value, 0.0) + parameter.offset**2)
            assign(parameter.variable, f"{prefix}/{name}", {f"{prefix}/{name}": root})
    elif isinstance(layer, tfc.SignalConv2D):
        kernel = weights[f"{prefix}/kernel"]
        if not layer.corr:
            kernel = kernel.transpose(0, 1, 3, 2)
        # The layer's properties are tensors; a kernel with another parameter has other shapes.
        for variable in layer.trainable_variables:
            if variable.shape.rank == 1:
                assign(variable, f"{prefix}/bias", weights)
            else:
                assign(variable, f"{prefix}/kernel", {f"{prefix}/kernel": kernel})


def assign(variable, name: str, weights: dict[str, np.ndarray]) -> None:
    """Sets a variable to a named array.

    Raises:
      ModelError: where there is no such array, or it is of another shape.
    """
    if name not in weights:
        raise ModelError(f"The array {name!r} is missing.")
    value = weights[name]
    if tuple(variable.shape) != value.shape:
        raise ModelError(
            f"Expected the shape {tuple(variable.shape)} of {name!r}. Received: {value.shape}."
        )
    variable.assign(value.astype(np.float32, copy=False))
