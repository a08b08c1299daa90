"""`mini2` in PyTorch: a hyperprior codec that computes at 1/16 of the resolution.

D. Minnen, J. Ballé, G. Toderici: "Joint autoregressive and hierarchical priors for learned image
compression", NeurIPS 2018, arXiv 1809.02736 (mean and scale from hyperlatents).
D. He, Y. Zheng, B. Sun, Y. Wang, H. Qin: "Checkerboard context model for efficient learned image
compression", CVPR 2021, arXiv 2103.15306 (the two passes over a checkerboard).

A latent y is coded as the symbol round(y / q - mean). Its standard deviation follows from the
hyperlatents z alone, so that all symbols are decoded in one pass. Step q and mean come from z for
the first half of a checkerboard, from z and the decoded first half for the second.

Tensors are [batch, channels, height, width] in channels-last order. Convolutions pad with zeros and
keep the size, or halve or double it.
"""

from __future__ import annotations

import math

import configuration
import numpy as np
import torch
from configuration import HYPER_STRIDE, LINEAR_PACE, NUM_QUALITIES, STRIDE, Mini2Config
from depthwise import Depthwise
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1


def space_to_depth(x: Tensor, side: int) -> Tensor:
    """[b, c, H, W] to [b, side * side * c, H / side, W / side]; channels row, column, colour."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // side, side, width // side, side)
    x = x.permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, side * side * channels, height // side, width // side)


def depth_to_space(x: Tensor, side: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, side, side, channels // side**2, height, width)
    x = x.permute(0, 3, 4, 1, 5, 2)
    return x.reshape(batch, channels // side**2, height * side, width * side)


def block_transform(count: int) -> Tensor:
    """float32 [count, 16 * 16 * 3] of `tfhific.models.block_transform`.

    Its columns are in the order of `space_to_depth`.
    """
    return torch.tensor(configuration.block_transform(count))


class Linear(nn.Module):
    """A pointwise convolution that starts as `matrix` [out, in] and moves slowly."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        out, into = matrix.shape
        self.conv = nn.Conv2d(into, out, 1)
        with torch.no_grad():
            self.conv.weight.copy_(matrix[:, :, None, None] / LINEAR_PACE)
            self.conv.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return LINEAR_PACE * self.conv(x)


class Block(nn.Module):
    """A depthwise convolution and two pointwise ones, added to their input; starts as nothing."""

    def __init__(self, width: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(width, kernel)
        self.expand = nn.Conv2d(width, width * expansion, 1)
        self.reduce = nn.Conv2d(width * expansion, width, 1)
        with torch.no_grad():
            self.depthwise.weight.mul_(0.5)
            self.depthwise.weight[:, :, kernel // 2, kernel // 2] += 1.0
            nn.init.zeros_(self.reduce.weight)
            nn.init.zeros_(self.reduce.bias)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.leaky_relu(self.expand(self.depthwise(x)), SLOPE)
        return x + self.reduce(inner)


class Analysis(nn.Module):
    """Image about zero [b, 3, H, W] to latents [b, latent channels, H / 16, W / 16]."""

    def __init__(self, config: Mini2Config) -> None:
        super().__init__()
        self.linear = Linear(block_transform(config.latent_channels))
        self.embed = nn.Conv2d(3 * STRIDE**2, config.width, 1)
        self.blocks = nn.Sequential(
            *[
                Block(config.width, config.expansion, config.block_kernel)
                for _ in range(config.encoder_blocks)
            ]
        )
        self.out = nn.Conv2d(config.width, config.latent_channels, 1)
        with torch.no_grad():
            # Patches are dominated by their mean; an embedding by the block transform is white.
            self.embed.weight.copy_(4.0 * block_transform(config.width)[:, :, None, None])
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, image: Tensor) -> Tensor:
        patches = space_to_depth(image, STRIDE).contiguous(memory_format=torch.channels_last)
        return self.linear(patches) + 0.25 * self.out(self.blocks(self.embed(patches)))


class Synthesis(nn.Module):
    """Latents [b, latent channels, h, w] to an image about zero [b, 3, 16 h, 16 w]."""

    def __init__(self, config: Mini2Config) -> None:
        super().__init__()
        fine = config.fine_channels
        self.linear = Linear(block_transform(config.latent_channels).T.contiguous())
        self.embed = nn.Conv2d(config.latent_channels, config.width, 1)
        self.blocks = nn.Sequential(
            *[
                Block(config.width, config.expansion, config.block_kernel)
                for _ in range(config.decoder_blocks)
            ]
        )
        self.spread = nn.Conv2d(config.width, 16 * fine, 1)
        self.render = nn.Conv2d(fine, fine, 3, padding=1)
        self.out = nn.Conv2d(fine, 48, 3, padding=1)
        with torch.no_grad():
            nn.init.normal_(self.embed.weight, std=2.0 / math.sqrt(config.latent_channels))
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, y: Tensor) -> Tensor:
        fine = depth_to_space(self.spread(self.blocks(self.embed(y))), 4)
        fine = fine.contiguous(memory_format=torch.channels_last)
        fine = functional.leaky_relu(fine, SLOPE)
        fine = functional.leaky_relu(self.render(fine), SLOPE)
        branch = depth_to_space(0.1 * self.out(fine), 4)
        return depth_to_space(self.linear(y), STRIDE) + branch


