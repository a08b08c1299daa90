"""Layer kinds that sum products over a kernel."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tfhific.errors import ModelError
from tfhific.published import functional
from tfhific.published.functional import PADDINGS, Pads, centred, spans
from tfhific.published.ops.base import ArrayOf, Extent, Flow, Op, is_whole, register

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_STRIDE = 16
_MAX_PAD = 32
_MAX_DEPTHWISE = 31


class Kernel(Op):
    """A linear layer: products with a `kernel`, and a `bias` [out] added.

    Attributes:
      axes: of the kernel's input and output channels.
    """

    ranks: ClassVar[Mapping[str, int]] = {"kernel": 4, "bias": 1}
    axes: ClassVar[tuple[int, int]] = (2, 3)

    @property
    def widths(self) -> tuple[int, int]:
        """Channels in and out."""
        kernel = self.shapes["kernel"]
        return kernel[self.axes[0]], kernel[self.axes[1]]

    def check(self) -> None:
        kernel, bias = self.shapes["kernel"], self.shapes["bias"]
        if bias != (self.widths[1],) or not all(kernel):
            raise ModelError(
                f"The model's layer {self.name!r} has a bias of {bias} for a kernel of {kernel}."
            )

    def after(self, flow: Flow) -> Flow:
        inward, outward = self.widths
        self.same(flow.channels, inward)
        return flow._replace(channels=outward)

    @abc.abstractmethod
    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The sums of products alone, without the bias."""

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        return self.product(x, arrays(self.stored("kernel"), x)) + arrays(self.stored("bias"), x)


class Strided(Kernel):
    """A `Kernel` with a `stride` of 1 to 16."""

    @property
    def stride(self) -> int:
        return self.layer["stride"]

    def check(self) -> None:
        super().check()
        if not is_whole(self.layer.get("stride"), 1, _MAX_STRIDE):
            raise self.refuse(f"a stride of 1 to {_MAX_STRIDE}")

    def _check_amounts(self, setting: str, count: int) -> None:
        value = self.layer.get(setting)
        if value is None:
            return
        fits = isinstance(value, list) and len(value) == count
        if not fits or not all(is_whole(amount, 0, _MAX_PAD) for amount in value):
            raise self.refuse(f"`{setting}`, {count} numbers from 0 to {_MAX_PAD}")


class GridConvolution(Strided):
    """A `Strided` whose padding is its own: in tiles it gives what it gives on the whole."""

    @property
    def is_plain(self) -> bool:
        """Whether the kernel is centred and the padding zeros: nothing but a stride is set."""
        return set(self.layer) == {"op", "name", "stride"}


@register
class Conv(GridConvolution):
    """A strided correlation.

    Settings: `name`; `stride`; optional `pads`, rows above and below and columns left and right
    that are added, without it k // 2 before and the rest after; optional `padding`, `zeros` (the
    default) or `reflect`, what they are.

    Arrays: `kernel` [k, k, in, out], `bias` [out].
    """

    kind = "conv"

    @property
    def pads(self) -> Pads:
        """Rows above and below, columns left and right."""
        rows, columns = self.shapes["kernel"][:2]
        above, below, left, right = self.layer.get("pads") or (*centred(rows), *centred(columns))
        return above, below, left, right

    @property
    def padding(self) -> str:
        """What the input is padded with."""
        return self.layer.get("padding", "zeros")

    def check(self) -> None:
        super().check()
        self._check_amounts("pads", 4)
        if self.padding not in PADDINGS:
            raise self.refuse(f"padding by {' or '.join(PADDINGS)}")
        above, below, left, right = self.pads
        for kernel, pad in zip(self.shapes["kernel"], (above + below, left + right)):
            # Only so does every whole multiple of the stride give one output a stride.
            if not kernel - self.stride <= pad < kernel:
                raise self.refuse(f"pads that fit the kernel, {self.shapes['kernel'][:2]}")

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return functional.conv(x, kernel, self.stride, self.pads, self.padding)

    @property
    def factor(self) -> Fraction:
        return Fraction(self.stride)

    @property
    def radius(self) -> Fraction:
        above, _, left, _ = self.pads
        return _farthest(self.shapes["kernel"], (above, left))


