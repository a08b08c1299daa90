"""Settings that bring a codec's file to a size, or its picture to a PSNR."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfhific.errors import TfhificError
from tfhific.evaluation import classical
from tfhific.evaluation.codecs import PictureCodec, Setting
from tfhific.evaluation.metrics import psnr

# So few settings are all tried; they need not be in order.
_FEW = 8


@dataclasses.dataclass(frozen=True)
class Target:
    """What each codec's files are brought to.

    Attributes:
      kind: `bpp`, the largest file within so many bits per pixel, or `psnr`, the smallest file
        of at least so many dB over RGB.
      value: bits per pixel, or dB.
    """

    kind: str
    value: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.value:g}"


@dataclasses.dataclass(frozen=True)
class Match:
    """A file found for a target.

    Attributes:
      data: the file.
      setting: what made it.
      reached: false where the codec's nearest file still misses the target.
    """

    data: bytes
    setting: Setting
    reached: bool


def parse_targets(text: str) -> tuple[Target, ...]:
    """Reads `bpp:.1,.2,.4` or `psnr:30`.

    Raises:
      TfhificError: anything else.
    """
    kind, _, values = text.strip().partition(":")
    try:
        numbers = sorted({float(value) for value in values.split(",")})
    except ValueError:
        numbers = []
    if kind not in ("bpp", "psnr") or not all(0 < n < math.inf for n in numbers) or not numbers:
        raise TfhificError(
            f"Expected a match as bpp:.1,.2 (bits per pixel) or psnr:30 (dB). Received: {text!r}."
        )
    return tuple(Target(kind, number) for number in numbers)


def match(codec: PictureCodec, pixels: np.ndarray, target: Target) -> Match:
    """Searches a codec's settings, encoding (and for PSNR decoding) real files.

    Args:
      codec: whose `settings` run from the smallest file to the largest.
      pixels: uint8 [H, W, 3].
      target: what to reach.

    Returns:
      The best file that keeps to the target; where there is none, the nearest one.
    """
    if target.kind == "bpp":
        return _match_size(codec, pixels, target.value)
    return _match_psnr(codec, pixels, target.value)


def _match_size(codec: PictureCodec, pixels: np.ndarray, bpp: float) -> Match:
    limit = math.floor(bpp * pixels.shape[0] * pixels.shape[1] / 8)
    if len(codec.settings) <= _FEW:
        files = [(codec.encode(pixels, setting), setting) for setting in codec.settings]
        fitting = [file for file in files if len(file[0]) <= limit]
        if fitting:
            return Match(*max(fitting, key=lambda file: len(file[0])), reached=True)
        return Match(*min(files, key=lambda file: len(file[0])), reached=False)
    settings: Sequence[Any] = codec.settings
    found = classical.at_size(codec.encode, pixels, limit, settings)
    return Match(found.data, found.setting, found.fits(limit))


def _match_psnr(codec: PictureCodec, pixels: np.ndarray, decibels: float) -> Match:
    def attempt(setting: Setting) -> tuple[Match, float]:
        data = codec.encode(pixels, setting)
        reached = psnr(pixels, codec.decode(data))
        return Match(data, setting, reached >= decibels), reached

    if len(codec.settings) <= _FEW:
        found = [attempt(setting) for setting in codec.settings]
        enough = [each for each, _ in found if each.reached]
        if enough:
            return min(enough, key=lambda each: len(each.data))
        return max(found, key=lambda pair: pair[1])[0]
    return _lowest_reaching(codec.settings, lambda setting: attempt(setting)[0])


def _lowest_reaching(settings: Sequence[Setting], attempt) -> Match:
    """Bisects: settings[high] reaches the target, settings[low] does not (or lies before all)."""
    best = attempt(settings[-1])
    if not best.reached:
        return best
    low, high = -1, len(settings) - 1
    while high - low > 1:
        middle = (low + high) // 2
        found = attempt(settings[middle])
        if found.reached:
            best, high = found, middle
        else:
            low = middle
    return best
