"""Published networks run by LiteRT, everything around them by NumPy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tfhific.errors import ArgumentError
from tfhific.published.checkerboard import FIRST, NEAR, SECOND
from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network
from tfhific.runtimes.base import Runtime, Settled
from tfhific.runtimes.litert import integers
from tfhific.runtimes.litert.layers import check_supported
from tfhific.runtimes.litert.network import LiteRTNetwork
from tfhific.runtimes.symbols import to_symbols

_THREADS_VARIABLE = "OMP_NUM_THREADS"


def threads() -> int:
    """Threads of the arithmetic: what OMP_NUM_THREADS says, or as many as there are cores."""
    said = os.environ.get(_THREADS_VARIABLE, "")
    return int(said) if said.isdecimal() and 0 < int(said) < 1000 else os.cpu_count() or 1


class LiteRT(Runtime):
    """Runs networks of the layers in `tfhific.runtimes.litert.layers`, in float32."""

    name: ClassVar[str] = "litert"

    def __init__(self, precision: str = "float32") -> None:
        """Initializer.

        Args:
          precision: of the picture networks.

        Raises:
          ArgumentError: for another one than `float32`.
        """
        if precision != "float32":
            raise ArgumentError(
                f"The runtime litert computes in float32. Received: {precision!r}; expected that, "
                "or the runtime tensorflow."
            )
        # By identity: the network is held on to, so that no other can take its place.
        self._networks: dict[int, tuple[Network, LiteRTNetwork]] = {}

    def check(self, network: Network) -> None:
        """See `Runtime.check`."""
        check_supported(network.ops)

    def run(self, network: Network, values: np.ndarray) -> np.ndarray:
        """See `Runtime.run`."""
        _, ours = self._networks.get(id(network)) or self._networks.setdefault(
            id(network), (network, LiteRTNetwork(network, threads()))
        )
        return ours(values)

    def run_picture(self, network: Network, values: np.ndarray) -> np.ndarray:
        """See `Runtime.run_picture`."""
        return self.run(network, values)

    def analyse(self, network: Network, pixels: np.ndarray, low: float, high: float) -> np.ndarray:
        """See `Runtime.analyse`."""
        x = pixels.astype(np.float32)
        x /= np.float32(255.0)
        x *= np.float32(high - low)
        x += np.float32(low)
        return self.run(network, x)

    def synthesise(
        self, network: Network, values: np.ndarray, low: float, high: float
    ) -> np.ndarray:
        """See `Runtime.synthesise`."""
        x = self.run(network, values)
        x -= np.float32(low)
        x /= np.float32(high - low)
        x *= np.float32(255.0)
        np.rint(x, out=x)
        return np.clip(x, 0.0, 255.0, out=x).astype(np.uint8)

    def indexes(self, branch: IntegerBranch, hyperlatents: np.ndarray) -> np.ndarray:
        """See `Runtime.indexes`."""
        return integers.indexes(branch, hyperlatents)

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
        """See `Runtime.settle`."""

        def said(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            mean, step = np.split(self.run(networks[name], values[None])[0], 2, axis=-1)
            return mean, np.exp(np.float32(0.5) * np.tanh(step))

        def coded(mean: np.ndarray, step: np.ndarray) -> np.ndarray:
            if symbols:
                return latents.astype(np.int32)
            return to_symbols(latents / step - mean, dead_zone)

        rows, columns = np.ogrid[: latents.shape[0], : latents.shape[1]]
        first = ((rows + top + columns) % 2 == 0)[..., None]
        mean, step = said(FIRST, features)
        before = coded(mean, step)
        decoded = ((before + mean) * step).astype(np.float32)
        decoded[:known_rows] = latents[:known_rows]
        near = self.run(networks[NEAR], np.where(first, decoded, np.float32(0))[None])[0]
        mean, step = said(SECOND, features + near)
        after = coded(mean, step)
        later = ((after + mean) * step).astype(np.float32)
        return Settled(np.where(first, before, after), np.where(first, decoded, later))
