"""TIFF pages whose samples are put together here: separate planes, and what Pillow does not know.

Pillow's libtiff serves as a decompressor only: the strips or tiles of one plane are presented to it
as a grey picture of 8 bits whose columns are the bytes of a row.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfhific.pictures import tiff_folder as tiff
from tfhific.pictures.pieces import Pieces
from tfhific.pictures.pillow import open_image
from tfhific.pictures.tiff import (
    BLACK_IS_ZERO,
    CMYK,
    OWN_SAMPLES,
    PALETTE,
    PREMULTIPLIED,
    UNCOMPRESSED,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    YCBCR,
    Page,
)
from tfhific.pictures.tiff_folder import TruncatedError

_HORIZONTAL = 2
_SHORT, _LONG = 3, 4
_MAX_FILE = 1 << 32


def decode_planes(page: Page, stream: BinaryIO) -> Image.Image:
    """Decodes a page into an image as Pillow would have given it.

    Grey of 16 bits stays so (mode I;16), 12 bits are rounded to 8; of all else with 16 bits the
    high bytes are taken.

    Raises:
      TruncatedError: strips or tiles overlap, or the file is too long for this way.
      Exception: whatever Pillow raises on damage.
    """
    own = OWN_SAMPLES[page.photometric]
    wanted = own if page.extra[:1] in ((), (UNSPECIFIED,)) else own + 1
    if page.planar == 2:
        planes = [_samples(page, stream, k)[..., 0] for k in range(wanted)]
        samples = np.stack(planes, axis=-1)
    else:
        samples = _samples(page, stream, 0)[..., :wanted]
    if page.photometric == WHITE_IS_ZERO:
        samples = samples.copy()
        samples[..., 0] = np.iinfo(samples.dtype).max - samples[..., 0]
    if page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) and wanted == 1:
        return Image.fromarray(np.ascontiguousarray(samples[..., 0]))
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    if page.photometric == PALETTE:
        return _with_palette(page, samples)
    modes = {CMYK: "CMYK", YCBCR: "YCbCr"}
    mode = modes.get(page.photometric, {2: "LA", 3: "RGB", 4: "RGBA"}[wanted])
    if page.extra[:1] == (PREMULTIPLIED,):
        mode = {"LA": "La", "RGBA": "RGBa"}[mode]
    return _image(mode, samples)


def _image(mode: str, samples: np.ndarray) -> Image.Image:
    height, width = samples.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(samples).tobytes())


def _with_palette(page: Page, samples: np.ndarray) -> Image.Image:
    colours = np.zeros((256, 3), np.uint8)
    table = page.folder.tags.get(tiff.COLOUR_MAP, np.zeros(0, np.uint64))
    if len(table) != 3 << page.bits:
        raise TruncatedError("its palette has another length than its samples need")
    colours[: 1 << page.bits] = (table.reshape(3, -1).T >> np.uint64(8)).astype(np.uint8)
    rgb = colours[samples[..., 0]]
    if samples.shape[-1] == 1:
        return _image("RGB", rgb)
    return _image("RGBA", np.concatenate([rgb, samples[..., 1:2]], axis=-1))


def _samples(page: Page, stream: BinaryIO, plane: int) -> np.ndarray:
    """One plane's samples, uint8 or uint16 [H, W, samples in the plane]."""
    width, height = page.size
    number = 1 if page.planar == 2 else page.samples
    octets = _octets(page, stream, plane, number)
    if page.bits == 12:
        return _narrow_12_bits(octets, width)[..., None]
    if page.bits == 16:
        samples = octets.view(page.folder.order + "u2").astype(np.uint16)
    else:
        samples = octets
    samples = samples.reshape(height, width, number)
    if page.predictor == _HORIZONTAL:
        step = page.tile[0] if page.tile else width
        for x in range(0, width, step):
            part = samples[:, x : x + step]
            samples[:, x : x + step] = np.cumsum(part, axis=1, dtype=samples.dtype)
    return samples


