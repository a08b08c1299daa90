"""A picture to measure on where nobody names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def synthetic_picture(width: int, height: int) -> np.ndarray:
    """A smooth picture with texture and edges, the same at every call.

    Returns:
      uint8 [height, width, 3].
    """
    import numpy as np

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = sum(
        np.sin(2 * np.pi * (x * rng.normal(0, 0.02) + y * rng.normal(0, 0.02)) + phase)
        for phase in rng.uniform(0, 6, 24)
    )
    grain = rng.normal(0, 6, [height, width]) * (x > width // 2)
    base = 128 + 12 * waves + grain + 40 * ((x // 64 + y // 64) % 2)
    colour = base[..., None] + 20 * np.stack([np.sin(x / 90), np.cos(y / 70), np.sin(y / 50)], -1)
    return np.clip(colour, 0, 255).astype(np.uint8)
