"""How the PyTorch implementation of HiFiC names and shapes what the networks here hold.

The names are those of its checkpoints' `model_state_dict`. Convolution kernels are [out, in, k, k]
there and transposed ones [in, out, k, k]; both become [k, k, ., .] here by one transposition,
without a flip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from tfhific.models.hific import HiFiC, HiFiCConfig


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor.

    Attributes:
      name: in the checkpoint.
      shape: in the checkpoint.
      variable: gives the variable of a model that it belongs to.
      kind: `kernel`, `vector` (shaped [1, n, 1, 1] there), `right` (a spectral norm's vector over
        inputs) or `plain`.
    """

    name: str
    shape: tuple[int, ...]
    variable: Callable
    kind: str = "plain"

    def imported(self, value: np.ndarray) -> np.ndarray:
        """The checkpoint's value as the variable has it, float32."""
        value = np.asarray(value, np.float32)
        if self.kind == "kernel":
            return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
        if self.kind == "vector":
            return value.reshape(-1)
        if self.kind == "right":
            channels = value.size // 16
            return np.ascontiguousarray(value.reshape(channels, 4, 4).transpose(1, 2, 0)).reshape(
                -1
            )
        return value

    def exported(self, value: np.ndarray) -> np.ndarray:
        """The variable's value as the checkpoint has it, float32."""
        if self.kind == "kernel":
            value = value.transpose(3, 2, 0, 1)
        elif self.kind == "right":
            value = value.reshape(4, 4, -1).transpose(2, 0, 1)
        return np.ascontiguousarray(value).reshape(self.shape)


def entries(config: HiFiCConfig) -> Iterator[Entry]:
    """Every tensor of a model's `model_state_dict`, in its order.

    Args:
      config: of the `pytorch` variant.
    """
    yield from _encoder(config)
    yield from _generator(config)
    yield from _hyperprior(config)
    if config.adversary != "none":
        yield from _discriminator(config)


def _conv(prefix: str, layer: Callable, out: int, inward: int, k: int) -> Iterator[Entry]:
    yield Entry(f"{prefix}.weight", (out, inward, k, k), lambda m: layer(m).kernel, "kernel")
    yield Entry(f"{prefix}.bias", (out,), lambda m: layer(m).bias)


def _transposed(prefix: str, layer: Callable, out: int, inward: int, k: int) -> Iterator[Entry]:
    yield Entry(f"{prefix}.weight", (inward, out, k, k), lambda m: layer(m).kernel, "kernel")
    yield Entry(f"{prefix}.bias", (out,), lambda m: layer(m).bias)


def _norm(prefix: str, layer: Callable, channels: int) -> Iterator[Entry]:
    shape = (1, channels, 1, 1)
    yield Entry(f"{prefix}.gamma", shape, lambda m: layer(m).gamma, "vector")
    yield Entry(f"{prefix}.beta", shape, lambda m: layer(m).beta, "vector")


def _layer(network: str, *places: int) -> Callable:
    """The layer at a place of a network; further places lead into residual branches."""

    def find(model: HiFiC):
        layer = getattr(model, network).layers[places[0]]
        for place in places[1:]:
            layer = layer.branch.layers[place]
        return layer

    return find


def _encoder(config: HiFiCConfig) -> Iterator[Entry]:
    inward = 3
    for i, out in enumerate(config.channels):
        prefix = f"Encoder.conv_block{i + 1}"
        yield from _conv(f"{prefix}.1", _layer("encoder", 3 * i), out, inward, 3 if i else 7)
        yield from _norm(f"{prefix}.2", _layer("encoder", 3 * i + 1), out)
        inward = out
    last = _layer("encoder", 3 * len(config.channels))
    yield from _conv("Encoder.conv_block_out.1", last, config.latent_channels, inward, 3)


def _generator(config: HiFiCConfig) -> Iterator[Entry]:
    widths, latents = config.channels[::-1], config.latent_channels
    head = "Generator.conv_block_init"
    yield from _norm(f"{head}.0", _layer("generator", 0), latents)
    yield from _conv(f"{head}.2", _layer("generator", 1), widths[0], latents, 3)
    yield from _norm(f"{head}.3", _layer("generator", 2), widths[0])
    for i in range(config.residual_blocks):
        prefix = f"Generator.resblock_{i}"
        for number, place in ((1, 0), (2, 3)):
            layer = _layer("generator", 3, i, place)
            yield from _conv(f"{prefix}.conv{number}", layer, widths[0], widths[0], 3)
        for number, place in ((1, 1), (2, 4)):
            yield from _norm(f"{prefix}.norm{number}", _layer("generator", 3, i, place), widths[0])
    for i, (inward, out) in enumerate(zip(widths[:-1], widths[1:])):
        prefix = f"Generator.upconv_block{i + 1}"
        layer = _layer("generator", 4 + 3 * i)
        yield from _transposed(f"{prefix}.0", layer, out, inward, 3)
        yield from _norm(f"{prefix}.1", _layer("generator", 5 + 3 * i), out)
    last = _layer("generator", 4 + 3 * (len(widths) - 1))
    yield from _conv("Generator.conv_block_out.1", last, 3, widths[-1], 7)


def _hyperprior(config: HiFiCConfig) -> Iterator[Entry]:
    n, latents = config.hyper_channels, config.latent_channels
    for i, (inward, k) in enumerate(((latents, 3), (n, 5), (n, 5))):
        prefix = f"Hyperprior.analysis_net.conv{i + 1}"
        yield from _conv(prefix, _layer("hyper_analysis", 2 * i), n, inward, k)
    for name, network in (("mu", "hyper_synthesis_mean"), ("std", "hyper_synthesis_scale")):
        for i, (out, k) in enumerate(((n, 5), (n, 5), (latents, 3))):
            prefix = f"Hyperprior.synthesis_{name}.conv{i + 1}"
            yield from _transposed(prefix, _layer(network, 2 * i), out, n, k)
    widths = (1, 3, 3, 3, 1)
    for i, (inward, out) in enumerate(zip(widths[:-1], widths[1:])):
        for letter, kind, columns in (("H", "matrices", inward), ("a", "factors", 1)):
            yield _prior(letter, kind, i, (n, out, columns))
        yield _prior("b", "biases", i, (n, out, 1))


def _prior(letter: str, kind: str, number: int, shape: tuple[int, ...]) -> Entry:
    name = f"Hyperprior.hyperlatent_likelihood.{letter}_{number}"
    return Entry(name, shape, lambda model: getattr(model.z_prior, kind)[number])


def _discriminator(config: HiFiCConfig) -> Iterator[Entry]:
    def part(name: str) -> Callable:
        return lambda model: model.discriminator.parts()[name]

    context = config.context_channels
    yield from _conv(
        "Discriminator.context_conv", part("context"), context, config.latent_channels, 3
    )
    inward = 3 + context
    for i, out in enumerate(config.discriminator_channels, 1):
        layer, prefix = part(f"conv{i}"), f"Discriminator.conv{i}"
        yield Entry(f"{prefix}.bias", (out,), lambda m, get=layer: get(m).bias)
        shape = (out, inward, 4, 4)
        yield Entry(f"{prefix}.weight_orig", shape, lambda m, get=layer: get(m).kernel, "kernel")
        yield Entry(f"{prefix}.weight_u", (out,), lambda m, get=layer: get(m).u)
        size = inward * 16
        yield Entry(f"{prefix}.weight_v", (size,), lambda m, get=layer: get(m).v, "right")
        inward = out
    yield from _conv("Discriminator.conv_out", part("head"), 1, inward, 1)
