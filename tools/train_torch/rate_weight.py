"""What a bit weighs in an encoder's loss, so that its files stay as large as another encoder's."""

from __future__ import annotations

import torch
from configuration import NUM_QUALITIES, Mini2Config
from torch import Tensor

PACE = 0.05


class RateWeight:
    """A weight for bits per pixel at each quality, which follows how many of them there are.

    Its logarithm is linear in the quality, from that of squared error's own balance with a bit on.
    """

    def __init__(self, config: Mini2Config, mse: float, spread: float) -> None:
        """Initializer.

        Args:
          config: of the codec.
          mse: the weight of the squared error at quality 1.
          spread: the power of lambda by which that grows.
        """
        self._config, self._mse, self._spread = config, mse, spread
        self.state = [1.5, 0.0]

    def __call__(self, quality: Tensor) -> Tensor:
        """The weights, [b], at qualities [b]."""
        log_lambda = self._config.log_lambda(quality)
        grown = self._spread * (log_lambda - self._config.log_lambda(torch.ones_like(quality)))
        level, slope = self.state
        return self._mse * torch.exp(grown - log_lambda + level + slope * _centred(quality))

    def follow(self, quality: Tensor, own: Tensor, wanted: Tensor) -> None:
        """Moves the weights by the bits [b] that pictures took and those that they are to take."""
        error = torch.log(own / wanted).clamp(-1.0, 1.0)
        place = _centred(quality)
        self.state[0] += PACE * float(error.mean())
        self.state[1] += PACE * float((error * place).mean())


def _centred(quality: Tensor) -> Tensor:
    return 2.0 * (quality - 1.0) / (NUM_QUALITIES - 1.0) - 1.0
