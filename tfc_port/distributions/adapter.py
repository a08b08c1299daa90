"""What distributions made from another one have in common."""

from __future__ import annotations

from typing import Any, NoReturn

import tensorflow as tf

from tfc_port._keras_files import KeptByKeras
from tfc_port._probability import load_probability
from tfc_port._types import Distribution, DTypeLike

tfp = load_probability()
_Base: Any = tfp.distributions.Distribution


class ShapesOfBase:
    """Mixin of distributions with the batch and event shapes of the distribution `_base`."""

    _base: Distribution

    @property
    def base(self) -> Distribution:
        """The distribution that this one is made from."""
        return self._base

    def _batch_shape_tensor(self) -> tf.Tensor:
        return self.base.batch_shape_tensor()

    def _batch_shape(self) -> tf.TensorShape:
        return self.base.batch_shape

    def _event_shape_tensor(self) -> tf.Tensor:
        return self.base.event_shape_tensor()

    def _event_shape(self) -> tf.TensorShape:
        return self.base.event_shape

    @classmethod
    def _parameter_properties(
        cls, dtype: DTypeLike = tf.float32, num_classes: int | None = None
    ) -> NoReturn:
        raise NotImplementedError(f"`{cls.__name__}` does not implement `_parameter_properties`.")


class Adapter(ShapesOfBase, _Base, KeptByKeras):
    """A distribution of some function of values from a base distribution."""

    def __init__(self, base: Distribution, name: str) -> None:
        """Makes the distribution.

        Args:
          base: A continuous `tfp.distributions.Distribution`.
          name: Its name.
        """
        parameters = dict(locals())
        self._base = base
        super().__init__(
            dtype=base.dtype,
            reparameterization_type=base.reparameterization_type,
            validate_args=base.validate_args,
            allow_nan_stats=base.allow_nan_stats,
            parameters=parameters,
            name=name,
        )
