"""An alpha plane beside the latents: a grey PNG, lossless, and nothing else in it.

What such a section may be is the format's rule (docs/format.md), of which `tfhific.serving` has a
second writing for graphs: whatever is changed here is to be changed there too.

A process that has TensorFlow loaded writes it by its ops, as a SavedModel's graph does; one that
has not by Pillow: other bytes, the same planes. Both read it by zlib and Pillow: what is refused
does not depend on what is loaded.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

from tfhific.errors import BitstreamError
from tfhific.pictures.header import PNG_SIGNATURE

COMPRESSION = 9
"""zlib's highest level."""

MAX_CHUNKS = 1 << 16
"""Chunks of data, that is: encoders fill some of 8 KiB and more."""

_LAST_FILTER = 4

HEAD = b"IHDR"
HEAD_END = bytes([8, 0, 0, 0, 0])
"""8 bits, grey, and what PNG has but one of: compression, filters; not interlaced."""


def encode_plane(plane: np.ndarray) -> bytes:
    """A uint8 [H, W] plane as a PNG file.

    Where TensorFlow is loaded, the bytes are those that a SavedModel's graph writes.
    """
    if "tensorflow" not in sys.modules:
        held = io.BytesIO()
        Image.fromarray(plane).save(held, "PNG", compress_level=COMPRESSION)
        return held.getvalue()
    import tensorflow as tf

    with tf.device("/cpu:0"):
        return tf.io.encode_png(plane[..., None], compression=COMPRESSION).numpy()


def check_plane(data: bytes, shape: tuple[int, int]) -> None:
    """Looks at what a section consists of, without decoding it.

    Args:
      data: the section.
      shape: height and width of the picture.

    Raises:
      BitstreamError: when it is no grey PNG of 8 bits and that size, made of the chunks IHDR, IDAT
        (one or several) and IEND alone.
    """
    fault = _fault(data, shape)
    if fault:
        raise BitstreamError(f"The file's alpha plane can't be read: {fault}.")


def _fault(data: bytes, shape: tuple[int, int]) -> str:
    if not data.startswith(PNG_SIGNATURE):
        return "it is no PNG"
    at, count, length = len(PNG_SIGNATURE), 0, 0
    kinds: list[bytes] = []
    while at + 12 <= len(data) and count < MAX_CHUNKS + 2:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == HEAD and not kinds:
            if length != 13 or at + 25 > len(data):
                return "its header is damaged"
            width, height = struct.unpack_from(">II", data, at + 8)
            if (height, width) != tuple(shape):
                return f"it has {width}x{height} pixels, its picture {shape[1]}x{shape[0]}"
            if data[at + 16 : at + 21] != HEAD_END:
                return "it is not grey, of 8 bits and without interlacing"
        if kinds[-1:] != [kind]:
            kinds.append(kind)
        at += 12 + length
        count += 1
        if kind == b"IEND" or len(kinds) > 3:
            break
    if kinds != [HEAD, b"IDAT", b"IEND"] or length or at != len(data):
        return "it is cut short, or has more in it than an alpha plane"
    return ""


def decode_plane(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The plane of a PNG file, uint8 [H, W].

    Raises:
      BitstreamError: when it is damaged, of another shape, or not as `check_plane` wants it.
    """
    check_plane(data, shape)
    if not _is_whole(data, shape):
        raise BitstreamError("The file's alpha plane can't be read: it is damaged.")
    # Not by `Image.open`, which has a limit on pixels of its own.
    with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
        return np.array(image)


def _is_whole(data: bytes, shape: tuple[int, int]) -> bool:
    """Whether checksums, the compressed rows and their filters are in order, and nothing is behind.

    Pillow reads on over most of that.
    """
    samples, at, headers = [], len(PNG_SIGNATURE), 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        headers += kind == HEAD
        if kind == b"IDAT":
            samples.append(data[at + 8 : end])
        at = end + 4
    height, width = shape
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(b"".join(samples), height * (width + 1) + 1)
    except zlib.error:
        return False
    if not inflate.eof or inflate.unused_data or len(rows) != height * (width + 1):
        return False
    if headers != 1:
        return False
    return max(rows[:: width + 1]) <= _LAST_FILTER
