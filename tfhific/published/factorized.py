"""The factorised density of hyperlatents, evaluated in float64 NumPy.

Ballé et al. 2018 (arXiv 1802.01436), appendix 6.1: a cumulative density per channel as a small
network whose weights are positive, so that it is monotonic.
"""

from __future__ import annotations

import dataclasses

import numpy as np


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # Unlike 1 + tanh, this keeps its digits where the result is close to 0.
    return np.exp(-np.logaddexp(0.0, -x))


@dataclasses.dataclass(frozen=True)
class FactorizedDensity:
    """Per-channel density of integers.

    Attributes:
      matrices: positive, [channels, out, in] each (softplus already applied).
      biases: [channels, out, 1] each.
      factors: [channels, out, 1] each, in (-1, 1) (tanh already applied); one fewer, or as many
        where the last layer has a gate too.
    """

    matrices: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    factors: tuple[np.ndarray, ...]

    @property
    def channels(self) -> int:
        return self.matrices[0].shape[0]

    def logits_cdf(self, points: np.ndarray) -> np.ndarray:
        """Logits of the cumulative density at float64 [channels, n]."""
        x: np.ndarray = np.asarray(points, np.float64)[:, None, :]
        for layer, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):
            x = matrix.astype(np.float64) @ x + bias.astype(np.float64)
            if layer < len(self.factors):
                x = x + self.factors[layer].astype(np.float64) * np.tanh(x)
        return x[:, 0, :]

    def mass(self, values: np.ndarray) -> np.ndarray:
        """Probability of integers [channels, n]: the density over one unit about each."""
        low, high = self.logits_cdf(values - 0.5), self.logits_cdf(values + 0.5)
        # Where both are large, 1 - p is the one that keeps its digits.
        sign = np.where(low + high > 0, -1.0, 1.0)
        return np.abs(_sigmoid(sign * high) - _sigmoid(sign * low))

    def bounds(self, tail_mass: float) -> tuple[np.ndarray, np.ndarray]:
        """Integers [channels] that leave at most `tail_mass` / 2 outside on each side."""
        target = np.log(tail_mass / 2.0) - np.log1p(-tail_mass / 2.0)

        def smallest(reached) -> np.ndarray:
            low = np.full([self.channels], -4096.0)
            high = -low
            while np.any(high - low > 1):
                middle = np.floor((low + high) / 2)
                hit = reached(middle)
                high, low = np.where(hit, middle, high), np.where(hit, low, middle)
            return high

        # First v with F(v + 1/2) above the tail; last with 1 - F(v - 1/2) above it.
        first = smallest(lambda v: self.logits_cdf(v[:, None] + 0.5)[:, 0] > target)
        beyond = smallest(lambda v: self.logits_cdf(v[:, None] - 0.5)[:, 0] > -target)
        return first.astype(np.int64), np.maximum(beyond - 1, first).astype(np.int64)
