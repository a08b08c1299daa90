"""Scale indexes from hyperlatents in exact arithmetic.

A scale index chooses the CDF table of a latent. If encoder and decoder disagree about one of them,
everything after it is noise, and a float network does not give the same last bits on two machines.
Here the network from hyperlatents to scale indexes works on integers that are held in float64
tensors. Kernels are integers, every layer's result is rounded to integers, and every partial sum
that any order of summation can meet stays below 2^40: float64 holds integers exactly up to 2^53,
so the order of summation, fused multiply-adds and the number of threads change nothing, and the
margin of 13 bits covers convolution algorithms (Winograd, FFT) whose inner steps are not integer,
because their results are rounded.

Layer i computes `clip(floor(sum(kernel * x) + bias) / 2^shift + 1/2), 0, 2^ACTIVATION_BITS - 1)`;
the last one clips to 0 .. scales - 1 instead.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfhific.codec.network import Network, conv, deconv, spans
from tfhific.errors import ModelError

MAX_INPUT = 4095
"""Hyperlatents are clipped to -MAX_INPUT .. MAX_INPUT on their way into the branch."""

FRACTION_BITS = 10
ACTIVATION_BITS = 18
MAX_SUM_BITS = 40
_KERNEL_BITS = 15


@dataclasses.dataclass(frozen=True)
class IntegerLayer:
    """One layer: its kernel is int16, its bias int64.

    Attributes:
      op: `conv` or `deconv`.
      stride: down- or upsampling.
      shift: how many bits the sum is shifted down by.
      kernel: int16, [k, k, in, out] (`conv`) or [k, k, out, in] (`deconv`).
      bias: int64 [out].
    """

    op: str
    stride: int
    shift: int
    kernel: np.ndarray
    bias: np.ndarray

    def is_sound(self) -> bool:
        """Whether the fields are of the kinds and shapes that they should be."""
        if self.op not in ("conv", "deconv") or self.kernel.dtype != np.int16:
            return False
        if self.kernel.ndim != 4 or self.kernel.size == 0 or self.bias.dtype != np.int64:
            return False
        if self.stride not in range(1, 17) or self.shift not in range(1, MAX_SUM_BITS):
            return False
        fits = self.op == "conv" or spans(min(self.kernel.shape[:2]), self.stride)
        return fits and self.bias.shape == (self.kernel.shape[3 if self.op == "conv" else 2],)

    def largest_sum(self, largest_input: int) -> int:
        """A bound on the magnitude of every partial sum, for inputs bounded in magnitude."""
        axes = (0, 1, 2) if self.op == "conv" else (0, 1, 3)
        absolute = np.abs(self.kernel.astype(np.int64)).sum(axes) * largest_input
        # The smallest int64 has no absolute value: a bias is compared from both sides.
        bias = np.maximum(self.bias, -np.maximum(self.bias, -(1 << 62)))
        return int((absolute + np.minimum(bias, 1 << 62)).max()) + (1 << self.shift)


@dataclasses.dataclass(frozen=True)
class IntegerBranch:
    """The branch; its construction proves the bound on its sums.

    Attributes:
      layers: the layers, in order.
      num_scales: scale indexes are 0 .. num_scales - 1.
    """

    layers: tuple[IntegerLayer, ...]
    num_scales: int

    def __post_init__(self) -> None:
        largest = MAX_INPUT
        for number, layer in enumerate(self.layers):
            if not layer.is_sound():
                raise ModelError(f"Layer {number} of the model's integer branch is malformed.")
            bound = layer.largest_sum(largest)
            if bound >= 1 << MAX_SUM_BITS:
                raise ModelError(
                    f"Layer {number} of the model's integer branch could reach {bound}, which is "
                    f"not below 2^{MAX_SUM_BITS}: its arithmetic would not be exact."
                )
            largest = (1 << ACTIVATION_BITS) - 1

    def __call__(self, hyperlatents: np.ndarray) -> np.ndarray:
        """Scale indexes.

        Args:
          hyperlatents: int32 [batch, height, width, channels].

        Returns:
          int32 [batch, 4 * height, 4 * width, latent channels] for a branch that upsamples by 4.
        """
        return self.run(hyperlatents, [layer.kernel for layer in self.layers]).numpy()

    def run(self, hyperlatents, kernels):
        """The same in tensors, eagerly or in a graph.

        Args:
          hyperlatents: int32 [batch, height, width, channels].
          kernels: the layers' kernels, as arrays or held in variables of a graph.

        Returns:
          An int32 tensor.
        """
        import tensorflow as tf

        with tf.device("/cpu:0"):
            x = tf.cast(tf.clip_by_value(hyperlatents, -MAX_INPUT, MAX_INPUT), tf.float64)
            for number, (layer, kernel) in enumerate(zip(self.layers, kernels)):
                apply = conv if layer.op == "conv" else deconv
                x = apply(x, tf.cast(tf.convert_to_tensor(kernel), tf.float64), layer.stride)
                # Exact sums are integers already; a convolution algorithm with inexact inner
                # steps is at most a small fraction off, and rounding puts that right.
                x = tf.round(x) + tf.constant(layer.bias, tf.float64)
                x = tf.floor(x * 2.0**-layer.shift + 0.5)
                last = number == len(self.layers) - 1
                limit = self.num_scales - 1 if last else (1 << ACTIVATION_BITS) - 1
                x = tf.clip_by_value(x, 0.0, float(limit))
            return tf.cast(x, tf.int32)


def quantise(network: Network, num_scales: int, gain: float, centre: float) -> IntegerBranch:
    """Turns a trained float network into integers (post-training quantisation).

    Args:
      network: `conv` or `deconv` layers with `relu` between them and none after the last.
      num_scales: scale indexes are 0 .. num_scales - 1.
      gain: the index is `gain * network(z) + centre`, then rounded.
      centre: see `gain`.

    Returns:
      The branch, as fine as the bound on its sums allows.

    Raises:
      ModelError: when the network has another form.
    """
    linear = [layer for layer in network.layers if layer["op"] != "relu"]
    between = [layer["op"] for layer in network.layers[1::2]]
    if (
        [layer for layer in network.layers[::2]] != linear
        or between != ["relu"] * (len(linear) - 1)
        or any(layer["op"] not in ("conv", "deconv") for layer in linear)
    ):
        raise ModelError(
            "The scales' network can't be turned into integers: expected convolutions with ReLU "
            f"between them. Received: {[layer['op'] for layer in network.layers]}."
        )
    layers = []
    largest, input_bits = MAX_INPUT, 0
    for number, entry in enumerate(linear):
        last = number == len(linear) - 1
        kernel = network.weights[f"{entry['name']}/kernel"].astype(np.float64)
        bias = network.weights[f"{entry['name']}/bias"].astype(np.float64)
        if last:
            kernel, bias = kernel * gain, bias * gain + centre
        output_bits = 0 if last else FRACTION_BITS
        layers.append(_quantise_layer(entry, kernel, bias, largest, input_bits, output_bits))
        largest, input_bits = (1 << ACTIVATION_BITS) - 1, FRACTION_BITS
    return IntegerBranch(tuple(layers), num_scales)


def _quantise_layer(entry, kernel, bias, largest, input_bits, output_bits) -> IntegerLayer:
    most = (1 << _KERNEL_BITS) - 1
    bits = int(np.floor(np.log2(most / max(float(np.abs(kernel).max()), 1e-9))))
    while True:
        shift = bits + input_bits - output_bits
        if shift < 1:
            raise ModelError(
                "The scales' network can't be turned into integers: its weights are too large "
                f"(up to {np.abs(kernel).max():.3g} in {entry['name']})."
            )
        layer = IntegerLayer(
            entry["op"],
            entry["stride"],
            shift,
            np.rint(kernel * 2.0**bits).astype(np.int16),
            np.rint(bias * 2.0 ** (bits + input_bits)).astype(np.int64),
        )
        if layer.largest_sum(largest) < 1 << MAX_SUM_BITS:
            return layer
        bits -= 1
