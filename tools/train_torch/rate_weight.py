"""What a bit weighs in an encoder's loss, so that its files stay as large as another encoder's."""

from __future__ import annotations

import torch
from configuration import NUM_QUALITIES, Mini2Config
from torch import Tensor

PACE = 0.05


class RateWeight:
    """A weight for bits per pixel at each quality, which follows how many of them there are.

    In units of the squared error's weight. By that error alone a bit would weigh 1 / lambda; what
    it weighs beyond that, for what else pictures are judged by, has a logarithm linear in the
    quality.
    """

    def __init__(self, config: Mini2Config) -> None:
        self._config = config
        self.state = [1.5, 0.0]

    def __call__(self, quality: Tensor) -> Tensor:
        """The weights, [b], at qualities [b]."""
        level, slope = self.state
        beyond = level + slope * _centred(quality)
        return torch.exp(beyond - self._config.log_lambda(quality))

    def follow(self, quality: Tensor, own: Tensor, wanted: Tensor) -> None:
        """Moves the weights by the bits [b] that pictures took and those that they are to take."""
        error = torch.log(own / wanted).clamp(-1.0, 1.0)
        place = _centred(quality)
        self.state[0] += PACE * float(error.mean())
        self.state[1] += PACE * float((error * place).mean())


def _centred(quality: Tensor) -> Tensor:
    return 2.0 * (quality - 1.0) / (NUM_QUALITIES - 1.0) - 1.0
