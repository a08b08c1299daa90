"""What runs a published model's networks: TensorFlow, or LiteRT where that is all there is."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network


class Settled(NamedTuple):
    """Rows of latents after both passes of a checkerboard, [rows, columns, channels] each.

    Attributes:
      symbols: int32.
      values: float32, what the decoder has in the latents' place.
    """

    symbols: np.ndarray
    values: np.ndarray


class Runtime(abc.ABC):
    """Runs networks on arrays.

    Files don't depend on it but for the encoder's choice where a latent lies between two symbols;
    what a stream is read by (`indexes`) is the same integers in all.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def check(self, network: Network) -> None:
        """Refuses a network that it can't run.

        Raises:
          ModelError: naming the layer.
        """

    @abc.abstractmethod
    def run(self, network: Network, values: np.ndarray) -> np.ndarray:
        """What a network makes of [1, height, width, channels], float32, in float32."""

    @abc.abstractmethod
    def run_picture(self, network: Network, values: np.ndarray) -> np.ndarray:
        """The same for a part of a picture network, in the precision of those."""

    @abc.abstractmethod
    def analyse(self, network: Network, pixels: np.ndarray, low: float, high: float) -> np.ndarray:
        """What the analysis transform makes of pixels.

        Args:
          network: the transform.
          pixels: uint8 [1, height, width, 3].
          low: what 0 is to the network.
          high: what 255 is to it.

        Returns:
          float32 [1, height / stride, width / stride, channels].
        """

    @abc.abstractmethod
    def synthesise(
        self, network: Network, values: np.ndarray, low: float, high: float
    ) -> np.ndarray:
        """The pixels that the last part of a synthesis transform gives: uint8.

        Args:
          network: the transform's last part.
          values: float32 [1, height, width, channels].
          low: see `analyse`.
          high: see `analyse`.
        """

    @abc.abstractmethod
    def indexes(self, branch: IntegerBranch, hyperlatents: np.ndarray) -> np.ndarray:
        """Scale indexes, exactly: int32 of int32 [1, height, width, channels]."""

    @abc.abstractmethod
    def settle(
        self,
        networks: Mapping[str, Network],
        features: np.ndarray,
        latents: np.ndarray,
        top: int,
        known_rows: int,
        symbols: bool,
        dead_zone: np.ndarray | None = None,
    ) -> Settled:
        """Both passes over a checkerboard: see `tfhific.runtimes.checkerboard.settle`."""
