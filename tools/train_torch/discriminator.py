"""Discriminators that a decoder is trained against, in PyTorch.

Both have the body of HiFiC's, which sees the latents beside the picture, with narrower layers:
F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity Generative Image Compression",
NeurIPS 2020, arXiv 2006.09965, appendix A.2. `PatchDiscriminator` says for each place whether it is
real, as theirs does. `LabelDiscriminator` says what is there: M. J. Muckley, A. El-Nouby, K.
Ullrich, H. Jégou, J. Verbeek: "Improving Statistical Fidelity for Neural Image Compression with
Implicit Local Likelihood Models", ICML 2023, arXiv 2301.11189, section 3.
"""

from __future__ import annotations

import abc

import torch
from labels import Labels
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (48, 96, 128, 192)
CONDITION = 12


class Adversary(nn.Module, abc.ABC):
    """A discriminator, and what either side of the game loses by it.

    Pictures are [b, 3, 16 h, 16 w] in 0..255; a code is [b, latent channels, h, w], what a
    synthesis transform is given.
    """

    def __init__(self, latent_channels: int, last: tuple[int, int]) -> None:
        super().__init__()
        self.condition = spectral_norm(nn.Conv2d(latent_channels, CONDITION, 3, padding=1))
        widths = (3 + CONDITION, *WIDTHS)
        kinds = ((4, 2, 1), (4, 2, 1), (4, 2, 1), (last[0], 1, last[1]))
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, kernel, stride=stride, padding=padding))
            for before, after, (kernel, stride, padding) in zip(widths, widths[1:], kinds)
        )

    def features(self, pictures: Tensor, code: Tensor) -> Tensor:
        given = functional.leaky_relu(self.condition(code), 0.2)
        given = functional.interpolate(given, scale_factor=16, mode="nearest")
        x = torch.cat([pictures / 127.5 - 1.0, given], 1)
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.2)
        return x

    @abc.abstractmethod
    def truth(self, images: Tensor) -> Tensor:
        """What the losses need to know of originals."""

    @abc.abstractmethod
    def decoders(self, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        """What the decoder loses, for each of the decoded pictures: [b]."""

    @abc.abstractmethod
    def own(self, images: Tensor, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        """What the discriminator loses on originals and decoded pictures: a scalar."""


class PatchDiscriminator(Adversary):
    """Tells pictures from decoded ones, given what both were coded as."""

    def __init__(self, latent_channels: int) -> None:
        super().__init__(latent_channels, (4, 1))
        self.out = spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 1))

    def forward(self, pictures: Tensor, code: Tensor) -> Tensor:
        """Logits [b, 1, h', w'], of each patch."""
        return self.out(self.features(pictures, code)).float()

    def truth(self, images: Tensor) -> Tensor:
        """Nothing."""
        return images.new_zeros([0])

    def decoders(self, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        return functional.softplus(-self(made, code)).mean((1, 2, 3))

    def own(self, images: Tensor, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        real, false = self(images, code), self(made, code)
        return functional.softplus(-real).mean() + functional.softplus(false).mean()


class LabelDiscriminator(Adversary):
    """Tells the labels of a picture's places, or that they were decoded."""

    def __init__(self, latent_channels: int, labels: Labels) -> None:
        super().__init__(latent_channels, (3, 1))
        self.labels = labels
        # Without spectral norm: a bounded slope can't tell a thousand labels apart.
        self.out = nn.Conv2d(WIDTHS[-1], 1 + labels.count, 1)

    def forward(self, pictures: Tensor, code: Tensor) -> Tensor:
        """Logits [b, 1 + labels, 2 h, 2 w], "decoded" first."""
        return self.out(self.features(pictures, code)).float()

    def truth(self, images: Tensor) -> Tensor:
        """int64 [b, 2 h, 2 w]: which logit an original's places are to have."""
        return 1 + self.labels(images)

    def decoders(self, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        """Equation 8: a decoded picture is to have the original's labels."""
        return functional.cross_entropy(self(made, code), truth, reduction="none").mean((1, 2))

    def own(self, images: Tensor, made: Tensor, code: Tensor, truth: Tensor) -> Tensor:
        """Equation 7."""
        real = functional.cross_entropy(self(images, code), truth)
        return real + functional.cross_entropy(self(made, code), torch.zeros_like(truth))
