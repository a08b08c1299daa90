"""What runs a published model's networks: TensorFlow, or LiteRT where that is all there is."""

from __future__ import annotations

import abc
import importlib.util
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from tfhific.errors import ArgumentError, TfhificError
from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network

RUNTIMES = ("tensorflow", "litert")
"""Names, the one that is taken first where both are installed first."""

_PACKAGES = {"tensorflow": "tensorflow", "litert": "ai_edge_litert"}
_INSTALL = {"tensorflow": "tensorflow", "litert": "ai-edge-litert"}


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
    ) -> Settled:
        """Both passes over a checkerboard: see `tfhific.runtimes.checkerboard.settle`."""


def installed(name: str) -> bool:
    """Whether a runtime's package is there, without importing it."""
    try:
        return importlib.util.find_spec(_PACKAGES[name]) is not None
    except (ImportError, ValueError):
        return False


def choose(wanted: str, able: tuple[str, ...], model: str) -> str:
    """The runtime to use.

    Args:
      wanted: one of `RUNTIMES`, or `auto`: the first of them that is installed.
      able: those that the model's codec works with.
      model: its name, for messages.

    Raises:
      ArgumentError: for another name.
      TfhificError: where it is not installed, or does not run such a model.
    """
    if wanted not in ("auto", *RUNTIMES):
        raise ArgumentError(
            f"Expected a runtime among auto, {', '.join(RUNTIMES)}. Received: {wanted!r}."
        )
    names = [name for name in RUNTIMES if name in able] if wanted == "auto" else [wanted]
    for name in names:
        if name not in able:
            raise TfhificError(
                f"{model} is of a kind that the runtime {name} does not run: expected "
                f"{' or '.join(able)}."
            )
        if installed(name):
            return name
    packages = " or ".join(f"pip install {_INSTALL[name]}" for name in names)
    raise TfhificError(
        f"{model} needs the runtime {' or '.join(names)}, which is not installed: {packages}"
    )


def make(name: str, precision: str) -> Runtime:
    """The runtime of a name.

    Args:
      name: see `choose`.
      precision: of the picture networks.

    Raises:
      ArgumentError: for a precision that it doesn't have.
    """
    if name == "litert":
        from tfhific.runtimes.litert.runtime import LiteRT

        return LiteRT(precision)
    from tfhific.runtimes.tensorflow import TensorFlow

    return TensorFlow(precision)
