"""Distances between pictures by networks trained for something else, in PyTorch.

R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric", CVPR 2018, arXiv 1801.03924 (LPIPS, version 0.1).

Pictures are [batch, 3, height, width], RGB in 0..255. Files are those that
`tfhific.losses.lpips_weights` describes; one of VGG16 without LPIPS's heads is taken too, for a
distance that weighs all of a tap's channels alike.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tfhific.errors import ModelError
from tfhific.losses.lpips_weights import BACKBONES, Conv, Fire, Pool, convolutions, read_weights

_CAFFE_MEAN = (123.68, 116.779, 103.939)
_SHIFT, _SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Distance(nn.Module):
    """The distance of pairs of pictures over the taps of a frozen network."""

    def __init__(
        self, plan: tuple, arrays: dict[str, np.ndarray], heads: list, mean: tuple, spread: tuple
    ) -> None:
        """Initializer.

        Args:
          plan: layers of `tfhific.losses.lpips_weights`, the last of them a tap.
          arrays: kernels [height, width, in, out] and biases, by name.
          heads: a weight for each channel of each tap.
          mean: subtracted from a pixel.
          spread: divides it then.
        """
        super().__init__()
        self._plan = plan
        self._place: dict[str, str] = {}
        for layer in plan:
            for conv in convolutions(layer):
                own = conv.name.replace("/", "_")
                self._place[conv.name] = own
                kernel = arrays[f"{conv.name}/kernel"].astype(np.float32).transpose(3, 2, 0, 1)
                weight = torch.tensor(kernel).contiguous(memory_format=torch.channels_last)
                self.register_buffer(f"{own}_kernel", weight)
                bias = torch.tensor(arrays[f"{conv.name}/bias"].astype(np.float32))
                self.register_buffer(f"{own}_bias", bias)
        for number, head in enumerate(heads):
            self.register_buffer(f"head_{number}", torch.tensor(head)[None, :, None, None])
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])
        self.register_buffer("spread", torch.tensor(spread)[None, :, None, None])

    def forward(self, pictures: Tensor, others: Tensor) -> Tensor:
        """float32 [batch]; gradients reach `others` alone."""
        with torch.no_grad():
            wanted = [_unit(tap.float()) for tap in self.taps(pictures)]
        total = torch.zeros(len(others), device=others.device)
        for number, (first, tap) in enumerate(zip(wanted, self.taps(others))):
            difference = (first - _unit(tap.float())).square() * self.get_buffer(f"head_{number}")
            total = total + difference.sum(1).mean((1, 2))
        return total

    def taps(self, x: Tensor, count: int | None = None) -> list[Tensor]:
        """Features [batch, channels, h, w] of pictures at the first `count` taps, or at all."""
        x, taps = (x - self.mean) / self.spread, []
        for layer in self._plan:
            if len(taps) == count:
                break
            if isinstance(layer, Conv):
                x = self._conv(layer, x)
            elif isinstance(layer, Fire):
                squeeze, one, three = layer.parts
                x = self._conv(squeeze, x)
                x = torch.cat([self._conv(one, x), self._conv(three, x)], 1)
            elif isinstance(layer, Pool):
                # VGG's windows of two tile the plane, the others' of three overlap.
                x = functional.max_pool2d(x, layer.size, 2, ceil_mode=layer.ceil)
            else:
                taps.append(x)
        return taps

    def _conv(self, layer: Conv, x: Tensor) -> Tensor:
        own = self._place[layer.name]
        kernel, bias = self.get_buffer(f"{own}_kernel"), self.get_buffer(f"{own}_bias")
        return functional.relu(functional.conv2d(x, kernel, bias, layer.stride, layer.pad))


def _unit(x: Tensor) -> Tensor:
    # The root's gradient at a pixel where nothing is active would not be a number.
    return x / (x.square().sum(1, keepdim=True) + 1e-10).sqrt()


def lpips(path: Path) -> Distance:
    """LPIPS by a file of weights and heads.

    Raises:
      SystemExit: where it is no such file.
    """
    try:
        weights = read_weights(path)
    except ModelError as error:
        raise SystemExit(f"error: {error}") from None
    mean = tuple(127.5 * (1 + shift) for shift in _SHIFT)
    spread = tuple(127.5 * each for each in _SPREAD)
    return Distance(weights.layers, weights.arrays, list(weights.heads), mean, spread)


def vgg16(path: Path, taps: int = 4) -> Distance:
    """The mean over the first taps of Caffe's VGG16, whose channels weigh alike.

    Raises:
      SystemExit: where the file lacks an array.
    """
    plan, left = [], taps
    for layer in BACKBONES["vgg16"][0]:
        plan.append(layer)
        left -= not isinstance(layer, (Conv, Fire, Pool))
        if not left:
            break
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SystemExit(f"error: {path}: expected an npz file of arrays ({error}).") from None
    names = [conv.name for layer in plan for conv in convolutions(layer)]
    missing = [name for name in names if f"{name}/kernel" not in arrays]
    if missing:
        raise SystemExit(f"error: {path}: expected VGG16's convolutions; {missing[0]} is missing.")
    ends = [names[0]] * taps
    count = 0
    for layer in plan:
        if isinstance(layer, Conv):
            last = layer.name
        elif not isinstance(layer, Pool):
            ends[count], count = last, count + 1
    heads = [np.full(arrays[f"{name}/bias"].shape, 1 / taps, np.float32) for name in ends]
    return Distance(tuple(plan), arrays, heads, _CAFFE_MEAN, (1.0, 1.0, 1.0))
