"""The pictures inside the report: which are shown, and as what they are embedded.

JPEG, WebP and AVIF files that are shown whole are the codecs' own files, decoded by the browser.
Other pictures, and parts of pictures, are written again as JPEG of quality 95 without chroma
subsampling, or as lossless WebP.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from tfhific.evaluation.bench import Image, file_path
from tfhific.evaluation.codecs import PictureCodec, format_setting, open_codec
from tfhific.evaluation.record import Record
from tfhific.evaluation.report_options import ReportOptions
from tfhific.evaluation.results import Row
from tfhific.pictures.images import read_picture

_MOST_LEVELS = 3
_THUMBNAIL = 96
_TYPES = {".jpg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif"}


@dataclasses.dataclass(frozen=True)
class Embedded:
    """What the page's viewer shows.

    Attributes:
      sources: data URIs by key.
      pictures: for the page's script; each has `levels`, a list of files per codec.
      levels: labels of the sizes to choose from.
      note: what is embedded and how.
    """

    sources: dict[str, str]
    pictures: list[dict[str, Any]]
    levels: list[str]
    note: str


def embed_pictures(evaluation: Record, out: str | None, options: ReportOptions) -> Embedded:
    """Chooses and encodes pictures, within the options' megabytes.

    Args:
      evaluation: what was measured.
      out: folder with the codecs' files; what is not there is made again.
      options: how many, how large.
    """
    complete = set(evaluation.pictures)
    images = [i for i in evaluation.images if (i.name, i.digest) in complete][: options.images]
    if not images:
        return Embedded({}, [], [], "")
    budget = options.megabytes * 1e6
    maker = _Maker(evaluation, out, options)
    chosen: Embedded | None = None
    for count in range(_MOST_LEVELS, 0, -1):
        sizes = choose_sizes(evaluation, count)
        if len(sizes) < count and count > 1:
            continue
        first = maker.embed(images[:2], sizes, math.inf)
        expected = _bytes(first) * len(images) / min(2, len(images))
        if expected <= budget or count == 1:
            chosen = maker.embed(images, sizes, budget)
            break
    return chosen or maker.embed(images, choose_sizes(evaluation, 1), budget)


@dataclasses.dataclass(frozen=True)
class Size:
    """Files of about one size, to be looked at beside each other.

    Attributes:
      label: for people.
      target: of a matched evaluation; then each codec's file for it is shown.
      codec: else, whose file sets the size, picture by picture,
      point: at which setting.
    """

    label: str
    target: str = ""
    codec: str = ""
    point: str = ""


def choose_sizes(evaluation: Record, most: int) -> list[Size]:
    """The targets, or settings of the first curve spread over the rates that most curves share."""
    if evaluation.config.match:
        targets = sorted(
            {row.target for row in evaluation.rows}, key=lambda text: float(text.split(":")[1])
        )
        unit = " dB" if evaluation.config.match.startswith("psnr") else " bpp"
        spread = _spread(targets, most)
        return [Size(target.split(":")[1] + unit, target=target) for target in spread]
    curves = evaluation.curves()
    long = [curve for curve in curves if len(curve.points) > 1] or curves
    lead = long[0]
    low = max(curve.points[0].bpp for curve in long)
    high = min(curve.points[-1].bpp for curve in long)
    shared = [point for point in lead.points if 0.8 * low <= point.bpp <= 1.25 * high]
    spread = _spread(shared or list(lead.points), most)
    return [Size(f"{point.bpp:.2f} bpp", "", lead.codec, point.point) for point in spread]


def _spread(items: Sequence, most: int) -> list:
    if len(items) <= most:
        return list(items)
    places = np.linspace(0, len(items) - 1, most) if most > 1 else [(len(items) - 1) / 2]
    return [items[round(float(place))] for place in places]


class _Maker:
    def __init__(self, evaluation: Record, out: str | None, options: ReportOptions) -> None:
        self._evaluation, self._out, self._options = evaluation, out, options
        self._codecs: dict[str, PictureCodec] = {}
        self._made: dict[tuple, str] = {}

    def embed(self, images: Sequence[Image], sizes: Sequence[Size], budget: float) -> Embedded:
        """Pictures until the budget is used up."""
        sources: dict[str, str] = {}
        pictures: list[dict[str, Any]] = []
        used = 0
        for image in images:
            own_sources, picture = self._picture(image, sizes, len(sources))
            used += sum(map(len, own_sources.values())) + len(picture["thumb"])
            if used > budget and pictures:
                break
            sources.update(own_sources)
            pictures.append(picture)
        return Embedded(sources, pictures, [s.label for s in sizes], self._note(pictures, sizes))

    def _picture(self, image: Image, sizes: Sequence[Size], first: int):
        pixels = read_picture(image.path).pixels
        area = _middle(pixels.shape, self._options.side)
        numbers = itertools.count(first)
        sources: dict[str, str] = {}
        keys: dict[tuple, str] = {}

        def keep(identity: tuple, make) -> str:
            if identity not in keys:
                keys[identity] = f"p{next(numbers)}"
                if (image.name, identity) not in self._made:
                    self._made[image.name, identity] = make()
                sources[keys[identity]] = self._made[image.name, identity]
            return keys[identity]

        original = keep(("original",), lambda: self._again(pixels[area]))
        levels = []
        for size in sizes:
            shots = []
            for row in self._rows(image, size):
                key = keep(row.key, lambda row=row: self._shot(row, pixels, area))
                shots.append(_facts(row, key))
            levels.append(shots)
        height, width = pixels[area].shape[:2]
        picture = {
            "name": image.name,
            "size": [image.width, image.height],
            "shown": [width, height],
            "original": original,
            "thumb": _thumbnail(pixels),
            "levels": levels,
        }
        return sources, picture

    def _rows(self, image: Image, size: Size) -> list[Row]:
        """A row a codec: of the target, or the nearest in size to the leading codec's."""
        own = [
            row
            for row in self._evaluation.rows
            if (row.image, row.image_digest) == (image.name, image.digest)
        ]
        if size.target:
            return [row for row in own if row.target == size.target]
        lead = next(r for r in own if (r.codec, r.setting) == (size.codec, size.point))
        found = []
        for label in self._evaluation.labels:
            rows = [row for row in own if row.codec == label]
            if rows:
                found.append(min(rows, key=lambda r: abs(math.log(r.bytes / lead.bytes))))
        return found

    def _shot(self, row: Row, pixels: np.ndarray, area: tuple[slice, slice]) -> str:
        codec = self._codec(row.codec)
        data = self._file(row, codec, pixels)
        whole = pixels[area].shape == pixels.shape
        if whole and codec.extension in _TYPES:
            return _uri(data, _TYPES[codec.extension])
        return self._again(codec.decode(data)[area])

    def _file(self, row: Row, codec: PictureCodec, pixels: np.ndarray) -> bytes:
        if self._out is not None:
            try:
                with open(file_path(self._out, row, codec.extension), "rb") as stream:
                    data = stream.read()
                if len(data) == row.bytes:
                    return data
            except OSError:
                pass
        known = {format_setting(setting): setting for setting in codec.settings}
        if row.setting in known:
            return codec.encode(pixels, known[row.setting])
        return codec.encode(pixels, float(row.setting))  # between the steps of a search

    def _codec(self, label: str) -> PictureCodec:
        if label not in self._codecs:
            spec = next(s for s in self._evaluation.specs if s.label == label)
            self._codecs[label] = open_codec(spec)
        return self._codecs[label]

    def _again(self, pixels: np.ndarray) -> str:
        held = io.BytesIO()
        image = PillowImage.fromarray(np.ascontiguousarray(pixels))
        if self._options.lossless:
            image.save(held, "WEBP", lossless=True, quality=50, method=2)
            return _uri(held.getvalue(), "image/webp")
        image.save(held, "JPEG", quality=95, subsampling="4:4:4", optimize=True)
        return _uri(held.getvalue(), "image/jpeg")

    def _note(self, pictures: list[dict[str, Any]], sizes: Sequence[Size]) -> str:
        total = len(self._evaluation.pictures)
        form = "lossless WebP" if self._options.lossless else "JPEG of quality 95, 4:4:4"
        which = "All" if len(pictures) == total else f"The first {len(pictures)} of {total}"
        cut = sum(picture["shown"] != picture["size"] for picture in pictures)
        note = (
            f"{which} {total if which == 'All' else ''} pictures are embedded, at {len(sizes)} "
            f"size{'s' * (len(sizes) != 1)}. JPEG, WebP and AVIF files shown whole are the codecs' "
            f"own files, decoded by this browser; originals and the rest are embedded as {form}, "
            "so differences below one or two steps of 255 are of the embedding. Bytes, bits and "
            "metrics are of the real files."
        )
        if not sizes[0].target:
            note += f" At a size, each codec's file nearest to that of {sizes[0].codec} is shown."
        if cut:
            note += (
                f" Of {cut} larger picture{'s' * (cut != 1)} the middle is shown, at most "
                f"{self._options.side} pixels wide and high."
            )
        return " ".join(note.split())


def _middle(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    def cut(length: int) -> slice:
        start = max(0, (length - side) // 2)
        return slice(start, start + min(side, length))

    return cut(shape[0]), cut(shape[1])


def _facts(row: Row, key: str) -> dict[str, Any]:
    names = ("codec", "setting", "reached", "bytes", "bpp", "psnr", "psnr_y", "ms_ssim", "lpips")
    return {"key": key, **{name: getattr(row, name) for name in names}}


def _thumbnail(pixels: np.ndarray) -> str:
    image = PillowImage.fromarray(pixels)
    image.thumbnail((4 * _THUMBNAIL, _THUMBNAIL))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=75)
    return _uri(held.getvalue(), "image/jpeg")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _bytes(embedded: Embedded) -> int:
    return sum(map(len, embedded.sources.values()))