def _octets(page: Page, stream: BinaryIO, plane: int, number: int) -> np.ndarray:
    """One plane's decompressed bytes, uint8 [H, bytes of a row], writeable."""
    width, height = page.size
    row_bytes = (width * number * page.bits + 7) // 8
    if page.tile:
        across, down = -(-width // page.tile[0]), -(-height // page.tile[1])
        per_plane = across * down
        starts, lengths = page.folder.tags[tiff.TILE_OFFSETS], tiff.TILE_LENGTHS
        tile_bytes = page.tile[0] * number * page.bits // 8
        geometry = {tiff.TILE_WIDTH: [tile_bytes], tiff.TILE_HEIGHT: [page.tile[1]]}
        full = [tile_bytes * page.tile[1]] * per_plane
    else:
        per_plane = -(-height // page.rows_per_strip)
        starts, lengths = page.folder.tags[tiff.STRIP_OFFSETS], tiff.STRIP_LENGTHS
        geometry = {tiff.ROWS_PER_STRIP: [page.rows_per_strip]}
        full = [row_bytes * page.rows_per_strip] * per_plane
        full[-1] = row_bytes * (height - page.rows_per_strip * (per_plane - 1))
    chosen = slice(plane * per_plane, (plane + 1) * per_plane)
    begins = starts[chosen].tolist()
    sizes = full
    if page.compression != UNCOMPRESSED:
        sizes = page.folder.tags[lengths][chosen].tolist()
    total = stream.seek(0, 2)
    if sum(sizes) > total or sum(sizes) >= _MAX_FILE // 2:
        raise TruncatedError("its strips or tiles overlap, or are missing")
    grey = {
        tiff.WIDTH: [row_bytes],
        tiff.HEIGHT: [height],
        tiff.BITS_PER_SAMPLE: [8],
        tiff.COMPRESSION: [page.compression],
        tiff.PHOTOMETRIC: [BLACK_IS_ZERO],
        tiff.FILL_ORDER: [page.folder.one(tiff.FILL_ORDER, 1)],
        tiff.SAMPLES_PER_PIXEL: [1],
        **geometry,
    }
    file = _grey_file(grey, bool(page.tile), sizes, [(stream, b, s) for b, s in zip(begins, sizes)])
    with open_image(file, "TIFF") as image:
        image.load()
        return np.array(image)


def _grey_file(
    tags: dict[int, list[int]],
    tiled: bool,
    sizes: list[int],
    pieces: list[tuple[BinaryIO, int, int]],
) -> Pieces:
    """A little-endian TIFF file of one page with the given tags and chunks."""
    offsets_tag = tiff.TILE_OFFSETS if tiled else tiff.STRIP_OFFSETS
    lengths_tag = tiff.TILE_LENGTHS if tiled else tiff.STRIP_LENGTHS
    count = len(tags) + 2
    tables = 8 + 2 + 12 * count + 4
    body = tables + (8 * len(sizes) if len(sizes) > 1 else 0)
    offsets = [body, *(body + int(end) for end in np.cumsum(sizes)[:-1])]
    entries = {**tags, offsets_tag: offsets, lengths_tag: sizes}
    head, table = b"II*\0" + struct.pack("<IH", 8, count), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(packed) > 4:
            packed, table = struct.pack("<I", tables + len(table)), table + packed
        head += struct.pack("<HHI", tag, _LONG, len(values)) + packed
    return Pieces([head + bytes(4) + table, *pieces])


def _narrow_12_bits(octets: np.ndarray, width: int) -> np.ndarray:
    """12-bit samples, most significant bit first, as 8-bit ones, rounded: uint8 [H, W]."""
    padded = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 3))).astype(np.uint16)
    first, second, third = padded[:, 0::3], padded[:, 1::3], padded[:, 2::3]
    pairs = np.stack([first << 4 | second >> 4, (second & 15) << 8 | third], axis=-1)
    samples = pairs.reshape(len(octets), -1)[:, :width].astype(np.uint32)
    return ((samples * 255 + 2047) // 4095).astype(np.uint8)
