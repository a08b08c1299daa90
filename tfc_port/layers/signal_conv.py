"""Convolution layers for signal processing."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tfc_port._keras import PACKAGE, load_keras, require_legacy_keras
from tfc_port._keras_files import SavesParameters
from tfc_port._types import KerasObject, ShapeLike, Weight
from tfc_port.layers.build_time_option import BuildTimeOption, boolean, one_of
from tfc_port.layers.convolution import Convolution, UnsupportedConvolution
from tfc_port.layers.parameter import as_tensor
from tfc_port.layers.rdft_parameter import RDFTParameter

_KERAS = load_keras()
_Layer: Any = _KERAS.layers.Layer
_PADDINGS = ("valid", "same_zeros", "same_reflect")


def _spatial_integers(name: str) -> BuildTimeOption[tuple[int, ...]]:
    """An option that is one integer per spatial dimension, or one for all."""

    def normalize(layer: _SignalConv, value: Any) -> tuple[int, ...]:
        rank = layer._rank
        try:
            return (int(value),) * rank
        except (ValueError, TypeError):
            pass
        try:
            values = tuple(int(element) for element in value)
        except (ValueError, TypeError):
            values = ()
        if len(values) != rank:
            raise ValueError(
                f"`{name}` must be an integer or an iterable of integers with length {rank}. "
                f"Received: {value!r}."
            )
        return values

    return BuildTimeOption(normalize)


def _weight(name: str, kinds: tuple[str, ...]) -> BuildTimeOption[Any]:
    """An option that says how a weight is given: by one of the strings `kinds`, or itself."""

    def normalize(layer: _SignalConv, value: Any) -> Any:
        if isinstance(value, dict):  # a parameter, as Keras configurations hold it
            value = _KERAS.utils.legacy.deserialize_keras_object(value)
        if isinstance(value, str):
            if value not in kinds:
                raise ValueError(
                    f"Unsupported value for {name}: expected one of "
                    f"{', '.join(map(repr, kinds))}. Received: {value!r}."
                )
            return value
        if callable(value) or isinstance(value, tf.Variable):
            return value
        return tf.convert_to_tensor(value, dtype=layer.compute_dtype)

    return BuildTimeOption(normalize)


def _looked_up(registry: types.ModuleType) -> BuildTimeOption[Any]:
    return BuildTimeOption(lambda layer, value: registry.get(value))


class _ExtraPadEnd(BuildTimeOption[Any]):
    """Boolean that for None follows the padding."""

    def _read(self, layer: _SignalConv) -> bool:
        value = super()._read(layer)
        return layer.padding.startswith("same_") if value is None else value


class _Padding(BuildTimeOption[str]):
    def __init__(self) -> None:
        known = one_of(_PADDINGS, "padding mode")
        super().__init__(lambda layer, value: known._normalize(layer, str(value).lower()))


class _SignalConv(SavesParameters, _Layer):
    """Convolution with upsampling before and downsampling after it, a bias and an activation.

    Unlike Keras's layers, it defines where samples lie: the centre of a kernel of length K is its
    sample K // 2, for convolution and correlation alike, and with the "same" paddings the first
    output sample lies on the first input sample, whatever the strides and lengths.

    Paddings: "valid" computes the samples that depend on no sample outside the input. "same_zeros"
    takes samples outside as zero, "same_reflect" as the mirror image about the outermost samples.
    With upsampling by S, n samples become n S, or (n - 1) S + 1 without `extra_pad_end`;
    downsampling keeps every S-th sample, beginning with the first.

    Not every combination has a TensorFlow op: upsampled correlations need kernels of odd lengths,
    upsampled separable convolutions one filter and equal strides, and separable ones one or two
    dimensions. Correlation with downsampling and convolution with upsampling are the fast cases.

    Attributes may change until the layer is built:
      filters: Number of output channels; per input channel if `channel_separable`.
      kernel_support: Lengths of the kernel, an integer or one per dimension.
      corr: Whether to correlate rather than convolve.
      strides_down: Downsampling factors, an integer or one per dimension.
      strides_up: Upsampling factors, an integer or one per dimension.
      padding: "valid", "same_zeros" or "same_reflect".
      extra_pad_end: Whether upsampling adds zeros behind the last sample; None for yes with the
        "same" paddings and no with "valid".
      channel_separable: Whether each output channel sees one input channel only. Output channels
        are ordered by input channel, then filter.
      data_format: "channels_last" or "channels_first".
      activation: Keras activation, or None.
      use_bias: Whether to add a bias to each output channel.
      use_explicit: Whether ops may do zero padding themselves; the results are the same.
      kernel_parameter: "variable" or "rdft" for a trained kernel, as itself or by its Fourier
        transform; a variable, tensor, callable or `Parameter` to be used as the kernel.
      bias_parameter: "variable", or as above.
      kernel_initializer, bias_initializer: Keras initializers.
      kernel_regularizer, bias_regularizer: Keras regularizers, or None.
    """

    _rank: int

    filters = BuildTimeOption(lambda layer, value: int(value))
    kernel_support = _spatial_integers("kernel_support")
    corr = boolean()
    strides_down = _spatial_integers("strides_down")
    strides_up = _spatial_integers("strides_up")
    padding = _Padding()
    extra_pad_end = _ExtraPadEnd(lambda layer, value: None if value is None else bool(value))
    channel_separable = boolean()
    data_format = one_of(("channels_first", "channels_last"), "data format")
    activation = _looked_up(_KERAS.activations)
    use_bias = boolean()
    use_explicit = boolean()
    kernel_parameter = _weight("kernel_parameter", ("variable", "rdft"))
    bias_parameter = _weight("bias_parameter", ("variable",))
    kernel_initializer = _looked_up(_KERAS.initializers)
    bias_initializer = _looked_up(_KERAS.initializers)
    kernel_regularizer = _looked_up(_KERAS.regularizers)
    bias_regularizer = _looked_up(_KERAS.regularizers)

    def __init__(
        self,
        filters: int,
        kernel_support: int | Iterable[int],
        corr: bool = False,
        strides_down: int | Iterable[int] = 1,
        strides_up: int | Iterable[int] = 1,
        padding: str = "valid",
        extra_pad_end: bool | None = None,
        channel_separable: bool = False,
        data_format: str = "channels_last",
        activation: KerasObject | None = None,
        use_bias: bool = False,
        use_explicit: bool = True,
        kernel_parameter: Weight | str = "rdft",
        bias_parameter: Weight | str = "variable",
        kernel_initializer: KerasObject = "variance_scaling",
        bias_initializer: KerasObject = "zeros",
        kernel_regularizer: KerasObject | None = None,
        bias_regularizer: KerasObject | None = None,
        **kwargs: Any,
    ) -> None:
        """Makes the layer; arguments set the attributes of the same names, the rest goes to Keras.

        Raises:
          RuntimeError: if `tf.keras` is not Keras 2.
          ValueError: if an argument is not as described.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_support = kernel_support
        self.corr = corr
        self.strides_down = strides_down
        self.strides_up = strides_up
        self.padding = padding
        self.extra_pad_end = extra_pad_end
        self.channel_separable = channel_separable
        self.data_format = data_format
        self.activation = activation
        self.use_bias = use_bias
        self.use_explicit = use_explicit
        self.kernel_parameter = kernel_parameter
        self.bias_parameter = bias_parameter
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer

    @property
    def kernel(self) -> tf.Tensor:
        """Current kernel, [spatial..., input channels, filters]."""
        if isinstance(self.kernel_parameter, str):
            raise RuntimeError("Kernel is not initialized yet. Call build().")
        return as_tensor(self.kernel_parameter, self.compute_dtype)

    @property
    def bias(self) -> tf.Tensor:
        """Current bias, [output channels]."""
        if isinstance(self.bias_parameter, str):
            raise RuntimeError("Bias is not initialized yet. Call build().")
        return as_tensor(self.bias_parameter, self.compute_dtype)

    @property
    def _convolution(self) -> Convolution:
        return Convolution(
            filters=self.filters,
            kernel_support=self.kernel_support,
            corr=self.corr,
            strides_down=self.strides_down,
            strides_up=self.strides_up,
            padding=self.padding,
            extra_pad_end=self.extra_pad_end,
            separable=self.channel_separable,
            channels_first=self.data_format == "channels_first",
            use_explicit=self.use_explicit,
        )

    def build(self, input_shape: ShapeLike) -> None:
        """Makes the variables that are not given.

        Args:
          input_shape: Shape of the inputs; at least the number of channels must be known.

        Raises:
          ValueError: if it is not, or the number of dimensions is another.
        """
        input_shape = tf.TensorShape(input_shape)
        self._check_rank(input_shape)
        channels = input_shape[1 if self.data_format == "channels_first" else -1]
        if channels is None:
            raise ValueError(
                f"The channel dimension of the inputs must be defined. Received: {input_shape}."
            )
        self._make_weights(channels)
        if self.kernel_regularizer is not None:
            self.add_loss(lambda: self.kernel_regularizer(self.kernel))
        if self.use_bias and self.bias_regularizer is not None:
            self.add_loss(lambda: self.bias_regularizer(self.bias))
        super().build(input_shape)

    def _make_weights(self, channels: int) -> None:
        """Makes the variables that are not given."""
        if isinstance(self.kernel_parameter, str):
            initial_value = self.kernel_initializer(
                shape=(*self.kernel_support, channels, self.filters), dtype=self.variable_dtype
            )
            made_by = RDFTParameter if self.kernel_parameter == "rdft" else tf.Variable
            self.kernel_parameter = made_by(initial_value, name="kernel")
        if self.use_bias and isinstance(self.bias_parameter, str):
            shape = [self._outputs(channels)]
            initial_value = self.bias_initializer(shape=shape, dtype=self.variable_dtype)
            self.bias_parameter = tf.Variable(initial_value, name="bias")

    def _outputs(self, channels: int) -> int:
        return self.filters * (channels if self.channel_separable else 1)

    def _check_rank(self, shape: tf.TensorShape) -> None:
        if shape.rank != self._rank + 2:
            raise ValueError(
                f"Input tensor must have rank {self._rank + 2}. Received shape: {shape}."
            )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves.

        Args:
          inputs: Floating-point tensor [batch, spatial..., channels], or [batch, channels,
            spatial...].

        Returns:
          Tensor of the same layout, with `filters` channels, or as many for each input channel.

        Raises:
          NotImplementedError: if no TensorFlow op computes this combination of arguments.
          ValueError: if the number of dimensions is another.
        """
        self._check_rank(inputs.shape)
        try:
            outputs = self._convolution(inputs, self.kernel)
        except UnsupportedConvolution:
            raise NotImplementedError(
                f"The provided combination of {type(self).__name__} arguments is not currently "
                f"implemented (filters={self.filters}, kernel_support={self.kernel_support}, "
                f"corr={self.corr}, strides_down={self.strides_down}, "
                f"strides_up={self.strides_up}, channel_separable={self.channel_separable}, "
                f"data_format={self.data_format}). Try using odd-length kernels or turning off "
                f"separability."
            ) from None
        if self.use_bias:
            outputs = self._add_bias(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def _add_bias(self, outputs: tf.Tensor) -> tf.Tensor:
        if self.data_format == "channels_last":
            return tf.nn.bias_add(outputs, self.bias)
        if self._rank == 2:
            return tf.nn.bias_add(outputs, self.bias, data_format="NCHW")
        return outputs + tf.reshape(self.bias, [-1] + [1] * self._rank)

    def compute_output_shape(self, input_shape: ShapeLike) -> tf.TensorShape:
        """Returns the shape of the outputs for inputs of `input_shape`, None where unknown."""
        return self._convolution.output_shape(tf.TensorShape(input_shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one, without the values of its variables.

        Raises:
          TypeError: if the kernel or the bias is of a kind that Keras can't serialise.
        """
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_support=self.kernel_support,
            corr=self.corr,
            strides_down=self.strides_down,
            strides_up=self.strides_up,
            padding=self.padding,
            extra_pad_end=self.extra_pad_end,
            channel_separable=self.channel_separable,
            data_format=self.data_format,
            activation=_KERAS.activations.serialize(self.activation),
            use_bias=self.use_bias,
            use_explicit=self.use_explicit,
            kernel_parameter=_serialize_weight(self.kernel_parameter, "kernel"),
            bias_parameter=_serialize_weight(self.bias_parameter, "bias"),
            kernel_initializer=_KERAS.initializers.serialize(self.kernel_initializer),
            bias_initializer=_KERAS.initializers.serialize(self.bias_initializer),
            kernel_regularizer=_KERAS.regularizers.serialize(self.kernel_regularizer),
            bias_regularizer=_KERAS.regularizers.serialize(self.bias_regularizer),
        )
        return config


def _serialize_weight(parameter: Weight | str, name: str) -> Any:
    # Values of variables travel by get_weights() and set_weights().
    if isinstance(parameter, tf.Variable):
        return "variable"
    if isinstance(parameter, str):
        return parameter
    try:
        return _KERAS.utils.legacy.serialize_keras_object(parameter)
    except (ValueError, TypeError) as error:
        raise TypeError(f"Can't serialize {name} of type {type(parameter)}.") from error


@_KERAS.utils.register_keras_serializable(package=PACKAGE)
class SignalConv1D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 1


@_KERAS.utils.register_keras_serializable(package=PACKAGE)
class SignalConv2D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 2


@_KERAS.utils.register_keras_serializable(package=PACKAGE)
class SignalConv3D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 3
