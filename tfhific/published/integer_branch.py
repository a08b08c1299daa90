"""Scale indexes from hyperlatents in exact arithmetic.

A scale index chooses the CDF table of a latent. If encoder and decoder disagree about one of them,
everything after it is noise, and a float network does not give the same last bits on two machines.
Here the network from hyperlatents to scale indexes works on integers that are held in float64
tensors. Kernels are integers, every layer's result is rounded to integers, and every partial sum
that any order of summation can meet stays below 2^40: float64 holds integers exactly up to 2^53,
so the order of summation, fused multiply-adds and the number of threads change nothing, and the
margin of 13 bits covers convolution algorithms (Winograd, FFT) whose inner steps are not integer,
because their results are rounded.

Layer i computes `clip(floor((sum(kernel * x) + bias) / 2^shift + 1/2), 0, 2^ACTIVATION_BITS - 1)`;
the last one clips to 0 .. scales - 1 instead. Where the network gives the scales themselves rather
than their indexes, the last layer's result is its sum as it is, and the index is the number of
thresholds, integers too, that the sum reaches.
"""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction

import numpy as np

from tfhific.errors import ModelError
from tfhific.published import ops
from tfhific.published.network import Network
from tfhific.published.ops import Extent, GridConvolution, Relu

MAX_INPUT = 4095
"""Hyperlatents are clipped to -MAX_INPUT .. MAX_INPUT on their way into the branch."""

FRACTION_BITS = 10
ACTIVATION_BITS = 18
MAX_SUM_BITS = 40
_KERNEL_BITS = 15
_HEADROOM = 8.0
"""How much larger than the typical largest activation one may be before it is cut."""

_MAX_FRACTION_BITS = 14


@dataclasses.dataclass(frozen=True)
class IntegerLayer:
    """One layer: its kernel is int16, its bias int64.

    Attributes:
      op: the kind of a `GridConvolution`, `conv` or `deconv`.
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

    @functools.cached_property
    def convolution(self) -> GridConvolution:
        """The layer as one of a network's, of the same kernel.

        Raises:
          ModelError: when the fields are not those of one.
        """
        layer = {"op": self.op, "name": "", "stride": self.stride}
        found = ops.read_layer(layer, {"/kernel": self.kernel, "/bias": self.bias})
        if not isinstance(found, GridConvolution):
            raise ModelError(f"An integer branch has no layers of the kind {self.op!r:.50}.")
        return found

    def is_sound(self, lowest_shift: int = 1) -> bool:
        """Whether the fields are of the kinds and shapes that they should be."""
        if self.kernel.dtype != np.int16 or self.bias.dtype != np.int64:
            return False
        if self.shift not in range(lowest_shift, MAX_SUM_BITS):
            return False
        try:
            return isinstance(self.convolution, GridConvolution)
        except ModelError:
            return False

    def largest_sum(self, largest_input: int) -> int:
        """A bound on the magnitude of every partial sum, for inputs bounded in magnitude."""
        output = self.convolution.axes[1]
        axes = tuple(axis for axis in range(self.kernel.ndim) if axis != output)
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
      thresholds: int64 [num_scales - 1], not falling; a scale index is the number of them that
        the last layer's sum reaches, and that layer's shift is 0. None where the last layer
        gives the indexes.
    """

    layers: tuple[IntegerLayer, ...]
    num_scales: int
    thresholds: np.ndarray | None = None

    def __post_init__(self) -> None:
        largest = MAX_INPUT
        if self.thresholds is not None and not self._are_sound(self.thresholds):
            raise ModelError("The thresholds of the model's integer branch are malformed.")
        for number, layer in enumerate(self.layers):
            unshifted = self.thresholds is not None and number == len(self.layers) - 1
            if not layer.is_sound(0) or (layer.shift == 0) != unshifted:
                raise ModelError(f"Layer {number} of the model's integer branch is malformed.")
            bound = layer.largest_sum(largest)
            if bound >= 1 << MAX_SUM_BITS:
                raise ModelError(
                    f"Layer {number} of the model's integer branch could reach {bound}, which is "
                    f"not below 2^{MAX_SUM_BITS}: its arithmetic would not be exact."
                )
            largest = (1 << ACTIVATION_BITS) - 1
        for before, after in zip(self.layers, self.layers[1:]):
            takes = after.convolution.widths[0]
            if len(before.bias) != takes:
                raise ModelError(
                    f"A layer of the model's integer branch expects {takes} channels and "
                    f"receives {len(before.bias)}."
                )

    def takes(self) -> int:
        """Channels of the hyperlatents that it reads; 0 without layers."""
        return self.layers[0].convolution.widths[0] if self.layers else 0

    @property
    def factor(self) -> Fraction:
        """Downsampling over upsampling."""
        return ops.factor_of([layer.convolution for layer in self.layers])

    @property
    def extent(self) -> Extent:
        """What running it in tiles takes; its values are of 64 bits and count double."""
        extent = ops.extent_of([layer.convolution for layer in self.layers])
        return extent._replace(values=2 * extent.values)

    def _are_sound(self, value: np.ndarray) -> bool:
        limit = 1 << MAX_SUM_BITS
        if value.dtype != np.int64 or value.shape != (self.num_scales - 1,):
            return False
        return bool(np.all(np.diff(value) >= 0) and np.all((-limit < value) & (value < limit)))

    def __call__(self, hyperlatents: np.ndarray) -> np.ndarray:
        """Scale indexes.

        Args:
          hyperlatents: int32 [batch, height, width, channels].

        Returns:
          int32 [batch, 4 * height, 4 * width, latent channels] for a branch that upsamples by 4.
        """
        import tensorflow as tf

        clipped = np.clip(hyperlatents, -MAX_INPUT, MAX_INPUT)
        return self.indexes(tf.constant(clipped, tf.int32)).numpy()

    def indexes(self, hyperlatents, kernels=None):
        """As calling the branch, on a tensor, and in a graph too.

        Args:
          hyperlatents: int32 tensor [batch, height, width, channels].
          kernels: the layers' kernels where they are held in variables of a graph.

        Returns:
          An int32 tensor.
        """
        import tensorflow as tf

        with tf.device("/cpu:0"):
            x = tf.cast(tf.clip_by_value(hyperlatents, -MAX_INPUT, MAX_INPUT), tf.float64)
            kernels = kernels or [layer.kernel for layer in self.layers]
            for number, (layer, kernel) in enumerate(zip(self.layers, kernels)):
                kernel = tf.cast(tf.convert_to_tensor(kernel), tf.float64)
                x = layer.convolution.product(x, kernel)
                # Exact sums are integers already; a convolution algorithm with inexact inner
                # steps is at most a small fraction off, and rounding puts that right.
                x = tf.round(x) + tf.constant(layer.bias, tf.float64)
                last = number == len(self.layers) - 1
                if last and self.thresholds is not None:
                    bounds = tf.constant(self.thresholds, tf.float64)
                    flat = tf.searchsorted(bounds, tf.reshape(x, [-1]), side="right")
                    return tf.reshape(flat, tf.shape(x))
                x = tf.floor(x * 2.0**-layer.shift + 0.5)
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
    layers = []
    largest, input_bits = MAX_INPUT, 0
    linear = _linear_layers(network)
    for number, (entry, kernel, bias) in enumerate(linear):
        last = number == len(linear) - 1
        if last:
            kernel, bias = kernel * gain, bias * gain + centre
        output_bits = 0 if last else FRACTION_BITS
        layers.append(_quantise_layer(entry, kernel, bias, largest, input_bits, output_bits)[0])
        largest, input_bits = (1 << ACTIVATION_BITS) - 1, FRACTION_BITS
    return IntegerBranch(tuple(layers), num_scales)


