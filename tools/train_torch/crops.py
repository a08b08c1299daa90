"""Crops of photographs held in memory, addressed by number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

KINDS = {".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".avif"}


class Crops:
    """The n-th crop follows from the seed and n alone, so that a resumed run sees the same ones.

    Attributes:
      images: uint8 [H, W, 3] each.
    """

    def __init__(
        self,
        folder: Path,
        side: int,
        seed: int,
        downscale_least: float = 0.5,
        downscale_share: float = 0.7,
    ) -> None:
        """Reads all pictures below `folder` whose sides are at least `side`.

        Raises:
          SystemExit: where there is none.
        """
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in KINDS)
        with ThreadPoolExecutor(2) as pool:
            read = [image for image in pool.map(_read, paths) if image is not None]
        self.images = [image for image in read if min(image.shape[:2]) >= side]
        if not self.images:
            raise SystemExit(f"error: no picture of {side} pixels or more a side in {folder}.")
        self._side, self._seed = side, seed
        self._least, self._share = downscale_least, downscale_share
        pixels = np.array([image.shape[0] * image.shape[1] for image in self.images], np.float64)
        self._cumulated = np.cumsum(pixels / pixels.sum())

    def crop(self, number: int) -> np.ndarray:
        """uint8 [side, side, 3]."""
        draw = np.random.default_rng([self._seed, self._side, number])
        chosen = int(np.searchsorted(self._cumulated, draw.random(), side="right"))
        image = self.images[min(chosen, len(self.images) - 1)]
        scale = 1.0
        if draw.random() < self._share:
            least = max(self._least, self._side / min(image.shape[:2]))
            scale = draw.uniform(least, 1.0)
        window = min(round(self._side / scale), *image.shape[:2])
        top = draw.integers(image.shape[0] - window + 1)
        left = draw.integers(image.shape[1] - window + 1)
        crop = image[top : top + window, left : left + window]
        if window != self._side:
            small = Image.fromarray(crop).resize((self._side, self._side), Image.Resampling.LANCZOS)
            crop = np.asarray(small)
        return crop[:, ::-1] if draw.random() < 0.5 else crop

    def batch(self, step: int, size: int) -> np.ndarray:
        """uint8 [size, side, side, 3]: the crops of a step."""
        return np.stack([self.crop(step * size + i) for i in range(size)])


def _read(path: Path) -> np.ndarray | None:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError):
        print(f"skipped: {path.name} can't be read", flush=True)
        return None
