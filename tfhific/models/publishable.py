"""What a Keras model offers so that it can be published.

`Publishable` is the whole of what `tfhific.publishing` reads of a trained hyperprior model.
`PublishedParts` has a default for all of it that a model may leave out; every `TrainableSystem`
derives from it, and so does a published part that is a model of its own, such as `HiFiC`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ModelError
from tfhific.interface import lacking


class HyperpriorConfig(Protocol):
    """What publishing reads of a configuration, a dataclass.

    Attributes:
      latent_channels: of the latents y.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def latent_channels(self) -> int: ...

    def scales(self) -> np.ndarray:
        """float64 [rows], rising: the scales that latents are coded by."""
        ...


@runtime_checkable
class EvaluatedPrior(Protocol):
    """A factorised prior of hyperlatents that evaluates its own constraints.

    Attributes:
      matrices: variables float32 [channels, out, in], before softplus.
      biases: variables float32 [channels, out, 1].
      factors: variables float32 [channels, out, 1], before tanh.
    """

    matrices: Sequence[tf.Variable]
    biases: Sequence[tf.Variable]
    factors: Sequence[tf.Variable]

    @property
    def trainable_variables(self) -> Sequence[tf.Variable]: ...

    def evaluated(self) -> tuple[tuple, tuple, tuple]:
        """Matrices, biases and factors with softplus and tanh applied: float32 arrays."""
        ...


@runtime_checkable
class HyperpriorNetworks(Protocol):
    """The five networks of a mean-and-scale hyperprior, as attributes.

    Attributes:
      analysis: image to latents.
      synthesis: latents to image.
      hyper_analysis: latents to hyperlatents.
      hyper_synthesis_mean: hyperlatents to the latents' means.
      hyper_synthesis_scale: hyperlatents to the latents' scales, or to their indexes.
    """

    @property
    def analysis(self) -> keras.layers.Layer: ...

    @property
    def synthesis(self) -> keras.layers.Layer: ...

    @property
    def hyper_analysis(self) -> keras.layers.Layer: ...

    @property
    def hyper_synthesis_mean(self) -> keras.layers.Layer: ...

    @property
    def hyper_synthesis_scale(self) -> keras.layers.Layer: ...


class Publishable(Protocol):
    """A trained hyperprior model, its variables made: what `tfhific.publishing` reads of it.

    Beside these it has its networks as attributes, under the names in `FOLDED`.

    Attributes:
      FOLDED: names of the networks that publishing folds, such as those of a checkerboard; empty
        for those of `HyperpriorNetworks`.
      config: a dataclass.
      z_prior: of the hyperlatents: an `EvaluatedPrior`, or TFC's `NoisyDeepFactorized`.
      scale_gain: a scale index is `scale_gain * network + scale_centre`.
      scale_centre: see there.
      log_gain: float32 [qualities, latent channels], or None in a model of one rate.
      log_inverse_gain: the decoder's, or None.
    """

    FOLDED: tuple[str, ...]
    config: HyperpriorConfig
    z_prior: Any
    scale_gain: float
    scale_centre: float
    log_gain: tf.Variable | None
    log_inverse_gain: tf.Variable | None

    def codec_facts(self) -> Mapping[str, Any]:
        """What the published model says where it differs from `mini`'s."""
        ...

    def extra_variables(self) -> Mapping[str, tf.Variable]:
        """Variables that a published model keeps though no coding needs them, by name."""
        ...

    def build_variables(self) -> None:
        """Makes all variables."""
        ...


class PublishedParts:
    """Defaults of `Publishable`, for a Keras model to derive from: one rate, like `mini` otherwise.

    A model says what is true of it by attributes and methods of these names.
    """

    FOLDED: tuple[str, ...] = ()
    scale_gain: float = 1.0
    scale_centre: float = 0.0
    log_gain: tf.Variable | None = None
    log_inverse_gain: tf.Variable | None = None

    def codec_facts(self) -> Mapping[str, Any]:
        """Keywords of the published model where it differs from `mini`'s: none."""
        return {}

    def extra_variables(self) -> Mapping[str, tf.Variable]:
        """Variables that a published model keeps though no coding needs them, by name: none."""
        return {}

    def build_variables(self) -> None:
        """Makes all variables, by a call on a black picture of 64x64 pixels."""
        self(tf.zeros([1, 64, 64, 3]))  # type: ignore[operator]


def check_interface(model: object) -> None:
    """Refuses a model that lacks something of `Publishable`.

    Raises:
      ModelError: naming all that is missing.
    """
    missing = lacking(model, Publishable)
    if missing:
        raise ModelError(
            f"Expected a model with all that tfhific.models.publishable.Publishable declares. "
            f"{type(model).__name__} lacks {', '.join(missing)}; deriving it from PublishedParts, "
            "or from TrainableSystem, gives it what has a default."
        )
