"""What pictures of a decoder that is to look real are judged by, beside a discriminator."""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import perceptual
import torch
from configuration import Mini2Config
from torch import Tensor


@dataclasses.dataclass
class Losses:
    """What the pictures of a step are judged by."""

    options: argparse.Namespace
    config: Mini2Config
    lpips: perceptual.Distance
    features: perceptual.Distance

    def weights(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Of the squared error and of the discriminator, [b] each: files of high rates keep more
        of the picture than a discriminator can add."""
        grown = self.config.log_lambda(quality) - self.config.log_lambda(torch.ones_like(quality))
        grown = torch.exp(self.options.spread * grown)
        return self.options.mse * grown, self.options.gan / grown

    def distances(self, images: Tensor, made: Tensor, draw: np.random.Generator) -> Tensor:
        """[b]: LPIPS, and VGG16's distance in a window of the crop."""
        side, window = images.shape[-1], min(self.options.window, images.shape[-1])
        # AlexNet steps by four pixels: from a fixed place it would not see what lies between.
        top, left = draw.integers(4, size=2)
        near = self.lpips(images[..., top:, left:], made[..., top:, left:])
        top, left = draw.integers(side - window + 1, size=2)
        rows, columns = slice(top, top + window), slice(left, left + window)
        batch = len(images)
        count = max(round(self.options.looked_at * batch), 1)
        chosen = torch.tensor(np.sort(draw.permutation(batch)[:count]), device=images.device)
        seen = (each[chosen][..., rows, columns] for each in (images, made))
        far = torch.zeros(batch, device=images.device)
        return near + far.index_add(0, chosen, self.features(*seen) * (batch / count))
