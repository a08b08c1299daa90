"""Convolutions with exact alignment: resampling, boundaries, and the TensorFlow op for each case.

The centre of a kernel of length K is its sample K // 2, in convolutions and correlations alike. The
first output sample lies on the first input sample for the "same" paddings.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from tfc_port.ops.padding import same_padding_for_kernel

_PAD_MODES = {"same_zeros": "CONSTANT", "same_reflect": "REFLECT"}


class UnsupportedConvolution(Exception):
    """No TensorFlow op computes this combination."""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """What a convolution is, but for its kernel's values.

    Attributes:
      filters: Number of filters; per input channel if `separable`.
      kernel_support: Lengths of the kernel, one per spatial dimension; the other tuples likewise.
      corr: Whether to correlate rather than convolve.
      strides_down: Downsampling factors, after the convolution.
      strides_up: Upsampling factors, before it.
      padding: "valid", "same_zeros" or "same_reflect".
      extra_pad_end: Whether upsampling inserts zeros behind the last sample too.
      separable: Whether each output channel sees one input channel only.
      channels_first: Whether channels come before the spatial dimensions.
      use_explicit: Whether zero padding may be left to the convolution ops.
    """

    filters: int
    kernel_support: tuple[int, ...]
    corr: bool
    strides_down: tuple[int, ...]
    strides_up: tuple[int, ...]
    padding: str
    extra_pad_end: bool
    separable: bool
    channels_first: bool
    use_explicit: bool

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return len(self.kernel_support)

    def __call__(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves.

        Args:
          inputs: [batch, spatial..., channels], or [batch, channels, spatial...].
          kernel: [spatial..., channels, filters].

        Raises:
          UnsupportedConvolution: if no op computes it.
        """
        upsamples = any(factor > 1 for factor in self.strides_up)
        odd = all(length % 2 for length in self.kernel_support)
        corr = self.corr
        # Ops correlate when they downsample and convolve when they upsample. A kernel of odd
        # lengths keeps its centre when mirrored, and so can do either.
        if odd and corr == upsamples:
            corr = not corr
            kernel = tf.reverse(kernel, axis=list(range(self.rank)))
        if corr and upsamples:
            raise UnsupportedConvolution

        padding = [(0, 0)] * self.rank
        # Zeros beside the input add nothing to a transposed convolution.
        if self.padding == "same_reflect" or (self.padding == "same_zeros" and corr):
            padding = same_padding_for_kernel(self.kernel_support, corr, self.strides_up)
        by_op = corr and self._op_pads()
        if not by_op:
            mode = _PAD_MODES.get(self.padding, "CONSTANT")
            if any(pair != (0, 0) for pair in padding):
                inputs = tf.pad(inputs, self._spatial(padding, (0, 0)), mode)
        if corr:
            return self._correlate(inputs, kernel, padding if by_op else None)
        return self._transpose(inputs, kernel, padding)

    def _op_pads(self) -> bool:
        if self.separable or self.rank > 2:
            return False
        return self.padding == "same_zeros" and self.use_explicit

    def _spatial(self, values: Iterable[Any], fill: Any) -> list:
        """`values` for the spatial dimensions, `fill` for the others."""
        if self.channels_first:
            return [fill, fill, *values]
        return [fill, *values, fill]

    def _axes(self) -> range:
        return range(2, self.rank + 2) if self.channels_first else range(1, self.rank + 1)

    def _correlate(
        self, inputs: tf.Tensor, kernel: tf.Tensor, padding: list[tuple[int, int]] | None
    ) -> tf.Tensor:
        if self.separable:
            return self._correlate_separably(inputs, kernel)
        if padding is None:
            return tf.nn.convolution(
                inputs,
                kernel,
                strides=self.strides_down,
                padding="VALID",
                data_format=_data_format(self.rank, self.channels_first),
            )
        if self.rank == 1:
            inputs, kernel = self._to_2d(inputs, kernel)
            padding = [(0, 0), *padding]
        outputs = tf.nn.conv2d(
            inputs,
            kernel,
            strides=(1,) * (2 - self.rank) + self.strides_down,
            padding=self._spatial(padding, (0, 0)),
            data_format=_data_format(2, self.channels_first),
        )
        return self._from_2d(outputs) if self.rank == 1 else outputs

    def _correlate_separably(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if self.rank > 2:
            raise UnsupportedConvolution
        # The op takes one stride for both dimensions: the common factor, the rest by slicing.
        common = math.gcd(*self.strides_down) if self.rank > 1 else self.strides_down[0]
        if self.rank == 1:
            inputs, kernel = self._to_2d(inputs, kernel)
        outputs = tf.nn.depthwise_conv2d(
            inputs,
            kernel,
            strides=self._spatial((common, common), 1),
            padding="VALID",
            data_format=_data_format(2, self.channels_first),
        )
        if self.rank == 1:
            outputs = self._from_2d(outputs)
        return self._downsample(outputs, [factor // common for factor in self.strides_down])

    def _transpose(
        self, inputs: tf.Tensor, kernel: tf.Tensor, prepadding: list[tuple[int, int]]
    ) -> tf.Tensor:
        """Upsampling and convolution, as the transpose of correlation and downsampling.

        The transposed op puts the first sample of the kernel onto the first (padded) sample of the
        input, so its output starts K // 2 samples before the centre.
        """
        outputs = self._transposed_conv(inputs, kernel)
        slices, missing = [], []
        for length, factor, (before, after) in zip(
            self.kernel_support, self.strides_up, prepadding
        ):
            if self.padding == "valid":
                first, last = length - 1, length - 1
            else:
                first = before * factor + length // 2
                last = after * factor + (length - 1) // 2
            # The op's output ends where the last sample's kernel does, not behind the zeros that
            # follow the sample.
            last -= factor - 1 if self.extra_pad_end else 0
            missing.append((0, max(-last, 0)))
            slices.append(slice(first or None, -last if last > 0 else None))
        if any(pair != (0, 0) for pair in missing):
            outputs = tf.pad(outputs, self._spatial(missing, (0, 0)))
        outputs = outputs[tuple(self._spatial(slices, slice(None)))]
        return self._downsample(outputs, self.strides_down)

    def _transposed_conv(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The transposed convolution, with padding "VALID": what other runtimes have too."""
        shape = tf.shape(inputs)
        channel_axis = 1 if self.channels_first else self.rank + 1
        channels = shape[channel_axis] if self.separable else self.filters
        lengths = []
        for index, axis in enumerate(self._axes()):
            length, factor = self.kernel_support[index], self.strides_up[index]
            lengths.append((shape[axis] - 1) * factor + length)
        strides = self.strides_up
        if self.rank == 3:
            if self.separable:
                raise UnsupportedConvolution
            return tf.nn.conv_transpose(
                inputs,
                _swap_channels(kernel),
                self._output_shape(shape[0], lengths, channels),
                strides=strides,
                padding="VALID",
                data_format=_data_format(3, self.channels_first),
            )
        if self.separable and (self.filters != 1 or len(set(strides)) > 1):
            raise UnsupportedConvolution
        if self.rank == 1:
            inputs, kernel = self._to_2d(inputs, kernel)
            lengths = [1, *lengths]
            # The depthwise op takes one stride for both dimensions; for the other, of length 1, it
            # makes no difference.
            strides = strides * 2
        if self.separable:
            outputs = tf.nn.depthwise_conv2d_backprop_input(
                self._output_shape(shape[0], lengths, channels),
                kernel,
                inputs,
                strides=self._spatial(strides, 1),
                padding="VALID",
                data_format=_data_format(2, self.channels_first),
            )
        else:
            outputs = tf.nn.conv2d_transpose(
                inputs,
                _swap_channels(kernel),
                self._output_shape(shape[0], lengths, channels),
                strides=strides,
                padding="VALID",
                data_format=_data_format(2, self.channels_first),
            )
        return self._from_2d(outputs) if self.rank == 1 else outputs

    def _output_shape(
        self, batch: tf.Tensor, lengths: list[tf.Tensor], channels: tf.Tensor
    ) -> tf.Tensor:
        if self.channels_first:
            return tf.stack([batch, channels, *lengths])
        return tf.stack([batch, *lengths, channels])

    def _downsample(self, outputs: tf.Tensor, factors: Sequence[int]) -> tf.Tensor:
        if all(factor == 1 for factor in factors):
            return outputs
        slices = [slice(None, None, factor) for factor in factors]
        return outputs[tuple(self._spatial(slices, slice(None)))]

    def _to_2d(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.expand_dims(inputs, 2 if self.channels_first else 1), kernel[tf.newaxis]

    def _from_2d(self, outputs: tf.Tensor) -> tf.Tensor:
        return tf.squeeze(outputs, [2 if self.channels_first else 1])

    def output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """The shape that results from `input_shape`, with None for what is not known."""
        dims = input_shape.with_rank(self.rank + 2).as_list()
        channel_axis = 1 if self.channels_first else self.rank + 1
        for index, axis in enumerate(self._axes()):
            if dims[axis] is None:
                continue
            behind = 0 if self.extra_pad_end else self.strides_up[index] - 1
            length = dims[axis] * self.strides_up[index] - behind
            if self.padding == "valid":
                length -= self.kernel_support[index] - 1
            dims[axis] = (length - 1) // self.strides_down[index] + 1
        if not self.separable:
            dims[channel_axis] = self.filters
        elif dims[channel_axis] is not None:
            dims[channel_axis] *= self.filters
        return tf.TensorShape(dims)


def _data_format(rank: int, channels_first: bool) -> str:
    spatial = "DHW"[3 - rank :]
    return f"NC{spatial}" if channels_first else f"N{spatial}C"


def _swap_channels(kernel: tf.Tensor) -> tf.Tensor:
    rank = kernel.shape.rank
    return tf.transpose(kernel, [*range(rank - 2), rank - 1, rank - 2])
