"""Foldings of the layers that codecs for pictures of any size are made of."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from tfhific.backend import keras, tfc
from tfhific.errors import ModelError
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.layers import DepthToSpace, Parallel, Residual, Scale, SpaceToDepth
from tfhific.models.normalisation import ChannelNorm
from tfhific.models.spectral import SpectralConv2D
from tfhific.published import ops
from tfhific.published.functional import centred
from tfhific.published.ops import Layer
from tfhific.publishing.activations import activation_entries
from tfhific.publishing.folding import (
    Arrays,
    Folding,
    LayerFolding,
    array_of,
    assign,
    evaluated,
    folding_of,
    folds,
    refusal,
)


class _Composed(Folding):
    """A layer made of layers, whose arrays are numbered."""

    @abc.abstractmethod
    def parts(self, layer: Any) -> list:
        """The layers in it, in order."""

    @abc.abstractmethod
    def joined(self, folded: list[list[Layer]]) -> list[Layer]:
        """What their folded forms make."""

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        folded = [
            folding_of(part).fold(part, f"{prefix}/{number}", arrays)
            for number, part in enumerate(self.parts(layer))
        ]
        return self.joined(folded)

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        for number, part in enumerate(self.parts(layer)):
            folding_of(part).unfold(part, f"{prefix}/{number}", arrays)


@folds(keras.Sequential)
class _Sequential(_Composed):
    def parts(self, layer: Any) -> list:
        return layer.layers

    def joined(self, folded: list[list[Layer]]) -> list[Layer]:
        return [entry for part in folded for entry in part]


@folds(Parallel)
class _Parallel(_Composed):
    def parts(self, layer: Any) -> list:
        return layer.branches

    def joined(self, folded: list[list[Layer]]) -> list[Layer]:
        return [ops.Sum.entry(branches=folded)]


@folds(Residual)
class _Residual(_Composed):
    def parts(self, layer: Any) -> list:
        return [layer.branch]

    def joined(self, folded: list[list[Layer]]) -> list[Layer]:
        return [ops.Residual.entry(branch=folded[0])]


@folds(Scale)
class _Scale(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.Scale.entry(factor=float(layer.factor))]


@folds(SpaceToDepth)
class _SpaceToDepth(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.SpaceToDepth.entry(block=layer.block)]


@folds(DepthToSpace)
class _DepthToSpace(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.DepthToSpace.entry(block=layer.block)]


@folds(keras.layers.ReLU)
class _Relu(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise refusal(layer, "it is more than max(x, 0)")
        return [ops.Relu.entry()]


@folds(keras.layers.LeakyReLU)
class _LeakyRelu(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.LeakyRelu.entry(slope=float(layer.alpha))]


@folds(keras.layers.Activation)
class _Activation(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return activation_entries(layer)


@folds(ChannelNorm)
class _ChannelNorm(LayerFolding):
    variables = ("gamma", "beta")

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.ChannelNorm.entry(name=prefix, epsilon=float(layer.epsilon))]


@folds(PaddedConv2D)
class _PaddedConv(LayerFolding):
    variables = ("kernel", "bias")

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        entry = ops.Conv.entry(name=prefix, stride=layer.stride)
        if layer.pads != centred(layer.kernel_size) * 2:
            entry["pads"] = list(layer.pads)
        if layer.padding != "zeros" and any(layer.pads):
            entry["padding"] = layer.padding
        return [entry]


@folds(SpectralConv2D)
class _SpectralConv(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        raise refusal(layer, "its kernel is not what it multiplies by")


@folds(CroppedConv2DTranspose)
class _CroppedTranspose(LayerFolding):
    variables = ("kernel", "bias")

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        entry = ops.Deconv.entry(name=prefix, stride=layer.stride)
        if layer.crop != layer.kernel_size // 2:
            entry["crop"] = [layer.crop, layer.crop]
        return [entry]


@folds(tfc.GDN)
class _Gdn(LayerFolding):
    variables = ("gamma", "beta")

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        for name in ("alpha_parameter", "epsilon_parameter"):
            if getattr(layer, name) != 1:
                raise ModelError(f"A GDN layer folds with {name} = 1 only. Received: {layer.name}.")
        if layer.rectify:
            raise ModelError(f"A rectified GDN layer has no folded form. Received: {layer.name}.")
        return [ops.Gdn.entry(name=prefix, inverse=bool(layer.inverse))]

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        # What is trained is a square root, above a bound.
        for array in self.variables:
            parameter, name = getattr(layer, f"{array}_parameter"), f"{prefix}/{array}"
            value = array_of(name, arrays).astype(np.float64)
            root = np.sqrt(np.maximum(value, 0.0) + parameter.offset**2)
            assign(parameter.variable, name, {name: root})


@folds(tfc.SignalConv2D)
class _SignalConv(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        if layer.padding != "same_zeros":
            raise ModelError(f"A signal convolution folds with padding 'same_zeros': {layer.name}.")
        rows, columns = evaluated(layer.kernel).shape[:2]
        if rows % 2 == 0 or rows != columns:
            raise ModelError(f"A signal convolution folds with odd, square kernels: {layer.name}.")
        down, up = set(layer.strides_down), set(layer.strides_up)
        if layer.corr and up == {1} and len(down) == 1:
            entry = ops.Conv.entry(name=prefix, stride=down.pop())
        elif not layer.corr and down == {1} and len(up) == 1:
            entry = ops.Deconv.entry(name=prefix, stride=up.pop())
        else:
            raise ModelError(
                "A signal convolution folds as a strided correlation or an upsampling "
                f"convolution: {layer.name}."
            )
        return [entry, *activation_entries(layer)]

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        entries = super().fold(layer, prefix, arrays)
        arrays[f"{prefix}/kernel"] = _turned(layer, evaluated(layer.kernel))
        arrays[f"{prefix}/bias"] = (
            evaluated(layer.bias) if layer.use_bias else np.zeros([layer.filters], np.float32)
        )
        return entries

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        name = f"{prefix}/kernel"
        kernel = _turned(layer, array_of(name, arrays))
        # The layer's properties are tensors; a kernel with another parameter has other shapes.
        for variable in layer.trainable_variables:
            if variable.shape.rank == 1:
                assign(variable, f"{prefix}/bias", arrays)
            else:
                assign(variable, name, {name: kernel})


def _turned(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """The kernel with its channels in an upsampling op's order, or back."""
    return kernel if layer.corr else kernel.transpose(0, 1, 3, 2)
