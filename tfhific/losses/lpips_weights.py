"""Files with the weights of a perceptual loss: an npz of backbone kernels and LPIPS heads.

Arrays are float32. A convolution is `NAME/kernel` [height, width, in, out] and `NAME/bias` [out];
a head is `linN` [channels of tap N]. Names of convolutions, by backbone:

- AlexNet: conv1 .. conv5.
- SqueezeNet 1.1: conv1, and fire2 .. fire9 with /squeeze, /expand1x1, /expand3x3.
- VGG16: conv1_1, conv1_2, conv2_1 .. conv5_3.

Widths are whatever the file has, as long as they fit each other.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile

import numpy as np

from tfhific.errors import ModelError

MAX_BYTES = 1 << 30
"""Larger files are refused: VGG16's convolutions take 59 MB."""


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with a symmetric zero pad, then ReLU."""

    name: str
    size: int
    stride: int = 1
    pad: int = 0


@dataclasses.dataclass(frozen=True)
class Pool:
    """Max pooling without a pad; `ceil` also takes the window that the edge cuts."""

    size: int
    ceil: bool = False


@dataclasses.dataclass(frozen=True)
class Fire:
    """SqueezeNet's block: 1x1 convolution, then 1x1 and 3x3 side by side, each with ReLU."""

    name: str

    @property
    def parts(self) -> tuple[Conv, Conv, Conv]:
        return (
            Conv(f"{self.name}/squeeze", 1),
            Conv(f"{self.name}/expand1x1", 1),
            Conv(f"{self.name}/expand3x3", 3, pad=1),
        )


@dataclasses.dataclass(frozen=True)
class Tap:
    """Here the features are compared."""


_POOL = Pool(3)
_CEIL = Pool(3, ceil=True)


def _vgg(block: int, depth: int) -> tuple:
    convs = [Conv(f"conv{block}_{i}", 3, pad=1) for i in range(1, depth + 1)]
    return (*([Pool(2)] if block > 1 else []), *convs, Tap())


# What a backbone does, and the shortest side of an image that reaches its last tap.
BACKBONES = {
    "alex": (
        (
            *(Conv("conv1", 11, 4, 2), Tap(), _POOL, Conv("conv2", 5, pad=2), Tap(), _POOL),
            *(Conv("conv3", 3, pad=1), Tap(), Conv("conv4", 3, pad=1), Tap()),
            *(Conv("conv5", 3, pad=1), Tap()),
        ),
        31,
    ),
    "squeeze": (
        (
            *(Conv("conv1", 3, 2), Tap(), _CEIL, Fire("fire2"), Fire("fire3"), Tap()),
            *(_CEIL, Fire("fire4"), Fire("fire5"), Tap(), _CEIL, Fire("fire6"), Tap()),
            *(Fire("fire7"), Tap(), Fire("fire8"), Tap(), Fire("fire9"), Tap()),
        ),
        17,
    ),
    "vgg16": ((*_vgg(1, 2), *_vgg(2, 2), *_vgg(3, 3), *_vgg(4, 3), *_vgg(5, 3)), 16),
}
_MARKS = {"squeeze": "fire2/squeeze/kernel", "vgg16": "conv1_1/kernel", "alex": "conv2/kernel"}


@dataclasses.dataclass(frozen=True)
class LpipsWeights:
    """A backbone, cut after its last usable tap, with its arrays.

    Attributes:
      backbone: "alex", "squeeze" or "vgg16".
      layers: what to do, in order: `Conv`, `Fire`, `Pool` and `Tap`.
      arrays: by name, float32.
      heads: float32 [channels] for each tap.
      min_side: shortest side of an image, in pixels.
      whole: False when taps are missing.
    """

    backbone: str
    layers: tuple
    arrays: dict[str, np.ndarray]
    heads: tuple[np.ndarray, ...]
    min_side: int
    whole: bool