@register
class Deconv(GridConvolution):
    """An upsampling convolution: its output has stride x the input's sides.

    Settings: `name`; `stride`; optional `crop`, rows cut off above and columns cut off left,
    without it k // 2.

    Arrays: `kernel` [k, k, out, in], `bias` [out].
    """

    kind = "deconv"
    axes = (3, 2)

    @property
    def crop(self) -> tuple[int, int]:
        """Rows cut off above, columns cut off left."""
        rows, columns = self.shapes["kernel"][:2]
        above, left = self.layer.get("crop") or (rows // 2, columns // 2)
        return above, left

    def check(self) -> None:
        super().check()
        self._check_amounts("crop", 2)
        shape = self.shapes["kernel"]
        if not all(spans(size, self.stride, cut) for size, cut in zip(shape, self.crop)):
            raise self.refuse(f"a kernel that reaches over its stride, not {shape[:2]}")

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return functional.deconv(x, kernel, self.stride, self.crop)

    @property
    def factor(self) -> Fraction:
        return Fraction(1, self.stride)

    @property
    def radius(self) -> Fraction:
        # Output position p sees inputs i with p = stride * i + tap - crop.
        return _farthest(self.shapes["kernel"], self.crop) / self.stride


@register
class DepthwiseConv(Kernel):
    """A kernel a channel, centred, padded with zeros.

    Settings: `name`. Arrays: `kernel` [k, k, channels], k odd, `bias` [channels].
    """

    kind = "depthwise_conv"
    ranks: ClassVar[Mapping[str, int]] = {"kernel": 3, "bias": 1}
    axes = (2, 2)

    def check(self) -> None:
        super().check()
        rows, columns, _ = self.shapes["kernel"]
        if rows != columns or rows % 2 == 0 or rows > _MAX_DEPTHWISE:
            raise self.refuse(
                f"a square kernel of an odd side up to {_MAX_DEPTHWISE}, not {(rows, columns)}"
            )

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.depthwise_conv2d(x, kernel[..., None], [1, 1, 1, 1], "SAME")

    @property
    def radius(self) -> Fraction:
        return Fraction(self.shapes["kernel"][0] // 2)


@register
class PlainConv(Strided):
    """A strided correlation that TensorFlow pads.

    Settings: `name`; `stride`; `padding`, TensorFlow's `SAME` or `VALID`.

    Arrays: `kernel` [k, k, in, out], `bias` [out].
    """

    kind = "plain_conv"

    def check(self) -> None:
        super().check()
        if self.layer.get("padding") not in ("SAME", "VALID"):
            raise self.refuse("the padding SAME or VALID")

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.conv2d(x, kernel, self.stride, self.layer["padding"])

    @property
    def factor(self) -> Fraction:
        return Fraction(self.stride)

    @property
    def radius(self) -> Fraction:
        return _farthest(self.shapes["kernel"], _same_pads(self))

    @property
    def extent(self) -> Extent:
        # Without padding, there is less than one output a stride where the kernel is larger.
        if self.layer["padding"] == "VALID" and max(self.shapes["kernel"][:2]) > self.stride:
            raise self.untiled()
        return super().extent


@register
class PlainDeconv(Strided):
    """An upsampling convolution that TensorFlow pads as `SAME`.

    Settings: `name`; `stride`. Arrays: `kernel` [k, k, out, in], `bias` [out].
    """

    kind = "plain_deconv"
    axes = (3, 2)

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        shape = tf.shape(x)
        sides = [shape[1] * self.stride, shape[2] * self.stride]
        size = tf.stack([shape[0], *sides, kernel.shape[2]])
        return tf.nn.conv2d_transpose(x, kernel, size, self.stride, "SAME")

    @property
    def factor(self) -> Fraction:
        return Fraction(1, self.stride)

    @property
    def radius(self) -> Fraction:
        return _farthest(self.shapes["kernel"], _same_pads(self)) / self.stride


@register
class Dense(Kernel):
    """A matrix on each position's channels, or on a vector.

    Settings: `name`. Arrays: `kernel` [in, out], `bias` [out].
    """

    kind = "dense"
    ranks: ClassVar[Mapping[str, int]] = {"kernel": 2, "bias": 1}
    axes = (0, 1)

    def after(self, flow: Flow) -> Flow:
        return super().after(flow)._replace(vector=True)

    def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.matmul(x, kernel)


def _farthest(sizes: Iterable[int], before: Iterable[int]) -> Fraction:
    """How far kernels look to any side, with so many positions before the one they belong to."""
    return Fraction(max(max(first, size - 1 - first) for size, first in zip(sizes, before)))


def _same_pads(op: Strided) -> tuple[int, int]:
    """Rows above and columns left that `SAME` pads where sides are multiples of the stride."""
    rows, columns = (max(size - op.stride, 0) // 2 for size in op.shapes["kernel"][:2])
    return rows, columns
