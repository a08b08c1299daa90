"""The layer kinds of published networks, one class each.

`KINDS` has them by the names that they are stored under. Each class says what it stores, and how
it runs, changes sides and channels, and is cut into tiles; nothing else in tfhific asks for a
layer's kind by its name. Nothing here imports TensorFlow before a layer is run.
"""

from __future__ import annotations

from tfhific.published.ops.base import (
    KINDS,
    ArrayOf,
    Extent,
    Flow,
    Layer,
    Op,
    PerChannel,
    Shaped,
    WholePicture,
    extent_of,
    factor_of,
    flow_after,
    read_layer,
    read_layers,
    register,
    run_all,
)
from tfhific.published.ops.branches import Residual, Sum
from tfhific.published.ops.convolutions import (
    Conv,
    Deconv,
    Dense,
    DepthwiseConv,
    GridConvolution,
    Kernel,
    PlainConv,
    PlainDeconv,
)
from tfhific.published.ops.normalisations import Affine, ChannelNorm, Gdn, InstanceNorm
from tfhific.published.ops.shapes import DepthToSpace, Flatten, ReflectPad, Reshape, SpaceToDepth
from tfhific.published.ops.values import LeakyRelu, Relu, Scale, Sigmoid, Tanh

__all__ = [
    "KINDS",
    "Affine",
    "ArrayOf",
    "ChannelNorm",
    "Conv",
    "Deconv",
    "Dense",
    "DepthToSpace",
    "DepthwiseConv",
    "Extent",
    "Flatten",
    "Flow",
    "Gdn",
    "GridConvolution",
    "InstanceNorm",
    "Kernel",
    "Layer",
    "LeakyRelu",
    "Op",
    "PerChannel",
    "PlainConv",
    "PlainDeconv",
    "ReflectPad",
    "Relu",
    "Reshape",
    "Residual",
    "Scale",
    "Shaped",
    "Sigmoid",
    "SpaceToDepth",
    "Sum",
    "Tanh",
    "WholePicture",
    "extent_of",
    "factor_of",
    "flow_after",
    "read_layer",
    "read_layers",
    "register",
    "run_all",
]
