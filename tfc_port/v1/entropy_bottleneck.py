"""Entropy model of TFC 1.3 that learns its distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._keras import PACKAGE, load_keras
from tfc_port._types import ShapeLike, TensorLike
from tfc_port.v1.entropy_model import EntropyModel, Replaceable

_KERAS = load_keras()
_TABLES = ("_quantized_cdf", "_cdf_length", "_offset")


@_KERAS.utils.register_keras_serializable(package=f"{PACKAGE}_v1")
class EntropyBottleneck(EntropyModel):
    """Layer whose values are independent, with one distribution for each channel.

    Each distribution's cumulative is a small network, as in `tfc_port.DeepFactorized`; see appendix
    6.1 of Balle et al., "Variational image compression with a scale hyperprior",
    https://openreview.net/forum?id=rkcQFMZRb. Three quantiles of each, the tails and the median,
    are variables of their own that follow the distributions: `losses[0]` is what they are trained
    on, and concerns nothing else. `updates[0]` makes the tables anew that strings are coded by; run
    it with every step of training, or at the end.

    In a graph of `tf.compat.v1` that is an op, made once. Eagerly, getting `updates` makes the
    tables.

    Variables: `matrix_k`, `bias_k` and `factor_k` of the networks, `quantiles` [channels, 1, 3],
    and `quantized_cdf`, int32 [channels, ...], of the size that the last update gave it.
    """

    def __init__(
        self,
        init_scale: float = 10,
        filters: Iterable[int] = (3, 3, 3),
        data_format: str = "channels_last",
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          init_scale: About the scale of the distributions at the beginning.
          filters: Integers, the widths of the networks' hidden layers.
          data_format: "channels_last" or "channels_first".
          **kwargs: `tail_mass`, `likelihood_bound` and `range_coder_precision`, as in
            `EntropyModel`; the rest goes to Keras.

        Raises:
          ValueError: if an argument is not as described.
        """
        # Before version 1.3 this chose how values are centred; they are at the median.
        kwargs.pop("optimize_integer_offset", None)
        super().__init__(**kwargs)
        self._init_scale = float(init_scale)
        self._filters = tuple(int(width) for width in filters)
        self._data_format = str(data_format)
        if self.data_format not in ("channels_first", "channels_last"):
            raise ValueError(
                f"Unknown data format: expected 'channels_first' or 'channels_last'. "
                f"Received: {data_format!r}."
            )
        self._update = None
        self.input_spec = _KERAS.layers.InputSpec(min_ndim=2)

    @property
    def init_scale(self) -> float:
        """Scale of the distributions at the beginning."""
        return self._init_scale

    @property
    def filters(self) -> tuple[int, ...]:
        """Widths of the networks' hidden layers."""
        return self._filters

    @property
    def data_format(self) -> str:
        """Where channels are."""
        return self._data_format

    def _channel_axis(self, rank: int) -> int:
        return 1 if self.data_format == "channels_first" else rank - 1

    def build(self, input_shape: ShapeLike) -> None:
        """Makes the variables, and the tables of the distributions as they begin.

        Args:
          input_shape: Shape of the values; at least the number of channels must be known.

        Raises:
          ValueError: if it is not, or there are fewer than two dimensions.
        """
        input_shape = tf.TensorShape(input_shape)
        if input_shape.rank is None or input_shape.rank < 2:
            raise ValueError(f"Inputs must have at least rank 2. Received shape: {input_shape}.")
        axis = self._channel_axis(input_shape.rank)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"The channel dimension of the inputs must be defined. Received: {input_shape}."
            )
        self.input_spec = _KERAS.layers.InputSpec(ndim=input_shape.rank, axes={axis: int(channels)})
        channels = int(channels)
        self._make_network(channels)
        tails = np.array([-self.init_scale, 0, self.init_scale])
        self._quantiles = self.add_weight(
            "quantiles",
            shape=(channels, 1, 3),
            dtype=self._float_dtype,
            initializer=_KERAS.initializers.Constant(np.tile(tails, (channels, 1, 1))),
        )
        eager = tf.executing_eagerly() or tf.inside_function()
        # Tables that code anything, if not well, before the first update.
        whole = 1 << self.range_coder_precision
        self._cdf = tf.Variable(
            lambda: tf.tile([[0, whole // 2, whole]], [channels, 1]),
            shape=[channels, None],
            validate_shape=False,
            trainable=False,
            dtype=tf.int32,
            name="quantized_cdf",
        )
        if not eager:
            for name in ("_matrices", "_biases", "_factors", "_medians", *_TABLES):
                setattr(self, name, getattr(self, name))
            self._update = self._cdf.assign(self._current_cdf(), read_value=False)
        elif not tf.inside_function():
            self._cdf.assign(self._current_cdf())
        self.add_loss(self._quantile_loss)
        super().build(input_shape)

    def _make_network(self, channels: int) -> None:
        widths = (1, *self.filters, 1)
        gain = self.init_scale ** (1 / (len(widths) - 1))
        constant = _KERAS.initializers.Constant
        self._matrix_weights, self._bias_weights, self._factor_weights = [], [], []
        for layer, (before, after) in enumerate(zip(widths[:-1], widths[1:])):
            start = math.log(math.expm1(1 / gain / after))
            options = {"dtype": self._float_dtype}
            self._matrix_weights.append(
                self.add_weight(
                    f"matrix_{layer}",
                    shape=(channels, after, before),
                    initializer=constant(start),
                    **options,
                )
            )
            self._bias_weights.append(
                self.add_weight(
                    f"bias_{layer}",
                    shape=(channels, after, 1),
                    initializer=_KERAS.initializers.RandomUniform(-0.5, 0.5),
                    **options,
                )
            )
            if layer < len(self.filters):
                self._factor_weights.append(
                    self.add_weight(
                        f"factor_{layer}",
                        shape=(channels, after, 1),
                        initializer="zeros",
                        **options,
                    )
                )

    _matrices = Replaceable("_read_matrices")
    _biases = Replaceable("_read_biases")
    _factors = Replaceable("_read_factors")
    _medians = Replaceable("_read_medians")

    def _read_matrices(self) -> list[tf.Tensor]:
        """The matrices as they are multiplied by, above 0."""
        return [tf.nn.softplus(weight) for weight in self._matrix_weights]

    def _read_biases(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(weight) for weight in self._bias_weights]

    def _read_factors(self) -> list[tf.Tensor]:
        """The factors as they are multiplied by, in (-1, 1)."""
        return [tf.math.tanh(weight) for weight in self._factor_weights]

    def _read_medians(self) -> tf.Tensor:
        return tf.stop_gradient(tf.convert_to_tensor(self._quantiles)[:, 0, 1])

    def _logits_cumulative(self, inputs: tf.Tensor, stop_gradient: bool) -> tf.Tensor:
        """Logits of the cumulatives at values [channels, 1, n].

        `stop_gradient` says whether weights count as constants.
        """

        def weight(tensor: tf.Tensor) -> tf.Tensor:
            return tf.stop_gradient(tensor) if stop_gradient else tensor

        matrices, biases, factors = self._matrices, self._biases, self._factors
        hidden = inputs
        for layer, (matrix, bias) in enumerate(zip(matrices, biases)):
            hidden = tf.linalg.matmul(weight(matrix), hidden) + weight(bias)
            if layer < len(factors):
                hidden += weight(factors[layer]) * tf.math.tanh(hidden)
        return hidden

    def _get_input_dims(self) -> tuple[int, int, int, tuple[slice | None, ...]]:
        """The rank of values, the axis of channels and their number, and an index.

        A vector of channels, so indexed, is broadcast along values.
        """
        rank = self.input_spec.ndim
        axis = self._channel_axis(rank)
        slices = tuple(slice(None) if k == axis else None for k in range(rank))
        return rank, axis, self.input_spec.axes[axis], slices

    def _mass(
        self, values: tf.Tensor, stop_gradient: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Probabilities of unit intervals around values [channels, 1, n]; logits of their ends."""
        lower = self._logits_cumulative(values - 0.5, stop_gradient)
        upper = self._logits_cumulative(values + 0.5, stop_gradient)
        # Where both are right of the median, the difference is taken on the other side of it.
        sign = tf.stop_gradient(-tf.sign(lower + upper))
        return tf.abs(tf.sigmoid(sign * upper) - tf.sigmoid(sign * lower)), lower, upper

    def _quantile_loss(self) -> tf.Tensor:
        # log(2 / tail_mass - 1) is the logit of the upper tail.
        target = math.log(2 / self.tail_mass - 1)
        logits = self._logits_cumulative(tf.convert_to_tensor(self._quantiles), stop_gradient=True)
        targets = tf.constant([-target, 0, target], self._float_dtype)
        return tf.reduce_sum(tf.abs(logits - targets))

    def _reach(self) -> tuple[tf.Tensor, tf.Tensor]:
        """How many whole steps the tables go below and above the medians, int32 [channels]."""
        quantiles = tf.stop_gradient(tf.convert_to_tensor(self._quantiles))[:, 0, :]
        below = tf.math.ceil(quantiles[:, 1] - quantiles[:, 0])
        above = tf.math.ceil(quantiles[:, 2] - quantiles[:, 1])
        return tuple(tf.maximum(tf.cast(reach, tf.int32), 0) for reach in (below, above))

    def _sampled(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Probabilities [channels, width], what is left over [channels, 1], lengths [channels]."""
        below, above = self._reach()
        length = below + above + 1
        start = self._medians - tf.cast(below, self._float_dtype)
        steps = tf.cast(tf.range(tf.reduce_max(length)), self._float_dtype)
        mass, lower, upper = self._mass(steps + start[:, None, None], stop_gradient=True)
        left = tf.sigmoid(lower[:, 0, :1]) + tf.sigmoid(-upper[:, 0, -1:])
        return mass[:, 0, :], left, length

    def _current_cdf(self) -> tf.Tensor:
        mass, left, length = self._sampled()
        return self._pmf_to_cdf(mass, left, length, tf.reduce_max(length))

    def _read_cdf(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._cdf)

    def _read_cdf_length(self) -> tf.Tensor:
        # A step that trains the quantiles may run beside the update that makes the tables of them,
        # so how long a table is follows from itself: it ends where all of the mass is.
        is_end = tf.equal(self._quantized_cdf, 1 << self.range_coder_precision)
        return tf.argmax(is_end, axis=1, output_type=tf.int32) + 1

    def _read_offset(self) -> tf.Tensor:
        return -self._reach()[0]

    @property
    def updates(self) -> list[tf.Operation | tf.Tensor | tf.Variable]:
        """A list with what makes the tables anew: an op, or eagerly nothing more to do."""
        if not self.built:
            return []
        if self._update is not None:
            return [self._update]
        return [self._cdf.assign(self._current_cdf())]

    def _centre(self, values: tf.Tensor) -> tf.Tensor:
        return self._medians[self._get_input_dims()[3]]

    def _prepare_indexes(self, shape: TensorLike, channels: int | None = None) -> tf.Tensor:
        shape = tf.convert_to_tensor(shape, tf.int32)
        if not self.built:
            self._build_for(self._known_shape(shape, channels))
        rank, axis, channels, slices = self._get_input_dims()
        shape = tf.ensure_shape(shape, [rank - 1])
        rows = tf.broadcast_to(tf.range(channels)[slices[1:]], shape)
        dims: list[int | None] = [None] * (rank - 1)
        dims[axis - 1] = channels
        return tf.ensure_shape(rows, dims)

    def _known_shape(self, shape: tf.Tensor, channels: int | None) -> tf.TensorShape:
        """What is known of the values' shape, from a tensor of it without the batch."""
        known = tf.TensorShape(tf.get_static_value(shape, partial=True))
        if known.rank is None:
            if shape.shape.rank != 1 or shape.shape[0] is None:
                raise ValueError(
                    "How many numbers `shape` has must be known to build the layer. "
                    f"Received: {shape}."
                )
            known = tf.TensorShape([None] * int(shape.shape[0]))
        dims = [None, *known.as_list()]
        axis = self._channel_axis(len(dims))
        if channels is not None:
            dims[axis] = int(channels)
        if dims[axis] is None:
            raise ValueError(
                "The number of channels must be known to build the layer: pass `channels`."
            )
        return tf.TensorShape(dims)

    def _likelihood(self, values: tf.Tensor) -> tf.Tensor:
        rank = values.shape.rank
        axis = self._channel_axis(rank)
        others = [k for k in range(rank) if k != axis]
        first = tf.transpose(values, [axis, *others])
        shape = tf.shape(first)
        flat = tf.reshape(first, tf.stack([shape[0], 1, -1]))
        likelihood = tf.reshape(self._mass(flat)[0], shape)
        back = np.argsort([axis, *others]).tolist()
        return tf.transpose(likelihood, back)

    def decompress(
        self, strings: TensorLike, shape: ShapeLike, channels: int | None = None
    ) -> tf.Tensor:
        """Decodes rounded values.

        Args:
          strings: String tensor [batch].
          shape: int32 vector, the shape of the values without the batch.
          channels: Number of channels; needed where the layer is not built and `shape` is not known
            when the graph is made.

        Returns:
          Tensor [batch, ...].

        Raises:
          ValueError: if the number of channels is not known.
          tf.errors.InvalidArgumentError: if a string is damaged in a way that can be seen.
        """
        return super().decompress(strings, shape=shape, channels=channels)

    def visualize(self) -> tf.Tensor | None:
        """Makes an image summary of the distributions.

        Returns:
          The summary: a row of pixels for each channel, each as bright as its value is likely, with
          the median where the row's table has it. None outside of `tf.compat.v1` graphs where no
          summary writer is the default.
        """
        mass = self._sampled()[0]
        image = tf.cast(mass * (255 / tf.reduce_max(mass)) + 0.5, tf.uint8)[None, :, :, None]
        if tf.executing_eagerly() or tf.inside_function():
            return tf.summary.image(f"{self.name}/pmf", image, max_outputs=1, step=0)
        return tf.compat.v1.summary.image("pmf", image, max_outputs=1, family=self.name)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one, without the values of its variables."""
        config = super().get_config()
        config.update(
            init_scale=self.init_scale, filters=self.filters, data_format=self.data_format
        )
        return config
