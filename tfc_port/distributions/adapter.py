"""What distributions made from another one have in common."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._keras_files import KeptByKeras
from tfc_port._probability import load_probability

tfp = load_probability()


class ShapesOfBase:
    """Mixin of distributions with the batch and event shapes of the distribution `_base`."""

    @property
    def base(self):
        """The distribution that this one is made from."""
        return self._base

    def _batch_shape_tensor(self):
        return self.base.batch_shape_tensor()

    def _batch_shape(self):
        return self.base.batch_shape

    def _event_shape_tensor(self):
        return self.base.event_shape_tensor()

    def _event_shape(self):
        return self.base.event_shape

    @classmethod
    def _parameter_properties(cls, dtype=tf.float32, num_classes=None):
        raise NotImplementedError(f"`{cls.__name__}` does not implement `_parameter_properties`.")


class Adapter(ShapesOfBase, tfp.distributions.Distribution, KeptByKeras):
    """A distribution of some function of values from a base distribution."""

    def __init__(self, base, name):
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
