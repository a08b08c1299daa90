"""Labels of a picture's places, for the discriminator that tells them.

Muckley et al. 2023 (arXiv 2301.11189) take them from a vector-quantised autoencoder. Here they are
clusters of what VGG16 sees in a place of 8x8 pixels, found by Lloyd's iterations: a minute, and
nothing to train.
"""

from __future__ import annotations

import numpy as np
import torch
from crops import Crops
from perceptual import Distance
from torch import Tensor, nn
from torch.nn import functional

TAPS = 2
"""The second tap of VGG16 has half of the resolution, and sees 14 pixels."""
ROUNDS = 20
PLACES = 64
"""So many for each label are clustered."""


class Labels(nn.Module):
    """Which of `count` clusters a place is nearest to."""

    def __init__(self, features: Distance, count: int) -> None:
        """Initializer.

        Args:
          features: VGG16, `TAPS` taps of it or more.
          count: of clusters.
        """
        super().__init__()
        self.count = count
        channels = features.get_buffer(f"head_{TAPS - 1}").shape[1]
        self._taps = features.taps  # A method, so that a checkpoint does not hold VGG16.
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))
        self.register_buffer("centres", torch.zeros(count, channels))

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """int64 [b, h, w] of pictures [b, 3, 8 h, 8 w] in 0..255."""
        x = (self._places(pictures) - self.mean) / self.spread
        # Of two centres that are nearly as near bfloat16 would choose any.
        with torch.autocast(x.device.type, enabled=False):
            return _nearest(x.flatten(0, 2), self.centres).reshape(x.shape[:3])

    def _places(self, pictures: Tensor) -> Tensor:
        tap = self._taps(pictures, TAPS)[-1].float()
        # Logarithms, since a strong edge has a hundred times what a texture has.
        return functional.avg_pool2d(tap, 4).log1p().permute(0, 2, 3, 1)

    @torch.no_grad()
    def fit(self, crops: Crops, seed: int) -> None:
        """Clusters the places of crops."""
        draw = np.random.default_rng([seed, self.count])
        device, found, left = self.centres.device, [], PLACES * self.count
        number = 0
        while left > 0:
            crop = torch.tensor(np.ascontiguousarray(crops.crop(number)), device=device)
            places = self._places(crop.permute(2, 0, 1)[None].float()).flatten(0, 2)
            found.append(places[torch.tensor(draw.permutation(len(places))[: PLACES * 2])])
            left, number = left - len(found[-1]), number + 1
        x = torch.cat(found)
        self.mean.copy_(x.mean(0))
        self.spread.copy_(x.std(0).clamp_min(1e-6))
        x = (x - self.mean) / self.spread
        centres = x[torch.tensor(draw.permutation(len(x))[: self.count])]
        for _ in range(ROUNDS):
            chosen = _nearest(x, centres)
            counts = torch.zeros(self.count, device=device).index_add_(
                0, chosen, torch.ones(len(x), device=device)
            )
            sums = torch.zeros_like(centres).index_add_(0, chosen, x)
            moved = sums / counts.clamp_min(1)[:, None]
            # A cluster that nothing is nearest to begins anew somewhere.
            anew = x[torch.tensor(draw.integers(len(x), size=self.count))]
            centres = torch.where(counts[:, None] > 0, moved, anew)
        self.centres.copy_(centres)


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    """int64 [n] for [n, channels]."""
    half = centres.square().sum(1) / 2
    return torch.cat([(part @ centres.T - half).argmax(1) for part in x.split(8192)])