class HyperAnalysis(nn.Module):
    """Scaled latents [b, latent channels, h, w] to hyperlatents [b, hyper channels, h/4, w/4]."""

    def __init__(self, config: Mini2Config) -> None:
        super().__init__()
        n = config.hyper_channels
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(config.latent_channels, 2 * n, 1),
                nn.Conv2d(2 * n, n, 5, stride=2, padding=2),
                nn.Conv2d(n, n, 5, stride=2, padding=2),
            ]
        )

    def forward(self, y: Tensor) -> Tensor:
        for conv in self.convs[:-1]:
            y = functional.relu(conv(y))
        return self.convs[-1](y)


class HyperSynthesis(nn.Module):
    """Hyperlatents [b, hyper channels, h, w] to features [b, out, 4 h, 4 w]."""

    def __init__(self, config: Mini2Config, out: int) -> None:
        super().__init__()
        n = config.hyper_channels
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(n, n, 5, 2, padding=2, output_padding=1),
                nn.ConvTranspose2d(n, n * 4 // 3, 5, 2, padding=2, output_padding=1),
            ]
        )
        self.out = nn.Conv2d(n * 4 // 3, out, 1)

    def forward(self, z: Tensor) -> Tensor:
        for conv in self.up:
            z = functional.relu(conv(z))
        return self.out(z)


class Context(nn.Module):
    """Means and logarithms of steps of both halves of the checkerboard."""

    def __init__(self, config: Mini2Config) -> None:
        super().__init__()
        latents, inner = config.latent_channels, config.context_channels
        self.from_z = HyperSynthesis(config, inner)
        self.first = nn.Conv2d(inner, 2 * latents, 1)
        self.near = Depthwise(latents, 5)
        self.mix = nn.Conv2d(latents, inner, 1)
        self.hidden = nn.Conv2d(inner, inner, 1)
        self.second = nn.Conv2d(inner, 2 * latents, 1)
        with torch.no_grad():
            for layer in (self.first, self.second):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def features(self, z: Tensor) -> Tensor:
        return self.from_z(z)

    def first_half(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return _mean_and_step(self.first(functional.leaky_relu(features, SLOPE)))

    def second_half(self, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """`known` is the decoded first half, zero elsewhere."""
        x = functional.leaky_relu(features + self.mix(self.near(known)), SLOPE)
        x = functional.leaky_relu(self.hidden(x), SLOPE)
        return _mean_and_step(self.second(x))


def _mean_and_step(x: Tensor) -> tuple[Tensor, Tensor]:
    mean, step = x.float().chunk(2, dim=1)
    return mean, torch.exp(0.5 * torch.tanh(step))


class DeepFactorized(nn.Module):
    """The factorised prior of z, with noise (Ballé et al. 2018, appendix 6.1)."""

    def __init__(self, channels: int, widths: tuple[int, ...] = (3, 3), scale: float = 10.0):
        super().__init__()
        sizes = (1, *widths, 1)
        gain = scale ** (1 / (len(sizes) - 1))
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for layer, (before, after) in enumerate(zip(sizes[:-1], sizes[1:])):
            start = math.log(math.expm1(1 / gain / after))
            self.matrices.append(nn.Parameter(torch.full((channels, after, before), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, after, 1) - 0.5))
            if layer < len(sizes) - 2:
                self.factors.append(nn.Parameter(torch.zeros(channels, after, 1)))

    def _logits(self, x: Tensor) -> Tensor:
        for layer, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):
            x = functional.softplus(matrix) @ x + bias
            if layer < len(self.factors):
                x = x + torch.tanh(self.factors[layer]) * torch.tanh(x)
        return x

    def bits(self, z: Tensor) -> Tensor:
        """Bits [b] of hyperlatents [b, channels, h, w], each in a bin of width one."""
        batch, channels = z.shape[:2]
        flat = z.permute(1, 0, 2, 3).reshape(channels, 1, -1)
        lower, upper = self._logits(flat - 0.5), self._logits(flat + 0.5)
        sign = -torch.sign(lower + upper).detach()
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()
        bits = -torch.log2(mass.clamp_min(1e-9))
        return bits.reshape(channels, batch, -1).sum((0, 2))


class Mini2(nn.Module):
    """The trainable codec."""

    scale_gain = 8.0

    def __init__(self, config: Mini2Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Mini2Config()
        self.analysis = Analysis(config)
        self.synthesis = Synthesis(config)
        self.hyper_analysis = HyperAnalysis(config)
        self.context = Context(config)
        self.scales = HyperSynthesis(config, config.latent_channels)
        self.z_prior = DeepFactorized(config.hyper_channels)
        first = math.log(config.scale_min)
        self.log_scale_step = (math.log(config.scale_max) - first) / (config.num_scales - 1)
        self.log_scale_first = first
        self.scale_centre = -first / self.log_scale_step
        # A uniform quantiser on an orthonormal transform is optimal for lambda at a step of
        # sqrt(26 / lambda) on the 0..255 scale (high-rate approximation): the gains start there.
        quality = np.arange(1.0, NUM_QUALITIES + 1.0)
        start = np.log(255.0 * np.sqrt(np.exp(config.log_lambda(quality)) / 26.0))
        start = torch.tensor(start, dtype=torch.float32)[:, None]
        start = start.expand(-1, config.latent_channels)
        self.log_gain = nn.Parameter(start.clone())
        self.log_inverse_gain = nn.Parameter(-start.clone())

    def gains(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Gains at real qualities [b]: two [b, latent channels, 1, 1]."""
        position = (quality - 1.0).clamp(0.0, NUM_QUALITIES - 1.0)
        below = position.floor().clamp_max(NUM_QUALITIES - 2.0)
        share = (position - below)[:, None]
        below = below.long()

        def interpolate(table: Tensor) -> Tensor:
            low, high = table[below], table[below + 1]
            return torch.exp(low + share * (high - low))[:, :, None, None]

        return interpolate(self.log_gain), interpolate(self.log_inverse_gain)

    def deviations(self, z: Tensor) -> Tensor:
        """Standard deviations of symbols by rounded hyperlatents [b, hyper channels, h, w]."""
        index = self.scale_gain * self.scales(z).float() + self.scale_centre
        index = index.clamp(0.0, self.config.num_scales - 1.0)
        return torch.exp(self.log_scale_first + self.log_scale_step * index)

    def forward(
        self, image: Tensor, quality: Tensor, noisy: bool, dead_zone: float = 0.0
    ) -> dict[str, Tensor]:
        """Codes images.

        Args:
          image: [b, 3, H, W] in 0..255, sides multiples of 64, in either order; planes are quicker.
          quality: [b], 1..8.
          noisy: bits of latents with uniform noise, or of rounded ones.
          dead_zone: see `dead_zone_width`; what is decoded is rounded so in either case.

        Returns:
          `picture` [b, 3, H, W] in 0..255, not clipped; `code`, what the synthesis transform is
          given for it; `bits_y` and `bits_z`, [b].
        """
        gain, inverse_gain = self.gains(quality)
        y = self.analysis(image / 255.0 - 0.5).float() * gain
        z = self.hyper_analysis(y).float()
        z_hat = z + (torch.round(z) - z).detach()
        z_coded = z + torch.rand_like(z) - 0.5 if noisy else torch.round(z)
        bits_z = self.z_prior.bits(z_coded)
        features = self.context.features(z_hat)
        deviation = self.deviations(z_hat)
        first = checkerboard(y)
        mean, step = self.context.first_half(features)
        width = dead_zone_width(deviation, dead_zone)
        known = rounded(y, mean, step, width) * first
        mean2, step2 = self.context.second_half(features, known)
        mean = torch.where(first > 0, mean, mean2)
        step = torch.where(first > 0, step, step2)
        symbol = y / step - mean
        coded = symbol + torch.rand_like(symbol) - 0.5 if noisy else nearest(symbol, width)
        bits_y = gaussian_bits(coded, deviation).sum((1, 2, 3))
        code = rounded(y, mean, step, width) * inverse_gain
        picture = (self.synthesis(code).float().contiguous() + 0.5) * 255.0
        return {"picture": picture, "code": code, "bits_y": bits_y, "bits_z": bits_z}


@torch.no_grad()
def dead_zone_width(deviation: Tensor, strength: float) -> Tensor | None:
    """By how much an encoder moves symbols towards zero, as `tfhific.publishing.dead_zone` has it.

    Args:
      deviation: [b, c, h, w].
      strength: steps for each bit that a one costs more than a zero; 0 for none.
    """
    if not strength:
        return None
    one, zero = torch.ones_like(deviation), torch.zeros_like(deviation)
    bits = gaussian_bits(one, deviation) - gaussian_bits(zero, deviation)
    return (strength * bits).clamp(0.0, 0.5)


@torch.no_grad()
def nearest(symbol: Tensor, width: Tensor | None) -> Tensor:
    """What an encoder codes for real symbols, by `dead_zone_width` or None: without gradients."""
    if width is None:
        return torch.round(symbol)
    return torch.sign(symbol) * torch.round((symbol.abs() - width).clamp_min(0.0))


def rounded(y: Tensor, mean: Tensor, step: Tensor, width: Tensor | None) -> Tensor:
    """Latents as a decoder has them; gradients pass as if nothing had been rounded."""
    symbol = y / step - mean
    return (symbol + (nearest(symbol, width) - symbol).detach() + mean) * step


def checkerboard(y: Tensor) -> Tensor:
    """1 for the first half of [b, c, h, w], 0 for the second: [1, 1, h, w]."""
    rows = torch.arange(y.shape[2], device=y.device)[:, None]
    columns = torch.arange(y.shape[3], device=y.device)[None, :]
    return ((rows + columns) % 2 == 0).to(y.dtype)[None, None]


def gaussian_bits(x: Tensor, deviation: Tensor) -> Tensor:
    """Bits of each value under a zero-mean normal distribution's mass in its bin of width one."""
    x = x.abs()
    scale = math.sqrt(0.5) / deviation
    mass = 0.5 * (torch.erfc((x - 0.5) * scale) - torch.erfc((x + 0.5) * scale))
    # Beyond the tables' tails symbols are escapes: their cost is about constant in log-mass.
    return -torch.log2(mass.clamp_min(1e-6)) + 0.05 * functional.relu((x - 0.5) * scale - 3.5)


def smallest_side() -> int:
    """Sides of pictures have to be multiples of this."""
    return STRIDE * HYPER_STRIDE
