"""Layers of a published network as LiteRT's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.schema_py_generated import BuiltinOperator, BuiltinOptions, Padding

from tfhific.errors import ModelError
from tfhific.published.ops import (
    Affine,
    ChannelNorm,
    Conv,
    Deconv,
    DepthToSpace,
    DepthwiseConv,
    Gdn,
    InstanceNorm,
    LeakyRelu,
    Op,
    PlainConv,
    PlainDeconv,
    ReflectPad,
    Relu,
    Residual,
    Scale,
    Sigmoid,
    SpaceToDepth,
    Sum,
    Tanh,
)
from tfhific.runtimes.litert.graph import Graph, Shape

Arrays = Mapping[str, np.ndarray]
_Kind = TypeVar("_Kind", bound=Op)
_Writer = Callable[["Layers", _Kind, int], int]


class Layers:
    """Writes the layers of one network into a graph.

    Attributes:
      graph: what they are written into.
      arrays: the network's, by their stored names.
    """

    def __init__(self, graph: Graph, arrays: Arrays) -> None:
        self.graph = graph
        self.arrays = arrays

    def write(self, ops: Iterable[Op], x: int) -> int:
        """Ops in a row; returns the number of the tensor that they give.

        Raises:
          ModelError: for a kind of layer that LiteRT is not taught.
        """
        for op in ops:
            write = _WRITERS.get(type(op))
            if write is None:
                raise unsupported(op)
            x = write(self, op, x)
        return x

    def array(self, op: Op, name: str) -> np.ndarray:
        """One of an op's arrays, float32."""
        return np.asarray(self.arrays[op.stored(name)], np.float32)

    def shape(self, x: int) -> Shape:
        """[batch, height, width, channels] of a tensor."""
        return self.graph.shapes[x]

    def unary(self, code: int, x: int, options: tuple[int, object] | None = None) -> int:
        """An operator that keeps the shape."""
        return self.graph.add(code, [x], self.shape(x), options)

    def binary(self, code: int, x: int, y: int) -> int:
        """Sum, product or quotient; `y` may be a row of channels or one number."""
        kinds = {
            BuiltinOperator.ADD: (BuiltinOptions.AddOptions, schema.AddOptionsT),
            BuiltinOperator.SUB: (BuiltinOptions.SubOptions, schema.SubOptionsT),
            BuiltinOperator.MUL: (BuiltinOptions.MulOptions, schema.MulOptionsT),
            BuiltinOperator.DIV: (BuiltinOptions.DivOptions, schema.DivOptionsT),
        }
        number, options = kinds[code]
        return self.graph.add(code, [x, y], self.shape(x), (number, options()))

    def correlation(self, x: int, kernel: np.ndarray, bias: np.ndarray, stride: int, same: bool):
        """A correlation with a kernel [k, k, in, out], padded as `SAME` or not at all."""
        batch, height, width, _ = self.shape(x)
        if not same:
            height, width = height - kernel.shape[0] + 1, width - kernel.shape[1] + 1
        options = schema.Conv2DOptionsT()
        options.padding = Padding.SAME if same else Padding.VALID
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        inputs = [x, self.graph.constant(kernel.transpose(3, 0, 1, 2)), self.graph.constant(bias)]
        shape = (batch, -(-height // stride), -(-width // stride), kernel.shape[3])
        kind = BuiltinOptions.Conv2DOptions
        return self.graph.add(BuiltinOperator.CONV_2D, inputs, shape, (kind, options))

    def transposed(
        self, x: int, kernel: np.ndarray, bias: np.ndarray, stride: int, shape: Shape, padding: int
    ) -> int:
        """A transposed convolution that gives a shape; its kernel comes as [k, k, out, in]."""
        options = schema.TransposeConvOptionsT()
        options.padding = padding
        options.strideH = options.strideW = stride
        inputs = [
            self.graph.constant(np.array(shape, np.int32)),
            self.graph.constant(kernel.transpose(2, 0, 1, 3)),
            x,
            self.graph.constant(bias),
        ]
        kind = BuiltinOptions.TransposeConvOptions
        return self.graph.add(BuiltinOperator.TRANSPOSE_CONV, inputs, shape, (kind, options))

    def normalised(self, x: int, axes: tuple[int, ...], unbiased: float, epsilon: float) -> int:
        """Zero mean and unit variance over some axes, as moments of the values themselves.

        Args:
          x: number of the tensor.
          axes: 1 to 3, in order.
          unbiased: what the mean of the squares is multiplied by.
          epsilon: added to that.
        """

        # One axis at a time: a single sum over all of a picture's values loses their last bits.
        def mean(of: int) -> int:
            around = self.shape(x)
            for axis in reversed(axes):
                options = schema.ReducerOptionsT()
                options.keepDims = True
                around = tuple(1 if n == axis else side for n, side in enumerate(around))
                inputs = [of, self.graph.constant(np.array([axis], np.int32))]
                kind = (BuiltinOptions.ReducerOptions, options)
                of = self.graph.add(BuiltinOperator.MEAN, inputs, around, kind)
            return of

        centred = self.binary(BuiltinOperator.SUB, x, mean(x))
        square = mean(self.binary(BuiltinOperator.MUL, centred, centred))
        factor = self.graph.constant(np.array([unbiased], np.float32))
        variance = self.binary(BuiltinOperator.MUL, square, factor)
        small = self.graph.constant(np.array([epsilon], np.float32))
        inverse = self.unary(
            BuiltinOperator.RSQRT, self.binary(BuiltinOperator.ADD, variance, small)
        )
        return self.binary(BuiltinOperator.MUL, centred, inverse)

    def scaled_and_moved(self, op: Op, x: int) -> int:
        """Times an op's `gamma` plus its `beta`, channel by channel."""
        x = self.binary(BuiltinOperator.MUL, x, self.graph.constant(self.array(op, "gamma")))
        return self.binary(BuiltinOperator.ADD, x, self.graph.constant(self.array(op, "beta")))

    def pad(self, x: int, pads: tuple[int, int, int, int], reflect: bool = False) -> int:
        """Rows above and below and columns left and right added."""
        above, below, left, right = pads
        if not any(pads):
            return x
        batch, height, width, channels = self.shape(x)
        if reflect and (height <= max(above, below) or width <= max(left, right)):
            raise ModelError(
                f"{height} x {width} positions are too few to reflect {pads} of them by LiteRT."
            )
        amounts = np.array([[0, 0], [above, below], [left, right], [0, 0]], np.int32)
        shape = (batch, height + above + below, width + left + right, channels)
        inputs = [x, self.graph.constant(amounts)]
        if reflect:
            options = schema.MirrorPadOptionsT()
            options.mode = schema.MirrorPadMode.REFLECT
            kind = (BuiltinOptions.MirrorPadOptions, options)
            return self.graph.add(BuiltinOperator.MIRROR_PAD, inputs, shape, kind)
        kind = (BuiltinOptions.PadOptions, schema.PadOptionsT())
        return self.graph.add(BuiltinOperator.PAD, inputs, shape, kind)


def unsupported(op: Op) -> ModelError:
    """The error that says what LiteRT does not run."""
    return ModelError(
        f"LiteRT runs no layers of the kind {op.kind!r} here (the model's layer "
        f"{op.name or op.kind!r}): use the runtime tensorflow."
    )


def _conv(layers: Layers, op: Conv, x: int) -> int:
    kernel, bias = layers.array(op, "kernel"), layers.array(op, "bias")
    rows, columns = kernel.shape[:2]
    odd = (rows // 2, rows // 2, columns // 2, columns // 2)
    if op.stride == 1 and rows % 2 and columns % 2 and op.pads == odd and op.padding == "zeros":
        return layers.correlation(x, kernel, bias, 1, same=True)
    x = layers.pad(x, op.pads, op.padding == "reflect")
    return layers.correlation(x, kernel, bias, op.stride, same=False)


def _deconv(layers: Layers, op: Deconv, x: int) -> int:
    kernel, bias = layers.array(op, "kernel"), layers.array(op, "bias")
    batch, height, width, _ = layers.shape(x)
    rows, columns, out, _ = kernel.shape
    stride, graph = op.stride, layers.graph
    whole = (batch, stride * (height - 1) + rows, stride * (width - 1) + columns, out)
    x = layers.transposed(x, kernel, bias, stride, whole, Padding.VALID)
    above, left = op.crop
    kept = (batch, stride * height, stride * width, out)
    begin, size = np.array([0, above, left, 0], np.int32), np.array(kept, np.int32)
    inputs = [x, graph.constant(begin), graph.constant(size)]
    kind = (BuiltinOptions.SliceOptions, schema.SliceOptionsT())
    return graph.add(BuiltinOperator.SLICE, inputs, kept, kind)


def _plain_conv(layers: Layers, op: PlainConv, x: int) -> int:
    kernel, bias = layers.array(op, "kernel"), layers.array(op, "bias")
    return layers.correlation(x, kernel, bias, op.stride, same=op.layer["padding"] == "SAME")


def _plain_deconv(layers: Layers, op: PlainDeconv, x: int) -> int:
    kernel, bias = layers.array(op, "kernel"), layers.array(op, "bias")
    batch, height, width, _ = layers.shape(x)
    shape = (batch, op.stride * height, op.stride * width, kernel.shape[2])
    return layers.transposed(x, kernel, bias, op.stride, shape, Padding.SAME)


def _depthwise(layers: Layers, op: DepthwiseConv, x: int) -> int:
    kernel, bias = layers.array(op, "kernel"), layers.array(op, "bias")
    options = schema.DepthwiseConv2DOptionsT()
    options.padding = Padding.SAME
    options.strideH = options.strideW = options.depthMultiplier = 1
    options.dilationHFactor = options.dilationWFactor = 1
    inputs = [x, layers.graph.constant(kernel[None]), layers.graph.constant(bias)]
    kind = (BuiltinOptions.DepthwiseConv2DOptions, options)
    return layers.graph.add(BuiltinOperator.DEPTHWISE_CONV_2D, inputs, layers.shape(x), kind)


def _gdn(layers: Layers, op: Gdn, x: int) -> int:
    gamma, beta = layers.array(op, "gamma"), layers.array(op, "beta")
    size = layers.unary(BuiltinOperator.ABS, x, (BuiltinOptions.AbsOptions, schema.AbsOptionsT()))
    norm = layers.correlation(size, gamma[None, None], beta, 1, same=True)
    code = BuiltinOperator.MUL if op.layer["inverse"] else BuiltinOperator.DIV
    return layers.binary(code, x, norm)


def _channel_norm(layers: Layers, op: ChannelNorm, x: int) -> int:
    channels = layers.shape(x)[3]
    x = layers.normalised(x, (3,), channels / (channels - 1), op.layer["epsilon"])
    return layers.scaled_and_moved(op, x)


def _instance_norm(layers: Layers, op: InstanceNorm, x: int) -> int:
    x = layers.normalised(x, (1, 2), 1.0, op.layer["epsilon"])
    return layers.scaled_and_moved(op, x)


def _affine(layers: Layers, op: Affine, x: int) -> int:
    return layers.scaled_and_moved(op, x)


def _relu(layers: Layers, op: Relu, x: int) -> int:
    return layers.unary(BuiltinOperator.RELU, x)


def _leaky_relu(layers: Layers, op: LeakyRelu, x: int) -> int:
    options = schema.LeakyReluOptionsT()
    options.alpha = op.layer["slope"]
    return layers.unary(BuiltinOperator.LEAKY_RELU, x, (BuiltinOptions.LeakyReluOptions, options))


def _tanh(layers: Layers, op: Tanh, x: int) -> int:
    return layers.unary(BuiltinOperator.TANH, x)


def _sigmoid(layers: Layers, op: Sigmoid, x: int) -> int:
    return layers.unary(BuiltinOperator.LOGISTIC, x)


def _reflect_pad(layers: Layers, op: ReflectPad, x: int) -> int:
    size = op.layer["size"]
    return layers.pad(x, (size, size, size, size), reflect=True)


def _scale(layers: Layers, op: Scale, x: int) -> int:
    factor = layers.graph.constant(np.array([op.layer["factor"]], np.float32))
    return layers.binary(BuiltinOperator.MUL, x, factor)


def _space_to_depth(layers: Layers, op: SpaceToDepth, x: int) -> int:
    options = schema.SpaceToDepthOptionsT()
    options.blockSize = op.block
    batch, height, width, channels = layers.shape(x)
    shape = (batch, height // op.block, width // op.block, channels * op.block**2)
    kind = (BuiltinOptions.SpaceToDepthOptions, options)
    return layers.graph.add(BuiltinOperator.SPACE_TO_DEPTH, [x], shape, kind)


def _depth_to_space(layers: Layers, op: DepthToSpace, x: int) -> int:
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = op.block
    batch, height, width, channels = layers.shape(x)
    shape = (batch, height * op.block, width * op.block, channels // op.block**2)
    kind = (BuiltinOptions.DepthToSpaceOptions, options)
    return layers.graph.add(BuiltinOperator.DEPTH_TO_SPACE, [x], shape, kind)


def _sum(layers: Layers, op: Sum, x: int) -> int:
    first, *others = (layers.write(branch, x) for branch in op.branches)
    for other in others:
        first = layers.binary(BuiltinOperator.ADD, first, other)
    return first


def _residual(layers: Layers, op: Residual, x: int) -> int:
    return layers.binary(BuiltinOperator.ADD, x, layers.write(op.branch, x))


_WRITERS: Mapping[type[Op], _Writer] = {
    Conv: _conv,
    Deconv: _deconv,
    PlainConv: _plain_conv,
    PlainDeconv: _plain_deconv,
    DepthwiseConv: _depthwise,
    Gdn: _gdn,
    ChannelNorm: _channel_norm,
    InstanceNorm: _instance_norm,
    Affine: _affine,
    Relu: _relu,
    LeakyRelu: _leaky_relu,
    Tanh: _tanh,
    Sigmoid: _sigmoid,
    Scale: _scale,
    ReflectPad: _reflect_pad,
    SpaceToDepth: _space_to_depth,
    DepthToSpace: _depth_to_space,
    Sum: _sum,
    Residual: _residual,
}


def check_supported(ops: Iterable[Op]) -> None:
    """Refuses layers that LiteRT is not taught.

    Raises:
      ModelError: naming the first of them.
    """
    for op in ops:
        if type(op) not in _WRITERS:
            raise unsupported(op)
        if isinstance(op, Sum):
            for branch in op.branches:
                check_supported(branch)
        if isinstance(op, Residual):
            check_supported(op.branch)
