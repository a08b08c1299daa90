"""How close a decoded picture is to its original: PSNR and MS-SSIM, on 8-bit RGB.

NumPy only, so that measuring a file needs no TensorFlow.
"""

from __future__ import annotations

import math

import numpy as np

from tfhific.errors import ArgumentError

PEAK = 255.0
# Rec. ITU-R BT.601, as in JPEG files.
_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])
# Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment",
# Asilomar 2003, section 3.2: from the finest scale to the coarsest.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all samples, in dB: 10 log10(255^2 / MSE).

    Args:
      a: uint8 [H, W, 3] (any shape will do).
      b: like `a`.

    Returns:
      The ratio; infinity for equal pictures.

    Raises:
      ArgumentError: different shapes, no samples, or samples that are not uint8.
    """
    _check(a, b)
    return _psnr_of(a.astype(np.float64), b.astype(np.float64))


def psnr_y(a: np.ndarray, b: np.ndarray) -> float:
    """PSNR of the luma .299 R + .587 G + .114 B (full range, not rounded), in dB.

    Args and errors as for `psnr`; the last axis must be RGB.
    """
    _check(a, b)
    if a.shape[-1] != 3:
        raise ArgumentError(f"expected RGB pictures [height, width, 3], received {list(a.shape)}")
    return _psnr_of(a @ _LUMA_WEIGHTS, b @ _LUMA_WEIGHTS)


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity (Wang et al. 2003), the mean over the colour channels.

    Five scales, a Gaussian window of 11 x 11 with sigma 1.5, where it fits inside the picture,
    and 2 x 2 means between the scales (an odd side repeats its last line first). Each channel's
    contrast terms below 0 count as 0.

    A side below 161 has no room for the window at the fifth scale. Then fewer scales are used,
    as many as have room, and their weights are scaled to sum to 1. A side below 11 leaves one
    scale, with the window cut to the side. Such values are not comparable with five-scale ones.

    Args:
      a: uint8 [H, W, 3], or [H, W].
      b: like `a`.

    Returns:
      At most 1, which equal pictures give.

    Raises:
      ArgumentError: different shapes, no samples, or samples that are not uint8.
    """
    _check(a, b)
    if a.ndim == 2:
        a, b = a[..., None], b[..., None]
    if a.ndim != 3:
        raise ArgumentError(
            f"expected pictures [height, width, channels], received {list(a.shape)}"
        )
    channels = range(a.shape[2])
    return float(np.mean([_ms_ssim_of_channel(a[..., c], b[..., c]) for c in channels]))


def _ms_ssim_of_channel(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    weights = np.array(_SCALE_WEIGHTS[: _scales(min(a.shape))])
    weights /= weights.sum()
    product = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halve(a), _halve(b)
        luminance_contrast, contrast = _ssim(a, b)
        last = scale == len(weights) - 1
        product *= max(luminance_contrast if last else contrast, 0.0) ** weight
    return product


def _scales(side: int) -> int:
    count = 1
    while count < len(_SCALE_WEIGHTS) and (side := (side + 1) // 2) >= _WINDOW:
        count += 1
    return count


def _ssim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Means over the picture of SSIM and of its contrast and structure factor alone."""
    c1, c2 = (_K1 * PEAK) ** 2, (_K2 * PEAK) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    product = mean_a * mean_b
    squares = mean_a**2 + mean_b**2
    contrast = (2 * (_blur(a * b) - product) + c2) / (_blur(a * a + b * b) - squares + c2)
    luminance = (2 * product + c1) / (squares + c1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _blur(image: np.ndarray) -> np.ndarray:
    """Weighted means under the window at every place where it lies inside [H, W]."""
    for axis in (0, 1):
        window = _gaussian(min(_WINDOW, image.shape[axis]))
        places = image.shape[axis] - len(window) + 1
        total: np.ndarray | float = 0.0
        for offset, weight in enumerate(window):
            part = slice(offset, offset + places)
            total = total + weight * (image[part] if axis == 0 else image[:, part])
        image = np.asarray(total)
    return image


def _gaussian(length: int) -> np.ndarray:
    distance = np.arange(length) - (length - 1) / 2
    weights = np.exp(-0.5 * (distance / _SIGMA) ** 2)
    return weights / weights.sum()


def _halve(image: np.ndarray) -> np.ndarray:
    image = np.pad(image, [(0, side % 2) for side in image.shape], mode="edge")
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def _psnr_of(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def _check(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ArgumentError(
            f"expected two pictures of one shape, received {list(a.shape)} and {list(b.shape)}"
        )
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ArgumentError(
            f"expected uint8 samples, received {a.dtype} and {b.dtype}; round first"
        )
    if a.size == 0:
        raise ArgumentError(f"expected at least one sample, received {list(a.shape)}")
