"""Generalised divisive normalisation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._keras import PACKAGE, load_keras, require_legacy_keras
from tfc_port._keras_files import SavesParameters
from tfc_port._types import KerasObject, ShapeLike, Weight
from tfc_port.layers.build_time_option import BuildTimeOption, boolean, one_of
from tfc_port.layers.gdn_parameter import GDNParameter
from tfc_port.layers.parameter import as_tensor

_KERAS = load_keras()
_Layer: Any = _KERAS.layers.Layer


def _weight(layer: GDN, value: Any) -> Any:
    """A weight as given: None, a callable as it is, or a constant as a tensor."""
    if isinstance(value, dict):  # a parameter, as Keras configurations hold it
        value = _KERAS.utils.legacy.deserialize_keras_object(value)
    if value is None or callable(value):
        return value
    return tf.convert_to_tensor(value, dtype=layer.compute_dtype)


def _initializer(layer: GDN, value: Any) -> Any:
    del layer
    return _KERAS.initializers.get(value)


@_KERAS.utils.register_keras_serializable(package=PACKAGE)
class GDN(SavesParameters, _Layer):
    """Generalised divisive normalisation, and its approximate inverse.

    y[i] = x[i] / (beta[i] + sum_j gamma[j, i] |x[j]|^alpha)^epsilon, with sums over channels and
    never over space. The inverse multiplies instead: one step of fixed-point iteration.

    Sources: Balle, Laparra and Simoncelli, "Density modeling of images using a generalized
    normalization transformation", https://arxiv.org/abs/1511.06281, and "End-to-end optimized image
    compression", https://arxiv.org/abs/1611.01704.

    Each of alpha, beta, gamma and epsilon is given as: a number or tensor, which stays fixed; a
    callable or `Parameter`, evaluated at each call; or None, for a `GDNParameter` that is trained,
    starting from the initializer of that name. Number and `Parameter` can be serialised.

    Input shape: [batch, ..., channels], or [batch, channels, ...] with
    `data_format="channels_first"`. Output shape: the same.
    """

    inverse = boolean("Whether to multiply rather than divide.")
    rectify = boolean("Whether negative inputs are set to 0 first.")
    data_format = one_of(("channels_first", "channels_last"), "data format")
    alpha_parameter = BuildTimeOption(_weight, "How alpha, a scalar, is given.")
    beta_parameter = BuildTimeOption(_weight, "How beta [channels] is given.")
    gamma_parameter = BuildTimeOption(_weight, "How gamma [channels, channels] is given.")
    epsilon_parameter = BuildTimeOption(_weight, "How epsilon, a scalar, is given.")
    alpha_initializer = BuildTimeOption(_initializer, "Where a trained alpha starts.")
    beta_initializer = BuildTimeOption(_initializer, "Where a trained beta starts.")
    gamma_initializer = BuildTimeOption(_initializer, "Where a trained gamma starts.")
    epsilon_initializer = BuildTimeOption(_initializer, "Where a trained epsilon starts.")

    def __init__(
        self,
        inverse: bool = False,
        rectify: bool = False,
        data_format: str = "channels_last",
        alpha_parameter: Weight | None = 1,
        beta_parameter: Weight | None = None,
        gamma_parameter: Weight | None = None,
        epsilon_parameter: Weight | None = 1,
        alpha_initializer: KerasObject = "ones",
        beta_initializer: KerasObject = "ones",
        gamma_initializer: KerasObject = _KERAS.initializers.Identity(0.1),  # noqa: B008
        epsilon_initializer: KerasObject = "ones",
        **kwargs: Any,
    ) -> None:
        """Makes the layer; arguments set the attributes of the same names, the rest goes to Keras.

        Raises:
          RuntimeError: if `tf.keras` is not Keras 2.
          ValueError: if `data_format` is unknown.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self.inverse = inverse
        self.rectify = rectify
        self.data_format = data_format
        self.alpha_parameter = alpha_parameter
        self.beta_parameter = beta_parameter
        self.gamma_parameter = gamma_parameter
        self.epsilon_parameter = epsilon_parameter
        self.alpha_initializer = alpha_initializer
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self.epsilon_initializer = epsilon_initializer

    @property
    def alpha(self) -> tf.Tensor:
        """Current value of alpha."""
        return self._value("alpha", self.alpha_parameter)

    @property
    def beta(self) -> tf.Tensor:
        """Current value of beta."""
        return self._value("beta", self.beta_parameter)

    @property
    def gamma(self) -> tf.Tensor:
        """Current value of gamma."""
        return self._value("gamma", self.gamma_parameter)

    @property
    def epsilon(self) -> tf.Tensor:
        """Current value of epsilon."""
        return self._value("epsilon", self.epsilon_parameter)

    def _value(self, name: str, parameter: Weight | None) -> tf.Tensor:
        if parameter is None:
            raise RuntimeError(f"{name} is not initialized yet. Call build().")
        return as_tensor(parameter, self.compute_dtype)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: ShapeLike) -> None:
        """Makes the parameters that are not given.

        Args:
          input_shape: Shape of the inputs; at least the number of channels must be known.

        Raises:
          ValueError: if it is not, or there are fewer than two dimensions.
        """
        input_shape = tf.TensorShape(input_shape)
        _check_rank(input_shape)
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ValueError(
                f"The channel dimension of the inputs must be defined. Received: {input_shape}."
            )
        self._make_weights(channels)
        super().build(input_shape)

    def _make_weights(self, channels: int) -> None:
        """Makes the parameters that are not given."""

        def trained(name: str, shape: list[int], minimum: float) -> GDNParameter:
            initializer = getattr(self, f"{name}_initializer")
            value = initializer(shape=shape, dtype=self.variable_dtype)
            return GDNParameter(value, name=name, minimum=minimum)

        if self.alpha_parameter is None:
            self.alpha_parameter = trained("alpha", [], 1)
        if self.beta_parameter is None:
            self.beta_parameter = trained("beta", [channels], 1e-6)
        if self.gamma_parameter is None:
            self.gamma_parameter = trained("gamma", [channels, channels], 0)
        if self.epsilon_parameter is None:
            self.epsilon_parameter = trained("epsilon", [], 1e-6)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises.

        Args:
          inputs: Floating-point tensor [batch, ..., channels], or [batch, channels, ...].

        Returns:
          Tensor of the shape and type of `inputs`.
        """
        _check_rank(inputs.shape)
        if self.rectify:
            inputs = tf.nn.relu(inputs)
        magnitude = inputs if self.rectify else tf.abs(inputs)
        pool = self._weighted_sum(self._power(magnitude, inputs))
        epsilon = _fixed(self.epsilon_parameter)
        if epsilon == 0.5:
            pool = tf.math.sqrt(pool)
        elif epsilon != 1:
            pool = pool**self.epsilon
        return inputs * pool if self.inverse else inputs / pool

    def _power(self, magnitude: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        alpha = _fixed(self.alpha_parameter)
        if alpha == 1:
            return magnitude
        if alpha == 2:
            return tf.math.square(inputs)
        # As in TFC, other powers are those of the inputs themselves: for alphas that are not even
        # integers, have them rectified.
        return inputs**self.alpha

    def _weighted_sum(self, powers: tf.Tensor) -> tf.Tensor:
        rank = powers.shape.rank
        if rank == 2:
            return tf.nn.bias_add(tf.linalg.matmul(powers, self.gamma), self.beta)
        if self.data_format == "channels_last" and rank <= 5:
            kernel = tf.reshape(self.gamma, [1] * (rank - 2) + self.gamma.shape.as_list())
            layout = f"N{'DHW'[5 - rank :]}C"
            pool = tf.nn.convolution(powers, kernel, padding="VALID", data_format=layout)
            return tf.nn.bias_add(pool, self.beta)
        pool = tf.linalg.tensordot(powers, self.gamma, [[self._channel_axis], [0]]) + self.beta
        if self.data_format == "channels_first":
            pool = tf.transpose(pool, [0, rank - 1, *range(1, rank - 1)])
        return pool

    def compute_output_shape(self, input_shape: ShapeLike) -> tf.TensorShape:
        """Returns the shape of the outputs: `input_shape`."""
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one, without the values of its variables.

        Raises:
          ValueError: if a parameter is a function that Keras can't name.
        """
        config = super().get_config()
        config.update(inverse=self.inverse, rectify=self.rectify, data_format=self.data_format)
        serialize = _KERAS.utils.legacy.serialize_keras_object
        for name in ("alpha", "epsilon"):
            parameter = getattr(self, f"{name}_parameter")
            fixed = None if callable(parameter) else _fixed(parameter)
            config[f"{name}_parameter"] = serialize(parameter) if fixed is None else fixed
        for name in ("beta", "gamma"):
            config[f"{name}_parameter"] = serialize(getattr(self, f"{name}_parameter"))
        for name in ("alpha", "beta", "gamma", "epsilon"):
            initializer = getattr(self, f"{name}_initializer")
            config[f"{name}_initializer"] = _KERAS.initializers.serialize(initializer)
        return config


def _check_rank(shape: tf.TensorShape) -> None:
    if shape.rank is None or shape.rank < 2:
        raise ValueError(f"Input tensor must have at least rank 2. Received shape: {shape}.")


def _fixed(parameter: Weight | None) -> float | None:
    """The number that a weight is fixed to, None if it is not one known number."""
    if parameter is None or callable(parameter):
        return None
    value = tf.get_static_value(parameter)
    return float(value) if value is not None and value.ndim == 0 else None