def read_weights(path: str | os.PathLike, allow_partial: bool = False) -> LpipsWeights:
    """Reads a file of weights and checks that its arrays fit each other.

    Args:
      path: the npz file.
      allow_partial: whether a file that lacks the backbone's last convolutions will do; the taps
        before the first missing one are used. Distances are then another measure than LPIPS.

    Raises:
      ModelError: when the file is missing, is something else, or its arrays don't fit.
    """
    arrays = _read_arrays(os.fspath(path))
    found = [name for name, mark in _MARKS.items() if mark in arrays]
    if not found:
        raise ModelError(
            f"{path}: expected the weights of AlexNet, SqueezeNet 1.1 or VGG16 as "
            f"bin/import_lpips.py writes them. Received arrays: {_some(arrays)}."
        )
    backbone = found[0]
    layers, min_side = BACKBONES[backbone]
    kept, missing = _cut(layers, arrays)
    heads = sum(isinstance(layer, Tap) for layer in kept)
    if missing and not (allow_partial and heads):
        raise ModelError(
            f"{path}: {backbone} is not whole, {missing!r} is missing: distances would not be "
            f"LPIPS. The first {heads} taps are there: allow_partial=True uses them as a loss."
        )
    weights = LpipsWeights(
        backbone,
        kept,
        arrays,
        tuple(_head(path, arrays, number) for number in range(heads)),
        min_side,
        not missing,
    )
    _check_shapes(path, weights)
    return weights


def convolutions(layer) -> tuple[Conv, ...]:
    """The convolutions of a layer, in the order of their data flow."""
    if isinstance(layer, Conv):
        return (layer,)
    return layer.parts if isinstance(layer, Fire) else ()


def _cut(layers: tuple, arrays: dict) -> tuple[tuple, str | None]:
    """The layers up to the last tap before an array is missing, and the missing array."""
    last = 0
    for place, layer in enumerate(layers):
        for conv in convolutions(layer):
            for name in (f"{conv.name}/kernel", f"{conv.name}/bias"):
                if name not in arrays:
                    return layers[:last], name
        if isinstance(layer, Tap):
            last = place + 1
    return layers, None


def _read_arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > MAX_BYTES:
                raise ModelError(
                    f"{path}: expected at most {MAX_BYTES:,} bytes of weights. Received: {size:,}."
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"{path}: expected an npz file of arrays without pickled objects ({error})."
        ) from None
    except Exception as error:
        # Of damaged deflate data zlib has an error of its own.
        if type(error).__module__ != "zlib":
            raise
        raise ModelError(f"{path}: is damaged ({error}).") from None


def _head(path, arrays: dict, number: int) -> np.ndarray:
    if f"lin{number}" not in arrays:
        raise ModelError(f"{path}: the LPIPS head 'lin{number}' is missing.")
    return arrays[f"lin{number}"]


def _check_shapes(path, weights: LpipsWeights) -> None:
    channels, tap = 3, 0

    def check(name: str, shape: tuple) -> int:
        array = weights.arrays[name]
        fits = len(array.shape) == len(shape) and all(
            expected in (None, size) for expected, size in zip(shape, array.shape)
        )
        if not fits or 0 in array.shape or array.dtype != np.float32:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ModelError(
                f"{path}: expected {name!r} to be float32 [{wanted}]. "
                f"Received: {array.dtype} {list(array.shape)}."
            )
        if not np.all(np.isfinite(array)):
            raise ModelError(f"{path}: {name!r} has numbers that are not finite.")
        return array.shape[-1]

    def conv(part: Conv, width: int) -> int:
        width = check(f"{part.name}/kernel", (part.size, part.size, width, None))
        check(f"{part.name}/bias", (width,))
        return width

    for layer in weights.layers:
        if isinstance(layer, Conv):
            channels = conv(layer, channels)
        elif isinstance(layer, Fire):
            squeeze, one, three = layer.parts
            width = conv(squeeze, channels)
            channels = conv(one, width) + conv(three, width)
        elif isinstance(layer, Tap):
            check(f"lin{tap}", (channels,))
            tap += 1


def _some(arrays: dict) -> str:
    names = sorted(arrays)
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") or "none"