def quantise_scales(network: Network, scales: np.ndarray, typical: np.ndarray) -> IntegerBranch:
    """Turns a network that gives the scales themselves into integers.

    A scale's index is that of the nearest of `scales` in the logarithm.

    Args:
      network: see `quantise`.
      scales: float64 [rows], positive, rising; what lies outside takes the first or last index.
      typical: int32 [batch, height, width, channels], hyperlatents as they come; how large their
        activations are decides how finely the branch resolves them.

    Returns:
      The branch, as fine as the bound on its sums allows.

    Raises:
      ModelError: when the network has another form.
    """
    import tensorflow as tf

    layers, x = [], tf.constant(typical, tf.float32)
    largest, input_bits = MAX_INPUT, 0
    linear = _linear_layers(network)
    for number, (entry, kernel, bias) in enumerate(linear):
        x = network.part(2 * number, 2 * number + 2)(x)
        output_bits = None
        if number < len(linear) - 1:
            room = ((1 << ACTIVATION_BITS) - 1) / (_HEADROOM * max(float(tf.reduce_max(x)), 1e-6))
            output_bits = int(np.clip(np.floor(np.log2(room)), 0, _MAX_FRACTION_BITS))
        layer, bits = _quantise_layer(entry, kernel, bias, largest, input_bits, output_bits)
        layers.append(layer)
        if output_bits is None:
            between = np.sqrt(scales[:-1] * scales[1:]) * 2.0 ** (bits + input_bits)
            most = float((1 << MAX_SUM_BITS) - 1)
            thresholds = np.minimum(np.ceil(between), most).astype(np.int64)
            return IntegerBranch(tuple(layers), len(scales), thresholds)
        largest, input_bits = (1 << ACTIVATION_BITS) - 1, output_bits
    raise ModelError("The scales' network has no layers.")


def check_form(network: Network) -> None:
    """Refuses a network that has no integer form.

    Raises:
      ModelError: when there is more to it than convolutions with ReLU between them.
    """
    _linear_layers(network)


def _linear_layers(network: Network) -> list[tuple[dict, np.ndarray, np.ndarray]]:
    """Description, kernel and bias (float64) of each convolution.

    Raises:
      ModelError: when there is more to the network than convolutions with ReLU between them.
    """
    linear, between = network.ops[::2], network.ops[1::2]
    if (
        len(network.ops) % 2 == 0
        or not all(isinstance(op, Relu) for op in between)
        or not all(isinstance(op, GridConvolution) and op.is_plain for op in linear)
    ):
        raise ModelError(
            "The scales' network can't be turned into integers: expected convolutions, centred "
            f"and padded with zeros, with ReLU between them. Received: {network.layers}."
        )

    def array(op: ops.Op, name: str) -> np.ndarray:
        return network.weights[op.stored(name)].astype(np.float64)

    return [(op.layer, array(op, "kernel"), array(op, "bias")) for op in linear]


def _quantise_layer(
    entry: dict, kernel, bias, largest: int, input_bits: int, output_bits: int | None
) -> tuple[IntegerLayer, int]:
    """A layer, and the bits of its kernel's fraction; without `output_bits` it is not shifted."""
    most = (1 << _KERNEL_BITS) - 1
    bits = int(np.floor(np.log2(most / max(float(np.abs(kernel).max()), 1e-9))))
    while True:
        shift = 0 if output_bits is None else bits + input_bits - output_bits
        if shift < (output_bits is not None) or bits + input_bits < 1:
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
        # A shift is below the largest sum's bits; a finer kernel would only add zeros to it.
        if layer.largest_sum(largest) < 1 << MAX_SUM_BITS and shift < MAX_SUM_BITS:
            return layer, bits
        bits -= 1
