"""Layer kinds that move values without changing them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from tfhific.errors import ModelError
from tfhific.published.ops.base import ArrayOf, Flow, Op, WholePicture, is_whole, register

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_BLOCK = 64
_MAX_PAD = 64
_MAX_VALUES = 1 << 24


class Blocks(Op):
    """An op with a `block`, a side of 2 to 64 positions."""

    @property
    def block(self) -> int:
        return self.layer["block"]

    def check(self) -> None:
        if not is_whole(self.layer.get("block"), 2, _MAX_BLOCK):
            raise self.refuse(f"a block of 2 to {_MAX_BLOCK}")


@register
class SpaceToDepth(Blocks):
    """Blocks of block x block positions into channels. Settings: `block`."""

    kind = "space_to_depth"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.space_to_depth(x, self.block)

    def after(self, flow: Flow) -> Flow:
        if flow.channels is None:
            return flow
        return flow._replace(channels=flow.channels * self.block**2)

    @property
    def factor(self) -> Fraction:
        return Fraction(self.block)

    @property
    def radius(self) -> Fraction:
        return Fraction(self.block - 1)


@register
class DepthToSpace(Blocks):
    """The inverse of `SpaceToDepth`. Settings: `block`."""

    kind = "depth_to_space"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.depth_to_space(x, self.block)

    def after(self, flow: Flow) -> Flow:
        if flow.channels is None:
            return flow
        channels, rest = divmod(flow.channels, self.block**2)
        if rest:
            raise ModelError("The model makes pixels of channels that don't suffice.")
        return flow._replace(channels=channels)

    @property
    def factor(self) -> Fraction:
        return Fraction(1, self.block)

    @property
    def radius(self) -> Fraction:
        return Fraction(self.block - 1, self.block)


@register
class ReflectPad(WholePicture):
    """The input and its reflection about every edge, the edge itself not repeated.

    Settings: `size`, positions at every edge, 1 to 64.
    """

    kind = "reflect_pad"

    def check(self) -> None:
        if not is_whole(self.layer.get("size"), 1, _MAX_PAD):
            raise self.refuse(f"a size of 1 to {_MAX_PAD}")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        pad = [self.layer["size"]] * 2
        return tf.pad(x, [[0, 0], pad, pad, [0, 0]], "REFLECT")


@register
class Reshape(WholePicture):
    """All values of a picture in another shape. Settings: `shape`, without the batch."""

    kind = "reshape"

    def check(self) -> None:
        shape = self.layer.get("shape")
        fits = isinstance(shape, list) and all(is_whole(side, 1, _MAX_VALUES) for side in shape)
        if not fits or not shape or math.prod(shape) > _MAX_VALUES:
            raise self.refuse(f"a shape of up to {_MAX_VALUES} values")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.reshape(x, [-1, *self.layer["shape"]])

    def after(self, flow: Flow) -> Flow:
        shape = self.layer["shape"]
        if flow.vector:
            self.same(flow.channels, math.prod(shape))
        return Flow(shape[-1])


@register
class Flatten(WholePicture):
    """All values of a picture as one vector. No settings."""

    kind = "flatten"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.reshape(x, [tf.shape(x)[0], math.prod(x.shape[1:])])

    def after(self, flow: Flow) -> Flow:
        return Flow(flow.channels if flow.vector else None, vector=True)
