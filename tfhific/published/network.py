"""Networks as a codec runs them: plain kernels, no Keras, no TFC.

A network is a list of layers, each a JSON object with an `op`; the kernels are arrays named by the
layer. `tfhific.published.ops` has the kinds of layers, a class each. A network is made once from a
trained Keras network (`tfhific.publishing.fold`) and stored with the model, so that decoding needs
neither Keras nor the code that trained it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.published import ops
from tfhific.published.ops import Extent, Flow, Op

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Network:
    """A folded network.

    Attributes:
      layers: the layers as they are stored, JSON values.
      weights: arrays by name, `<layer name>/<array>`, floats; not to be changed.
      ops: what the layers are; made of the two.
    """

    layers: list
    weights: dict[str, np.ndarray]
    ops: tuple[Op, ...] = dataclasses.field(init=False, repr=False, compare=False)
    _tensors: dict[str, Any] = dataclasses.field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for name, value in self.weights.items():
            if value.dtype.kind != "f":
                raise ModelError(
                    f"The model's array {name!r} should hold floats. Received: {value.dtype}."
                )
        object.__setattr__(self, "ops", ops.read_layers(self.layers, self.weights))
        self.channels_after()

    def __call__(self, inputs: Any) -> tf.Tensor:
        """Runs the network.

        Args:
          inputs: float [batch, height, width, channels]; its dtype is the arithmetic's.

        Returns:
          A tensor of the same dtype.
        """
        import tensorflow as tf

        return ops.run_all(self.ops, tf.convert_to_tensor(inputs), self._array)

    def over(self, arrays: Mapping[str, object]) -> Network:
        """The network with its arrays held elsewhere, for a graph.

        Args:
          arrays: variables, or what else TensorFlow converts to tensors, by the names in `weights`.
        """
        other = copy.copy(self)
        object.__setattr__(other, "weights", arrays)
        return other

    def part(self, start: int, stop: int | None = None) -> Network:
        """The network of some of the layers, on the same arrays."""
        return Network(self.layers[start:stop], self.weights)

    def channels_after(self, channels: int | None = None) -> int | None:
        """The channels that the network gives.

        Args:
          channels: of the input; None where that is not known.

        Returns:
          The number; None where it can't be told without the picture's size.

        Raises:
          ModelError: when a layer does not fit the one before it, or branches each other.
        """
        return ops.flow_after(self.ops, Flow(channels)).channels

    @property
    def factor(self) -> Fraction:
        """Downsampling over upsampling."""
        return ops.factor_of(self.ops)

    @property
    def extent(self) -> Extent:
        """What running it in tiles takes.

        Raises:
          ModelError: when it can't run in tiles.
        """
        return ops.extent_of(self.ops)

    def _array(self, name: str, like: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        from tfhific.published.tensor_file import shared

        value = self.weights[name]
        if not tf.executing_eagerly() or not isinstance(value, np.ndarray):
            return tf.cast(tf.convert_to_tensor(value), like.dtype)
        # Kept only where it is the array itself: a network is not in memory twice.
        tensor = self._tensors.get(name)
        if tensor is None:
            tensor = shared(value)
            if not value.flags.writeable:
                self._tensors[name] = tensor
        return tf.cast(tensor, like.dtype)
