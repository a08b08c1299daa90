"""HiFiC's patch discriminator, which sees the latents beside the picture, with narrower layers.

F. Mentzer et al. 2020, arXiv 2006.09965, appendix A.2. A decision for each patch: [b, 1, h, w].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (48, 96, 128, 192)
CONDITION = 12


class Discriminator(nn.Module):
    """Tells pictures from decoded ones, given what both were coded as."""

    def __init__(self, latent_channels: int) -> None:
        super().__init__()
        self.condition = spectral_norm(nn.Conv2d(latent_channels, CONDITION, 3, padding=1))
        widths = (3 + CONDITION, *WIDTHS)
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2 if i < 3 else 1, padding=1))
            for i, (before, after) in enumerate(zip(widths, widths[1:]))
        )
        self.out = spectral_norm(nn.Conv2d(widths[-1], 1, 1))

    def forward(self, picture: Tensor, code: Tensor) -> Tensor:
        """Logits.

        Args:
          picture: [b, 3, 16 h, 16 w] in 0..255.
          code: [b, latent channels, h, w], what a synthesis transform is given.
        """
        given = functional.leaky_relu(self.condition(code), 0.2)
        given = functional.interpolate(given, scale_factor=16, mode="nearest")
        x = torch.cat([picture / 127.5 - 1.0, given], 1)
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.2)
        return self.out(x)
