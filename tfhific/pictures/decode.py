"""One file of a known format decoded: its samples, and what it says beside them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfhific.pictures import tiff_folder as tiff
from tfhific.pictures.exif import ORIENTATION, exif_of_tiff, upright_exif
from tfhific.pictures.header import Header
from tfhific.pictures.jpeg import (
    has_end,
    may_lack_samples,
    scans_are_missing,
    with_end,
    with_other_ends,
)
from tfhific.pictures.pieces import Pieces
from tfhific.pictures.pillow import open_image, unlimited
from tfhific.pictures.png import rows_are_missing
from tfhific.pictures.tiff import Page, read_tiff, stream_of
from tfhific.pictures.tiff_planes import decode_planes

# For each EXIF orientation, what turns the stored rows upright (EXIF 2.32, table 6).
_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class TooLargeError(ValueError):
    """More pixels than are allowed; `size` is (width, height)."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Keeps the size."""
        super().__init__(f"{size[0]} x {size[1]} pixels")
        self.size = size


class MissingSamplesError(ValueError):
    """The file is in order as far as it goes, and some of its samples are not there."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded file.

    Attributes:
      image: upright.
      profile: ICC profile as the file has it, or one made from what it states; or None.
      exif: EXIF block, upright and without thumbnail, or None.
      warning: what is wrong with the file though the picture is all there; or None.
    """

    image: Image.Image
    profile: object
    exif: bytes | None
    warning: str | None = None


def decode(stream: BinaryIO, header: Header, max_pixels: int) -> Decoded:
    """Decodes the picture of a file.

    Raises:
      TooLargeError: it has more than `max_pixels` pixels.
      MissingSamplesError: rows or blocks of it are not there.
      UnfaithfulError: a kind of TIFF that is not read.
      Exception: whatever Pillow raises on damage.
    """
    if header.size:
        _check_size(header.size, max_pixels)
    if header.format == "TIFF":
        page = read_tiff(stream)
        _check_size(page.size, max_pixels)
        if page.in_planes:
            return _planes(page, stream)
        return _decode(stream_of(page, stream), header, max_pixels)
    if header.format == "JPEG":
        return _jpeg(stream, header, max_pixels)
    if header.png is not None:
        return _decode(header.png.pieces, header, max_pixels, stream)
    return _decode(stream, header, max_pixels)


def _decode(
    stream: BinaryIO | Pieces, header: Header, max_pixels: int, file: BinaryIO | None = None
) -> Decoded:
    # Some of Pillow's readers look at the limit as soon as they open a file.
    with unlimited(header.size or (1, 1)), open_image(stream, header.format or "") as image:
        _check_size(image.size, max_pixels)
        with unlimited(image.size):
            image.load()
            _check_size(image.size, max_pixels)
            if header.png and file and rows_are_missing(header.png, file, image):
                raise MissingSamplesError("its samples end before the picture does")
            image.info.update(header.info)
            exif, orientation = _exif(image)
            profile = image.info.get("icc_profile") or header.profile
            return Decoded(_upright(image, orientation), profile, exif)


def _jpeg(stream: BinaryIO, header: Header, max_pixels: int) -> Decoded:
    if not has_end(stream):
        ways = with_end(stream)
        if not ways:
            raise MissingSamplesError("the file ends before the image does")
        decoded = _decode(ways[0], header, max_pixels)
        if not all(_are_same(decoded.image, way, header, max_pixels) for way in ways[1:]):
            raise MissingSamplesError("its samples end before the picture does")
        warning = "its end marker is missing, its samples are all there"
        return dataclasses.replace(decoded, warning=warning)
    decoded = _decode(stream, header, max_pixels)
    if may_lack_samples(decoded.image):
        for way in with_other_ends(stream):
            if not _are_same(decoded.image, way, header, max_pixels):
                raise MissingSamplesError("its samples end before the picture does")
    if decoded.image.info.get("progressive") and scans_are_missing(stream):
        warning = "some of its scans are missing, it is shown in less detail"
        return dataclasses.replace(decoded, warning=warning)
    return decoded


def _are_same(image: Image.Image, other: Pieces, header: Header, max_pixels: int) -> bool:
    try:
        second = _decode(other, header, max_pixels).image
    except OSError:
        return False
    return image.size == second.size and np.array_equal(np.asarray(image), np.asarray(second))


def _planes(page: Page, stream: BinaryIO) -> Decoded:
    width, height = page.size
    with unlimited((width * page.samples * 2, height)):
        image = decode_planes(page, stream)
    orientation = page.folder.one(tiff.ORIENTATION, 1)
    return Decoded(
        _upright(image, orientation),
        page.folder.octets.get(tiff.ICC),
        _exif_of_page(page, stream),
    )


def _exif_of_page(page: Page, stream: BinaryIO) -> bytes | None:
    exif = Image.Exif()
    exif.bigtiff = page.folder.big
    exif.endian = page.folder.order
    try:
        exif.load_from_fp(stream, page.folder.start)
        return _upright_or_none(exif_of_tiff(exif))
    except Exception:  # any, as in _exif
        return None


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise TooLargeError(size)


def _exif(image: Image.Image) -> tuple[bytes | None, int]:
    """The block to keep and the orientation that is still to be applied."""
    block = image.info.get("exif")
    tags = getattr(image, "tag_v2", None)
    try:
        exif = image.getexif()
        if tags is not None:
            # Pillow turns a TIFF upright as it loads it, and then takes the tag away.
            return _upright_or_none(exif_of_tiff(exif)), tags.get(ORIENTATION, 1)
        orientation = exif.get(ORIENTATION, 1)
        if block is None and len(exif):
            block = exif.tobytes()  # PNG's text chunk "Raw profile type exif", or XMP
    except Exception:  # any: see read_picture. Viewers show such a picture as it is stored.
        return None, 1
    return _upright_or_none(block), orientation


def _upright_or_none(block: bytes | None) -> bytes | None:
    return upright_exif(block) if isinstance(block, bytes) else None


def _upright(image: Image.Image, orientation: object) -> Image.Image:
    method = _UPRIGHT_BY.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)
