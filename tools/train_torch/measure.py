"""Estimated rate and distortion of `mini2` on whole pictures, against JPEG's curve."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from configuration import NUM_QUALITIES
from networks import Mini2, smallest_side
from PIL import Image

JPEG_QUALITIES = (10, 15, 20, 30, 40, 50, 60, 70, 80, 88)


def pictures(folder: Path, every: int = 1) -> list[np.ndarray]:
    """uint8 [H, W, 3] each: every n-th picture of a folder, in the order of names."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".webp"))[::every]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB over RGB of two uint8 pictures."""
    error = np.mean(np.square(a.astype(np.float64) - b.astype(np.float64)))
    return float(10 * np.log10(255.0**2 / max(error, 1e-9)))


def jpeg_curve(images: list[np.ndarray]) -> list[tuple[float, float]]:
    """Mean (bits per pixel, PSNR) at each of `JPEG_QUALITIES`; 4:2:0, optimised tables."""
    rows = []
    for quality in JPEG_QUALITIES:
        points = []
        for image in images:
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "JPEG", quality=quality, optimize=True)
            decoded = np.asarray(Image.open(stream).convert("RGB"))
            bits = 8 * len(stream.getvalue()) / image[..., 0].size
            points.append((bits, psnr(image, decoded)))
        rows.append(tuple(np.mean(points, axis=0).tolist()))
    return rows


@torch.no_grad()
def curve(
    model: Mini2,
    images: list[np.ndarray],
    qualities: Sequence[float] = tuple(range(1, NUM_QUALITIES + 1)),
    device: str = "cpu",
    dead_zone: float = 0.0,
) -> list[tuple[float, float]]:
    """Mean (estimated bits per pixel, PSNR) at each quality, of rounded latents."""
    unit = smallest_side()
    points = {quality: [] for quality in qualities}
    for image in images:
        height, width = image.shape[:2]
        pad = [(0, -height % unit), (0, -width % unit), (0, 0)]
        padded = np.pad(image, pad, mode="edge").transpose(2, 0, 1)[None]
        x = torch.tensor(padded, dtype=torch.float32, device=device)
        x = x.contiguous(memory_format=torch.channels_last)
        for quality in qualities:
            chosen = torch.tensor([float(quality)], device=device)
            out = model(x, chosen, noisy=False, dead_zone=dead_zone)
            bits = float(out["bits_y"] + out["bits_z"]) / (height * width)
            decoded = out["picture"][0, :, :height, :width].round().clamp(0, 255).byte()
            points[quality].append((bits, psnr(image, decoded.permute(1, 2, 0).cpu().numpy())))
    return [tuple(np.mean(points[quality], axis=0).tolist()) for quality in qualities]


def bits_against(reference: list[tuple[float, float]], tested: list[tuple[float, float]]) -> float:
    """Bjontegaard difference of rate in percent, over the quality that both reach."""
    import bjontegaard

    return float(
        bjontegaard.bd_rate(
            *np.array(reference).T,
            *np.array(tested).T,
            method="akima",
            require_matching_points=False,
        )
    )
