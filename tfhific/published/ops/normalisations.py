"""Layer kinds that normalise, or scale and shift, channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tfhific.published.functional import channel_norm
from tfhific.published.ops.base import ArrayOf, PerChannel, WholePicture, is_real, register

if TYPE_CHECKING:
    import tensorflow as tf


@register
class Gdn(PerChannel):
    """Generalised divisive normalisation: x divided by |x| gamma + beta, or times it.

    J. Ballé, V. Laparra, E. P. Simoncelli, "Density Modeling of Images using a Generalized
    Normalization Transformation", ICLR 2016, arXiv 1511.06281; both exponents are one.

    Settings: `name`; `inverse`, whether to multiply.

    Arrays: `gamma` [channels, channels] (in, out), `beta` [channels].
    """

    kind = "gdn"
    ranks: ClassVar[Mapping[str, int]] = {"gamma": 2, "beta": 1}

    def check(self) -> None:
        if not isinstance(self.layer.get("inverse"), bool):
            raise self.refuse("`inverse`, true or false")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        gamma = arrays(self.stored("gamma"), x)[None, None]
        norm = tf.nn.conv2d(tf.abs(x), gamma, 1, "VALID") + arrays(self.stored("beta"), x)
        return x * norm if self.layer["inverse"] else x / norm


@register
class ChannelNorm(PerChannel):
    """Each position's channels normalised: see `tfhific.published.functional.channel_norm`.

    Settings: `name`; `epsilon`, positive. Arrays: `gamma`, `beta` [channels], at least two.
    """

    kind = "channel_norm"
    ranks: ClassVar[Mapping[str, int]] = {"gamma": 1, "beta": 1}

    def check(self) -> None:
        epsilon: Any = self.layer.get("epsilon")
        if not is_real(epsilon) or epsilon <= 0:
            raise self.refuse("a positive `epsilon`")
        if self.shapes["gamma"][0] < 2:
            raise self.refuse("at least two channels to normalise")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        wide = x if x.dtype.size >= 4 else tf.cast(x, tf.float32)
        gamma, beta = (arrays(self.stored(array), wide) for array in ("gamma", "beta"))
        return tf.cast(channel_norm(wide, gamma, beta, self.layer["epsilon"]), x.dtype)


@register
class InstanceNorm(WholePicture, PerChannel):
    """Each channel normalised over height and width.

    Settings: `name`; `epsilon` above 0 and below 1. Arrays: `gamma`, `beta` [channels].
    """

    kind = "instance_norm"
    ranks: ClassVar[Mapping[str, int]] = {"gamma": 1, "beta": 1}

    def check(self) -> None:
        epsilon: Any = self.layer.get("epsilon")
        if not is_real(epsilon) or not 0 < epsilon < 1:
            raise self.refuse("an `epsilon` above 0 and below 1")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
        gamma, beta = (arrays(self.stored(array), x) for array in ("gamma", "beta"))
        return (x - mean) * (tf.math.rsqrt(variance + self.layer["epsilon"]) * gamma) + beta


@register
class Affine(PerChannel):
    """gamma x + beta, channel by channel: what a batch normalisation comes to once trained.

    Settings: `name`. Arrays: `gamma`, `beta` [channels].
    """

    kind = "affine"
    ranks: ClassVar[Mapping[str, int]] = {"gamma": 1, "beta": 1}

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        return x * arrays(self.stored("gamma"), x) + arrays(self.stored("beta"), x)
