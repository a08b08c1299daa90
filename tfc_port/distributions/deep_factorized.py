"""A distribution whose cumulative is a small monotonic network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import tensorflow as tf

from tfc_port._keras_files import KeptByKeras
from tfc_port._probability import load_probability
from tfc_port._types import DTypeLike, Numeric, TensorLike
from tfc_port.distributions.tails import estimate_tails
from tfc_port.distributions.uniform_noise import UniformNoiseAdapter

tfp = load_probability()
_Base: Any = tfp.distributions.Distribution


class DeepFactorized(_Base, KeptByKeras):
    """Batch of independent scalar distributions, each given by a network for its logit CDF.

    Layer k maps h to a + tanh(factor_k) tanh(a), where a = softplus(matrix_k) h + bias_k; the last
    layer has no second term. Positive matrices and factors above -1 keep it monotonic. Appendix 6.1
    of Balle et al., "Variational image compression with a scale hyperprior",
    https://openreview.net/forum?id=rkcQFMZRb (without the noise of appendix 6.2).

    The distribution owns its variables. The names of the lists that hold them are part of the
    checkpoint format.
    """

    def __init__(
        self,
        batch_shape: Iterable[int] = (),
        num_filters: Iterable[int] = (3, 3),
        init_scale: float = 10,
        allow_nan_stats: bool = False,
        dtype: DTypeLike = tf.float32,
        name: str = "DeepFactorized",
    ) -> None:
        """Makes the distribution and its variables.

        Args:
          batch_shape: Integers, the shape of the batch of distributions.
          num_filters: Integers, the widths of the hidden layers.
          init_scale: About the scale of the distributions at the beginning. Should be so large that
            most values fall where the density is not negligible.
          allow_nan_stats: Passed to `tfp.distributions.Distribution`.
          dtype: Floating-point type.
          name: Its name.
        """
        parameters = dict(locals())
        self._batch_shape_tuple = tuple(int(size) for size in batch_shape)
        self._num_filters = tuple(int(width) for width in num_filters)
        self._init_scale = float(init_scale)
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )
        with self.name_scope:
            self._make_variables()

    @property
    def num_filters(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return self._num_filters

    @property
    def init_scale(self) -> float:
        """Scale at the beginning."""
        return self._init_scale

    def _make_variables(self) -> None:
        count = self.batch_shape.num_elements()
        widths = (1, *self.num_filters, 1)
        layers = len(widths) - 1
        gain = self.init_scale ** (1 / layers)
        self._matrices, self._biases, self._factors = [], [], []
        for layer, (before, after) in enumerate(zip(widths[:-1], widths[1:])):
            # softplus of this makes the whole network divide by `init_scale`.
            start = tf.cast(_inverse_softplus(1 / gain / after), self.dtype)

            def matrix(
                start: tf.Tensor = start, before: int = before, after: int = after
            ) -> tf.Tensor:
                return tf.broadcast_to(start, (count, after, before))

            def bias(after: int = after) -> tf.Tensor:
                return tf.random.uniform((count, after, 1), -0.5, 0.5, dtype=self.dtype)

            def factor(after: int = after) -> tf.Tensor:
                return tf.zeros((count, after, 1), dtype=self.dtype)

            # Given as functions, so that a distribution can be made within a `tf.function`.
            self._matrices.append(tf.Variable(matrix, name=f"matrix_{layer}"))
            self._biases.append(tf.Variable(bias, name=f"bias_{layer}"))
            if layer < layers - 1:
                self._factors.append(tf.Variable(factor, name=f"factor_{layer}"))

    def _batch_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._batch_shape_tuple, dtype=tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._batch_shape_tuple)

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant((), dtype=tf.int32)

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(())

    def _broadcast_inputs(self, inputs: tf.Tensor) -> tf.Tensor:
        shape = tf.broadcast_dynamic_shape(tf.shape(inputs), self.batch_shape_tensor())
        return tf.broadcast_to(inputs, shape)

    def _logits_cumulative(self, inputs: tf.Tensor) -> tf.Tensor:
        """Logits of the CDF at `inputs`, whose shape ends with the batch shape."""
        shape = tf.shape(inputs)
        # One matrix product per distribution: [count, width, values].
        hidden = tf.reshape(inputs, (-1, self.batch_shape.num_elements()))
        hidden = tf.transpose(hidden)[:, tf.newaxis, :]
        for layer, (matrix, bias) in enumerate(zip(self._matrices, self._biases)):
            hidden = tf.linalg.matmul(tf.nn.softplus(matrix), hidden) + bias
            if layer < len(self._factors):
                hidden += tf.math.tanh(self._factors[layer]) * tf.math.tanh(hidden)
        return tf.reshape(tf.transpose(hidden[:, 0, :]), shape)

    def _logits(self, inputs: tf.Tensor) -> tf.Tensor:
        return self._logits_cumulative(self._broadcast_inputs(inputs))

    def _log_cdf(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.log_sigmoid(self._logits(inputs))

    def _log_survival_function(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.log_sigmoid(-self._logits(inputs))

    def _cdf(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.sigmoid(self._logits(inputs))

    def _survival_function(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.sigmoid(-self._logits(inputs))

    def _prob(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs = self._broadcast_inputs(inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            cdf = tf.math.sigmoid(self._logits_cumulative(inputs))
        return tape.gradient(cdf, inputs)

    def _log_prob(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs = self._broadcast_inputs(inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            logits = self._logits_cumulative(inputs)
        slope = tape.gradient(logits, inputs)
        # The derivative of a sigmoid is the product of the sigmoids of its argument and of the
        # argument's negative.
        return tf.math.log_sigmoid(logits) + tf.math.log_sigmoid(-logits) + tf.math.log(slope)

    def _quantization_offset(self) -> tf.Tensor:
        return self._where_logits_are(0.0)

    def _lower_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return self._where_logits_are(self._tail_logits(tail_mass))

    def _upper_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return self._where_logits_are(-self._tail_logits(tail_mass))

    def _tail_logits(self, tail_mass: Numeric) -> tf.Tensor:
        return tf.math.log(tf.cast(tail_mass / 2 / (1.0 - tail_mass / 2), self.dtype))

    def _where_logits_are(self, target: TensorLike) -> tf.Tensor:
        return estimate_tails(
            self._logits_cumulative, target, self.batch_shape_tensor(), self.dtype
        )

    @classmethod
    def _parameter_properties(
        cls, dtype: DTypeLike = tf.float32, num_classes: int | None = None
    ) -> NoReturn:
        raise NotImplementedError(f"`{cls.__name__}` does not implement `_parameter_properties`.")


class NoisyDeepFactorized(UniformNoiseAdapter):
    """`DeepFactorized` with uniform noise; takes its arguments."""

    def __init__(self, name: str = "NoisyDeepFactorized", **kwargs: Any) -> None:
        super().__init__(DeepFactorized(**kwargs), name=name)


def _inverse_softplus(value: float) -> tf.Tensor:
    """log(exp(value) - 1), which for large values is the value itself."""
    limited = tf.minimum(value, 15.0)
    return tf.where(value < 15.0, tf.math.log(tf.math.expm1(limited)), value)
