"""Foldings of Keras's own layers, and of those that see a whole picture or a vector."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tfhific.backend import keras
from tfhific.models.addons import is_instance_normalization
from tfhific.models.extreme_networks import ReflectionPad
from tfhific.published import ops
from tfhific.published.ops import Layer
from tfhific.publishing.activations import activation_entries
from tfhific.publishing.folding import (
    Arrays,
    LayerFolding,
    array_of,
    assign,
    evaluated,
    folds,
    refusal,
)

layers = keras.layers


class _Biased(LayerFolding):
    """A layer with a kernel, with a bias or without, and with an activation or without.

    Attributes:
      kind: what it becomes.
    """

    kind: ClassVar[type[ops.Kernel]]
    variables: ClassVar[tuple[str, ...]] = ("kernel",)

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        entries = super().fold(layer, prefix, arrays)
        outputs = arrays[f"{prefix}/kernel"].shape[self.kind.axes[1]]
        arrays[f"{prefix}/bias"] = (
            evaluated(layer.bias) if layer.use_bias else np.zeros([outputs], np.float32)
        )
        return [*entries, *activation_entries(layer)]

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        super().unfold(layer, prefix, arrays)
        if layer.use_bias:
            assign(layer.bias, f"{prefix}/bias", arrays)


def _only_strides(layer: Any) -> int:
    """The stride of a convolution that has no other options."""
    if len(set(layer.strides)) > 1:
        raise refusal(layer, "its strides differ")
    if set(layer.dilation_rate) != {1} or layer.data_format != "channels_last":
        raise refusal(layer, "it is dilated, or has its channels first")
    return int(layer.strides[0])


@folds(layers.Conv2D)
class _Conv(_Biased):
    kind = ops.PlainConv

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        stride, padding = _only_strides(layer), layer.padding.upper()
        if layer.groups != 1:
            raise refusal(layer, "its channels are in groups")
        return [self.kind.entry(name=prefix, stride=stride, padding=padding)]


@folds(layers.Conv2DTranspose)
class _ConvTranspose(_Biased):
    kind = ops.PlainDeconv

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        stride = _only_strides(layer)
        if layer.padding != "same" or layer.output_padding is not None:
            raise refusal(layer, "its padding is not `same`")
        return [self.kind.entry(name=prefix, stride=stride)]


@folds(layers.DepthwiseConv2D)
class _DepthwiseConv(_Biased):
    kind = ops.DepthwiseConv
    variables = ()

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        rows, columns, _, multiplier = layer.depthwise_kernel.shape
        if _only_strides(layer) != 1 or layer.padding != "same":
            raise refusal(layer, "its stride is not 1, or its padding not `same`")
        if rows != columns or rows % 2 == 0 or multiplier != 1:
            raise refusal(layer, "its kernel is not square and of an odd side, one a channel")
        return [self.kind.entry(name=prefix)]

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        arrays[f"{prefix}/kernel"] = evaluated(layer.depthwise_kernel)[..., 0]
        return super().fold(layer, prefix, arrays)

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        name = f"{prefix}/kernel"
        assign(layer.depthwise_kernel, name, {name: array_of(name, arrays)[..., None]})
        super().unfold(layer, prefix, arrays)


@folds(layers.Dense)
class _Dense(_Biased):
    kind = ops.Dense

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [self.kind.entry(name=prefix)]


@folds(ReflectionPad)
class _ReflectionPad(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.ReflectPad.entry(size=layer.size)]


# By its name where it is tensorflow-addons': to import that takes seconds, and may not be possible.
@folds(
    layers.GroupNormalization,
    "tensorflow_addons.layers.normalizations.InstanceNormalization",
)
class _InstanceNorm(LayerFolding):
    variables = ("gamma", "beta")

    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        if not is_instance_normalization(layer):
            raise refusal(layer, "its groups are not channels")
        return [ops.InstanceNorm.entry(name=prefix, epsilon=float(layer.epsilon))]


@folds(layers.BatchNormalization)
class _BatchNorm(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        if not layer.scale or not layer.center:
            raise refusal(layer, "it has no scale or no shift")
        return [ops.Affine.entry(name=prefix)]

    def fold(self, layer: Any, prefix: str, arrays: Arrays) -> list[Layer]:
        entries = super().fold(layer, prefix, arrays)
        deviation = np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
        scale = layer.gamma.numpy() / deviation
        arrays[f"{prefix}/gamma"] = scale.astype(np.float32)
        shift = layer.beta.numpy() - scale * layer.moving_mean.numpy()
        arrays[f"{prefix}/beta"] = shift.astype(np.float32)
        return entries

    def unfold(self, layer: Any, prefix: str, arrays: Arrays) -> None:
        # Mean and variance are gone: with those of nothing to normalise, the rest is what it was.
        layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
        layer.moving_variance.assign(np.full(layer.moving_variance.shape, 1.0 - layer.epsilon))
        assign(layer.gamma, f"{prefix}/gamma", arrays)
        assign(layer.beta, f"{prefix}/beta", arrays)


@folds(layers.Reshape)
class _Reshape(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.Reshape.entry(shape=[int(side) for side in layer.target_shape])]


@folds(layers.Flatten)
class _Flatten(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        return [ops.Flatten.entry()]


@folds(layers.Dropout)
class _Dropout(LayerFolding):
    def entries(self, layer: Any, prefix: str) -> list[Layer]:
        # It does nothing but in training.
        return []
