"""Pictures at other sizes: extended by mirroring, or resampled."""

from __future__ import annotations

import numpy as np


def mirrored(side: int, target: int) -> np.ndarray:
    """Positions that extend `side` pixels to `target` by mirroring at both ends, int64 [target]."""
    period = max(2 * side - 2, 1)
    place = np.arange(target) % period
    return np.minimum(place, period - place) if side > 1 else np.zeros(target, np.int64)


def resampled(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """A picture at another size, bicubic.

    Args:
      image: uint8 [H, W, 3].
      height: in pixels.
      width: in pixels.
      channels: 3, or 1 for its luma.

    Returns:
      uint8 [height, width, channels].
    """
    from PIL import Image

    picture = Image.fromarray(image)
    if channels == 1:
        picture = picture.convert("L")
    if (height, width) != image.shape[:2]:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)
