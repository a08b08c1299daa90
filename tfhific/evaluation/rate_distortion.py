"""Rate-distortion curves of codecs on a folder of pictures, and their Bjontegaard differences."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tfhific.codec.images import read_picture
from tfhific.errors import TfhificError
from tfhific.evaluation import classical
from tfhific.evaluation.metrics import ms_ssim, psnr


@dataclasses.dataclass(frozen=True)
class Point:
    """One picture through one codec at one setting.

    Attributes:
      image: its path's last part.
      codec: name.
      setting: the codec's quality.
      bytes: of the whole file.
      bpp: bits per pixel of the whole file.
      psnr: dB, over RGB.
      ms_ssim: 0..1.
      estimated_bpp: what the float model assigns to the latents; NaN for classical codecs.
      encode_seconds: time to encode.
      decode_seconds: time to decode.
    """

    image: str
    codec: str
    setting: float
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float
    estimated_bpp: float
    encode_seconds: float
    decode_seconds: float


def measure(
    name: str,
    path: str,
    setting: float,
    encode: Callable[[np.ndarray], bytes],
    decode: Callable[[bytes], np.ndarray],
    estimate: Callable[[np.ndarray], float] | None = None,
) -> Point:
    """Makes a real file of a picture, decodes it, and measures both."""
    import os

    pixels = read_picture(path).pixels
    started = time.perf_counter()
    data = encode(pixels)
    encoded = time.perf_counter()
    decoded = decode(data)
    finished = time.perf_counter()
    return Point(
        image=os.path.basename(path),
        codec=name,
        setting=setting,
        bytes=len(data),
        bpp=8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        psnr=psnr(pixels, decoded),
        ms_ssim=ms_ssim(pixels, decoded),
        estimated_bpp=estimate(pixels) if estimate else float("nan"),
        encode_seconds=encoded - started,
        decode_seconds=finished - encoded,
    )


def measure_model(codec, paths: Sequence[str], qualities: Sequence[float]) -> Iterable[Point]:
    """Points of a loaded model, quality by quality."""
    for quality in qualities:
        for path in paths:
            yield measure(
                codec.name,
                path,
                quality,
                lambda pixels, q=quality: codec.compress(pixels, q),
                codec.decompress,
                lambda pixels, q=quality: codec.estimate_bpp(pixels, q),
            )


def measure_jpeg(paths: Sequence[str], settings: Sequence[int]) -> Iterable[Point]:
    """Points of Pillow's JPEG, 4:2:0 with optimised Huffman tables."""
    for setting in settings:
        for path in paths:
            yield measure(
                "jpeg",
                path,
                setting,
                lambda pixels, s=setting: classical.encode_jpeg(pixels, s),
                classical.decode,
            )


def curve(points: Sequence[Point], codec: str) -> list[tuple[float, float, float, float]]:
    """Means over the images: (setting, bpp, PSNR, MS-SSIM) per setting, by rising rate."""
    settings = sorted({point.setting for point in points if point.codec == codec})
    rows = []
    for setting in settings:
        own = [p for p in points if p.codec == codec and p.setting == setting]
        means = [float(np.mean([getattr(p, key) for p in own])) for key in ("bpp", "psnr")]
        rows.append((setting, *means, float(np.mean([p.ms_ssim for p in own]))))
    return sorted(rows, key=lambda row: row[1])


def bjontegaard_rate(anchor: Sequence[tuple], test: Sequence[tuple]) -> tuple[float, float, float]:
    """Average rate difference of `test` against `anchor` at equal PSNR.

    G. Bjontegaard, VCEG-M33 (2001); piecewise interpolation (Akima), by the package bjontegaard.

    Args:
      anchor: rows of `curve`.
      test: rows of `curve`.

    Returns:
      The difference in percent (negative: `test` needs fewer bits), and the PSNR range over which
      it was taken, in dB.

    Raises:
      TfhificError: when the PSNR ranges do not overlap.
    """
    import bjontegaard

    low = max(anchor[0][2], test[0][2])
    high = min(anchor[-1][2], test[-1][2])
    if high <= low:
        raise TfhificError(
            f"The curves do not overlap in PSNR ({anchor[0][2]:.2f}..{anchor[-1][2]:.2f} and "
            f"{test[0][2]:.2f}..{test[-1][2]:.2f} dB): no Bjontegaard difference."
        )
    difference = bjontegaard.bd_rate(
        [row[1] for row in anchor],
        [row[2] for row in anchor],
        [row[1] for row in test],
        [row[2] for row in test],
        method="akima",
        require_matching_points=False,
        min_overlap=0,
    )
    return float(difference), low, high


def to_csv(points: Sequence[Point]) -> bytes:
    """A table with a header line and a row per point."""
    buffer = io.StringIO()
    names = [field.name for field in dataclasses.fields(Point)]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for point in points:
        row = dataclasses.asdict(point)
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = f"{value:.6g}"
        writer.writerow(row)
    return buffer.getvalue().encode()
