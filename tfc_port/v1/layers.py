"""`GDN` and `SignalConv*D` with the arguments, variables and formulas of TFC 1.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import tensorflow as tf

from tfc_port._keras import PACKAGE, load_keras
from tfc_port._types import Initializer, KerasObject, Regularizer
from tfc_port.layers import gdn, signal_conv
from tfc_port.v1.parameterizers import NonnegativeParameterizer, Parameterizer, RDFTParameterizer

_KERAS = load_keras()
_PACKAGE = f"{PACKAGE}_v1"
LayerT = TypeVar("LayerT")


def _make_weight(
    layer: Any,
    parameterizer: Parameterizer | None,
    name: str,
    shape: Iterable[int],
    initializer: Initializer,
    regularizer: Regularizer | None = None,
) -> Any:
    """A weight by a parameterizer, or a variable of the layer's where that is None."""
    dtype = tf.as_dtype(layer.variable_dtype or _KERAS.backend.floatx())
    # With the behaviour of TensorFlow 1, sizes are objects that initializers do not take.
    shape = tuple(int(size) for size in shape)

    def getter(**options: Any) -> tf.Variable:
        # Losses of variables are added as the layer's.
        return layer.add_weight(**options)

    if parameterizer is None:
        return getter(
            name=name, shape=shape, dtype=dtype, initializer=initializer, regularizer=regularizer
        )
    return parameterizer(
        getter=getter,
        name=name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
    )


@_KERAS.utils.register_keras_serializable(package=_PACKAGE)
class GDN(gdn.GDN):
    """Generalised divisive normalisation as TFC 1.3 has it.

    y[i] = x[i] / sqrt(beta[i] + sum_j gamma[j, i] x[j]^2), and with `inverse` times that root.
    Variables are `reparam_beta` and `reparam_gamma` with the parameterizers that are the default.
    """

    def __init__(
        self,
        inverse: bool = False,
        rectify: bool = False,
        gamma_init: float = 0.1,
        data_format: str = "channels_last",
        beta_parameterizer: Parameterizer | None = None,
        gamma_parameterizer: Parameterizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          inverse: Whether to multiply rather than divide.
          rectify: Whether negative inputs are set to 0 first.
          gamma_init: Number that gamma's diagonal starts from; the rest starts from 0.
          data_format: "channels_last" or "channels_first".
          beta_parameterizer: `Parameterizer` of beta; one of at least 1e-6 by default.
          gamma_parameterizer: `Parameterizer` of gamma; one of at least 0 by default.
          **kwargs: Passed to Keras.
        """
        super().__init__(
            inverse=inverse,
            rectify=rectify,
            data_format=data_format,
            alpha_parameter=2,
            epsilon_parameter=0.5,
            gamma_initializer=_KERAS.initializers.Identity(gamma_init),
            **kwargs,
        )
        self._gamma_init = float(gamma_init)
        self._parameterizers = (
            beta_parameterizer or NonnegativeParameterizer(minimum=1e-6),
            gamma_parameterizer or NonnegativeParameterizer(),
        )

    def _make_weights(self, channels: int) -> None:
        beta, gamma = self._parameterizers
        self.beta_parameter = _make_weight(self, beta, "beta", [channels], self.beta_initializer)
        self.gamma_parameter = _make_weight(
            self, gamma, "gamma", [channels, channels], self.gamma_initializer
        )
        super()._make_weights(channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one, but for its parameterizers."""
        config = _KERAS.layers.Layer.get_config(self)
        config.update(
            inverse=self.inverse,
            rectify=self.rectify,
            gamma_init=self._gamma_init,
            data_format=self.data_format,
        )
        return config


class _SignalConv(signal_conv._SignalConv):
    """Convolution as TFC 1.3 has it: as that of `tfc_port`, with parameterizers.

    Variables are `kernel_rdft` (with the parameterizer that is the default; `kernel` without) and
    `bias`.
    """

    def __init__(
        self,
        filters: int,
        kernel_support: int | Iterable[int],
        corr: bool = False,
        strides_down: int | Iterable[int] = 1,
        strides_up: int | Iterable[int] = 1,
        padding: str = "valid",
        extra_pad_end: bool = True,
        channel_separable: bool = False,
        data_format: str = "channels_last",
        activation: KerasObject | None = None,
        use_bias: bool = False,
        use_explicit: bool = True,
        kernel_initializer: KerasObject = "variance_scaling",
        bias_initializer: KerasObject = "zeros",
        kernel_regularizer: KerasObject | None = None,
        bias_regularizer: KerasObject | None = None,
        kernel_parameterizer: Parameterizer | str | None = "default",
        bias_parameterizer: Parameterizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: As for `tfc_port.SignalConv2D`, and all that is not named here.
          kernel_support: See there.
          corr: See there.
          strides_down: See there.
          strides_up: See there.
          padding: See there.
          extra_pad_end: Whether upsampling adds zeros behind the last sample.
          channel_separable: See there.
          data_format: See there.
          activation: See there.
          use_bias: See there.
          use_explicit: See there.
          kernel_initializer: See there.
          bias_initializer: See there.
          kernel_regularizer: See there.
          bias_regularizer: See there.
          kernel_parameterizer: `Parameterizer` of the kernel, `RDFTParameterizer` by default; None
            for a plain variable.
          bias_parameterizer: The same for the bias; None by default.
          **kwargs: Passed to Keras.
        """
        super().__init__(
            filters,
            kernel_support,
            corr=corr,
            strides_down=strides_down,
            strides_up=strides_up,
            padding=padding,
            extra_pad_end=extra_pad_end,
            channel_separable=channel_separable,
            data_format=data_format,
            activation=activation,
            use_bias=use_bias,
            use_explicit=use_explicit,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        # The base class would add their losses once more.
        self._regularizers = tuple(
            _KERAS.regularizers.get(regularizer)
            for regularizer in (kernel_regularizer, bias_regularizer)
        )
        if isinstance(kernel_parameterizer, str):
            kernel_parameterizer = RDFTParameterizer()
        self._parameterizers = kernel_parameterizer, bias_parameterizer

    def _make_weights(self, channels: int) -> None:
        self.kernel_parameter = _make_weight(
            self,
            self._parameterizers[0],
            "kernel",
            [*self.kernel_support, channels, self.filters],
            self.kernel_initializer,
            self._regularizers[0],
        )
        if self.use_bias:
            self.bias_parameter = _make_weight(
                self,
                self._parameterizers[1],
                "bias",
                [self._outputs(channels)],
                self.bias_initializer,
                self._regularizers[1],
            )
        super()._make_weights(channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one, but for its parameterizers."""
        config = super().get_config()
        del config["kernel_parameter"], config["bias_parameter"]
        for name, regularizer in zip(("kernel", "bias"), self._regularizers):
            config[f"{name}_regularizer"] = _KERAS.regularizers.serialize(regularizer)
        return config


def _serializable(cls: type[LayerT]) -> type[LayerT]:
    return _KERAS.utils.register_keras_serializable(package=_PACKAGE)(cls)


@_serializable
class SignalConv1D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 1


@_serializable
class SignalConv2D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 2


@_serializable
class SignalConv3D(_SignalConv):
    __doc__ = _SignalConv.__doc__
    _rank = 3
