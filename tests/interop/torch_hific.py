"""HiFiC in PyTorch, written from the published tables, for comparison."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ChannelNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        variance, mean = torch.var_mean(x, 1, keepdim=True)
        return self.gamma * (x - mean) / torch.sqrt(variance + 1e-3) + self.beta


class Encoder(nn.Module):
    def __init__(self, widths, latents):
        super().__init__()
        inward = 3
        for i, out in enumerate(widths):
            pad, conv = nn.ReflectionPad2d((0, 1, 1, 0)), nn.Conv2d(inward, out, 3, 2)
            if i == 0:
                pad, conv = nn.ReflectionPad2d(3), nn.Conv2d(inward, out, 7)
            block = nn.Sequential(pad, conv, ChannelNorm(out), nn.ReLU())
            setattr(self, f"conv_block{i + 1}", block)
            inward = out
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(inward, latents, 3))

    def forward(self, x):
        for i in range(5):
            x = getattr(self, f"conv_block{i + 1}")(x)
        return self.conv_block_out(x)


class ResidualBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(self.pad(x))))
        return x + self.norm2(self.conv2(self.pad(y)))


class Generator(nn.Module):
    def __init__(self, widths, latents, blocks, tanh):
        super().__init__()
        widths = widths[::-1]
        self.blocks, self.tanh = blocks, tanh
        self.conv_block_init = nn.Sequential(
            ChannelNorm(latents),
            nn.ReflectionPad2d(1),
            nn.Conv2d(latents, widths[0], 3),
            ChannelNorm(widths[0]),
        )
        for i in range(blocks):
            setattr(self, f"resblock_{i}", ResidualBlock(widths[0]))
        for i, (inward, out) in enumerate(zip(widths[:-1], widths[1:])):
            up = nn.ConvTranspose2d(inward, out, 3, 2, padding=1, output_padding=1)
            setattr(self, f"upconv_block{i + 1}", nn.Sequential(up, ChannelNorm(out), nn.ReLU()))
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(widths[-1], 3, 7))

    def forward(self, y):
        head = x = self.conv_block_init(y)
        for i in range(self.blocks):
            x = getattr(self, f"resblock_{i}")(x)
        x = x + head
        for i in range(4):
            x = getattr(self, f"upconv_block{i + 1}")(x)
        x = self.conv_block_out(x)
        return torch.tanh(x) if self.tanh else x


class HyperAnalysis(nn.Module):
    def __init__(self, latents, n):
        super().__init__()
        self.conv1 = nn.Conv2d(latents, n, 3, padding=1)
        self.conv2 = nn.Conv2d(n, n, 5, 2, padding=2, padding_mode="reflect")
        self.conv3 = nn.Conv2d(n, n, 5, 2, padding=2, padding_mode="reflect")

    def forward(self, y):
        return self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(y)))))


class HyperSynthesis(nn.Module):
    def __init__(self, latents, n):
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(n, n, 5, 2, padding=2, output_padding=1)
        self.conv2 = nn.ConvTranspose2d(n, n, 5, 2, padding=2, output_padding=1)
        self.conv3 = nn.ConvTranspose2d(n, latents, 3, 1, padding=1)

    def forward(self, z):
        return self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(z)))))


class Density(nn.Module):
    def __init__(self, n, generator):
        super().__init__()
        widths = (1, 3, 3, 3, 1)

        def parameter(*shape, low, high):
            value = torch.empty(shape).uniform_(low, high, generator=generator)
            return nn.Parameter(value)

        for i, (inward, out) in enumerate(zip(widths[:-1], widths[1:])):
            setattr(self, f"H_{i}", parameter(n, out, inward, low=-0.5, high=0.5))
            setattr(self, f"a_{i}", parameter(n, out, 1, low=-0.8, high=0.8))
            setattr(self, f"b_{i}", parameter(n, out, 1, low=-0.5, high=0.5))

    def logits(self, x):
        for i in range(4):
            matrix = functional.softplus(getattr(self, f"H_{i}"))
            x = matrix @ x + getattr(self, f"b_{i}")
            x = x + torch.tanh(getattr(self, f"a_{i}")) * torch.tanh(x)
        return x

    def forward(self, z):
        batch, channels, height, width = z.shape
        flat = z.permute(1, 0, 2, 3).reshape(channels, 1, -1).double()
        density = self.double()
        low, high = density.logits(flat - 0.5), density.logits(flat + 0.5)
        sign = -torch.sign(low + high)
        mass = torch.abs(torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).clamp(min=1e-9)
        self.float()
        return mass.reshape(channels, batch, height, width).permute(1, 0, 2, 3).float()


class Hyperprior(nn.Module):
    def __init__(self, latents, n, generator):
        super().__init__()
        self.analysis_net = HyperAnalysis(latents, n)
        self.synthesis_mu = HyperSynthesis(latents, n)
        self.synthesis_std = HyperSynthesis(latents, n)
        self.hyperlatent_likelihood = Density(n, generator)


class Discriminator(nn.Module):
    def __init__(self, latents, widths, context):
        super().__init__()
        self.context_conv = nn.Conv2d(latents, context, 3, padding=1, padding_mode="reflect")
        inward = 3 + context
        for i, out in enumerate(widths, 1):
            conv = nn.Conv2d(inward, out, 4, 2, padding=1, padding_mode="reflect")
            setattr(self, f"conv{i}", nn.utils.spectral_norm(conv))
            inward = out
        self.conv_out = nn.Conv2d(inward, 1, 1)

    def forward(self, image, latents):
        context = functional.leaky_relu(self.context_conv(latents.detach()), 0.2)
        context = functional.interpolate(context, scale_factor=16, mode="nearest")
        x = torch.cat([image, context], 1)
        for i in range(1, 5):
            x = functional.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
        return self.conv_out(x)


class HiFiC(nn.Module):
    def __init__(
        self,
        widths=(8, 10, 12, 14, 16),
        latents=12,
        n=8,
        blocks=2,
        normalize=False,
        discriminator=(8, 10, 12, 14),
        context=4,
        seed=0,
    ):
        super().__init__()
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.Encoder = Encoder(widths, latents)
        self.Generator = Generator(widths, latents, blocks, normalize)
        self.Hyperprior = Hyperprior(latents, n, generator)
        if discriminator:
            self.Discriminator = Discriminator(latents, discriminator, context)
        for name, parameter in self.named_parameters():
            if name.endswith(("gamma", "beta", "bias")):
                parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)


def livelier(model, image):
    """Scales a random model until it has many scales and few escapes, as a trained one."""
    with torch.no_grad():
        model.Encoder.conv_block_out[1].weight *= 12
        y = model.Encoder(image)
        last = model.Hyperprior.analysis_net.conv3
        factor = 2.0 / model.Hyperprior.analysis_net(y).std()
        last.weight *= factor
        last.bias *= factor
        z = torch.round(model.Hyperprior.analysis_net(y))
        for network, size in (
            (model.Hyperprior.synthesis_mu, 1.0),
            (model.Hyperprior.synthesis_std, 0.4),
        ):
            factor = size / network(z).std()
            network.conv3.weight *= factor
            network.conv3.bias *= factor
        residual = (y - model.Hyperprior.synthesis_mu(z)).std((0, 2, 3))
        present = model.Hyperprior.synthesis_std(z).mean((0, 2, 3))
        model.Hyperprior.synthesis_std.conv3.bias += residual - present


def checkpoint(model, **settings):
    """The model as its implementation saves it."""
    gan = hasattr(model, "Discriminator")
    optimizer = torch.optim.Adam(model.Encoder.parameters())
    contents = {
        "model_state_dict": model.state_dict(),
        "compression_optimizer_state_dict": optimizer.state_dict(),
        "hyperprior_optimizer_state_dict": {},
        "epoch": 3,
        "steps": 1000,
        "args": {
            "latent_channels": model.Encoder.conv_block_out[1].out_channels,
            "n_residual_blocks": model.Generator.blocks,
            "normalize_input_image": model.Generator.tanh,
            "likelihood_type": "gaussian",
            "use_channel_norm": True,
            "regime": "low",
            "target_rate": 0.14,
            "model_type": "compression_gan" if gan else "compression",
            "image_dims": (3, 256, 256),
            "name": "a run",
            **settings,
        },
    }
    if gan:
        contents["discriminator_state_dict"] = model.Discriminator.state_dict()
        contents["discriminator_optimizer_state_dict"] = {}
    return contents
