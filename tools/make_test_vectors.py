#!/usr/bin/env python3
"""Writes test vectors for decoders of .tfh files: make_test_vectors.py FOLDER.

FOLDER holds `model.safetensors`, the model that they are files of. What they are is said in
tests/codec/data/vectors/README.md, where they are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import pathlib
import struct
import sys
import zlib
from typing import Any

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.checksum import checksum


@dataclasses.dataclass(frozen=True)
class Vector:
    """A file to be made.

    Attributes:
      name: of the file.
      size: height and width in pixels.
      quality: 1 to 8.
      streams: of the hyperlatents, and of each band of latents.
      band_rows: latent rows a band; 0: one band.
      version: of the format.
      alpha: whether there is an alpha plane.
      icc: whether there is an ICC profile.
      exif: whether there is an EXIF block.
      escapes: how far beyond its table some symbols are put; 0: nowhere.
      why: what it is there for.
    """

    name: str
    size: tuple[int, int]
    quality: float
    why: str
    streams: tuple[int, int] = (1, 1)
    band_rows: int = 0
    version: int = 1
    alpha: bool = False
    icc: bool = False
    exif: bool = False
    escapes: int = 0


VECTORS = (
    Vector("one-pixel", (1, 1), 5.0, "the smallest picture"),
    Vector("row", (1, 37), 1.0, "a side of one pixel, the lowest quality"),
    Vector("column", (53, 1), 8.0, "the other side, the highest quality"),
    Vector("exact", (64, 64), 5.0, "sides that are multiples of all strides"),
    Vector("one-more", (65, 129), 1.0, "one pixel more than a multiple, the lowest quality"),
    Vector("highest", (48, 80), 8.0, "the highest quality"),
    Vector("between", (40, 56), 3.37, "a quality between two rows of gains"),
    Vector("sound", (70, 90), 5.0, "what the refused files are made of"),
    Vector("streams", (70, 90), 8.0, "several streams", streams=(4, 16)),
    Vector("bands", (150, 61), 5.0, "bands, the last one lower", streams=(2, 4), band_rows=4),
    Vector("idle-streams", (20, 20), 5.0, "more streams than symbols", streams=(1024, 1024)),
    Vector("escapes", (33, 47), 5.0, "symbols outside their tables", escapes=300),
    Vector("version-0", (70, 90), 5.0, "the older format version", streams=(2, 4), version=0),
    Vector("alpha", (45, 83), 5.0, "an alpha plane", alpha=True),
    Vector("profile", (31, 29), 5.0, "an ICC profile", icc=True),
    Vector("exif", (31, 29), 5.0, "an EXIF block", exif=True),
    Vector("all-metadata", (37, 41), 6.5, "all of them", alpha=True, icc=True, exif=True),
)


def picture(height: int, width: int) -> np.ndarray:
    """Ramps, a box and a fine texture in whole numbers, uint8 [height, width, 3]."""
    y, x = np.mgrid[:height, :width]
    texture = (x * 37 + y * 59 + (x * y) % 61) % 48
    planes = np.stack([2 * x + texture, 3 * y + texture, (x * y) // 32 + 60], -1) % 256
    planes[height // 4 : height // 2, width // 3 : 2 * width // 3] = [200, 60, 40]
    return planes.astype(np.uint8)


def alpha_plane(height: int, width: int) -> np.ndarray:
    """A ramp with a hole, uint8 [height, width]."""
    y, x = np.mgrid[:height, :width]
    plane = (5 * x + 2 * y) % 256
    plane[height // 2 :, : width // 3] = 0
    return plane.astype(np.uint8)


def profile() -> bytes:
    """A matrix profile, of bytes that do not change with the day."""
    from tfhific.pictures.profile import profile_of_code_points

    made = profile_of_code_points(12, 13)
    assert made is not None
    return made


EXIF = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 1, 0, 0)
"""One folder with one entry: the picture is upright."""


def rebuilt(contents: container.Contents, latents: Any, model: Any) -> container.Contents:
    """Contents whose payloads are made anew of latents, in the layout that `contents` say.

    Args:
      contents: `z_streams`, `y_streams`, `band_rows` and all that is not a payload.
      latents: with int32 `z` and `y`, and `indexes`, as `HyperpriorCodec.decode_latents` gives
        them.
      model: that is published.
    """
    z, symbols, indexes = latents.z, latents.y, latents.indexes
    channels = np.broadcast_to(np.arange(z.shape[-1], dtype=np.int32), z.shape).ravel()
    rows = contents.band_rows or len(symbols)
    payloads = [
        coding.encode(
            symbols[top : top + rows].ravel(),
            indexes[top : top + rows].ravel(),
            model.y_tables,
            streams=contents.y_streams,
        )
        for top in range(0, len(symbols), rows)
    ]
    z_payload = coding.encode(z.ravel(), channels, model.z_tables, streams=contents.z_streams)
    return dataclasses.replace(contents, z=z_payload, y=container.join_bands(payloads))


def make_file(vector: Vector, codec: Any) -> bytes:
    """The bytes of a vector's file."""
    from tfhific.pictures.plane import encode_plane

    data = codec.compress(picture(*vector.size), vector.quality)
    latents = codec.decode_latents(data)
    symbols = latents.y.copy()
    if vector.escapes:
        far = vector.escapes
        symbols[0, 0, :4] = [far, -far, far // 2, -far // 2]
        symbols[-1, -1, -1] = far
    contents = dataclasses.replace(
        container.unpack(data),
        z_streams=vector.streams[0],
        y_streams=vector.streams[1],
        band_rows=vector.band_rows,
        version=vector.version,
        alpha=encode_plane(alpha_plane(*vector.size)) if vector.alpha else None,
        icc=profile() if vector.icc else None,
        exif=EXIF if vector.exif else None,
    )
    again = dataclasses.replace(latents, y=symbols)
    return container.pack(rebuilt(contents, again, codec.published))


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def _grey_png(height: int, width: int, *, extra: bytes = b"", level: int = 9) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes(height * (width + 1)), level)
    return b"\x89PNG\r\n\x1a\n" + head + extra + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def refused(data: bytes) -> dict[str, tuple[bytes, str]]:
    """Files that a decoder has to refuse, with what is wrong, by name.

    Args:
      data: a sound file of one band and one stream, without metadata.
    """
    body, contents = data[:-8], container.unpack(data)
    height, width = contents.size

    def sealed(changed: bytes) -> bytes:
        return changed + checksum(changed)

    def packed(**changes: Any) -> bytes:
        return container.pack(dataclasses.replace(contents, **changes))

    def long_varint(value: int) -> bytes:
        return bytes([value | 0x80, 0])

    after_size = 12 + len(container.write_varint(height)) + len(container.write_varint(width))
    plane = _grey_png(height, width)
    wrong_crc = bytearray(plane)
    wrong_crc[plane.index(b"IDAT") + 6] ^= 0xFF
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return {
        "empty": (b"", "no bytes at all"),
        "not-tfh": (b"\x89PNG\r\n\x1a\n" + bytes(40), "other magic"),
        "only-magic": (b"TFH\1", "nothing behind the version"),
        "cut": (data[:-1], "the last byte is missing"),
        "one-bit": (bytes(changed), "a bit was changed, the checksum does not fit"),
        "version-2": (sealed(body[:3] + b"\2" + body[4:]), "a version that is not known"),
        "only-a-head": (sealed(body[:12]), "ends behind the fingerprint"),
        "no-height": (packed(height=0), "a height of 0"),
        "no-width": (packed(width=0), "a width of 0"),
        "long-varint": (
            sealed(body[:12] + long_varint(height) + body[13:]),
            "a height in more bytes than it needs",
        ),
        "endless-varint": (
            sealed(body[:12] + b"\xff" * 6 + body[13:]),
            "a height of more than five bytes",
        ),
        "huge": (packed(height=1 << 20, width=1 << 20), "2^40 pixels, beyond any limit"),
        "larger-than-its-bytes": (
            packed(height=12_000, width=12_000),
            "144 megapixels, which so few bytes of hyperlatents can't hold",
        ),
        "other-model": (packed(fingerprint=bytes(8)), "a fingerprint of no model"),
        "quality-9": (packed(quality_code=28_673), "a quality above 8"),
        "2048-streams": (
            sealed(body[: after_size + 2] + b"\x0b" + body[after_size + 3 :]),
            "2^11 streams of hyperlatents",
        ),
        "bands-of-3": (packed(band_rows=3), "bands that are no multiple of 4 rows"),
        "bands-too-high": (packed(band_rows=1 << 20), "a band higher than the latents"),
        "band-length": (packed(band_rows=4), "lengths of bands that do not fit their bytes"),
        "no-z": (packed(z=b""), "hyperlatents of no bytes"),
        "no-y": (packed(y=b""), "latents of no bytes"),
        "payload-flags": (packed(y=b"\x60" + contents.y[1:]), "bits of a payload that must be 0"),
        "zeros-behind": (packed(y=contents.y + bytes(64)), "zeros behind the last stream"),
        "metadata-unknown": (
            sealed(
                container.pack(dataclasses.replace(contents, exif=b"x"))[:-8].replace(
                    b"EXIF", b"XMP "
                )
            ),
            "an entry that the format doesn't have",
        ),
        "alpha-empty": (packed(alpha=b""), "an alpha plane of no bytes"),
        "alpha-size": (
            packed(alpha=_grey_png(height + 1, width)),
            "an alpha plane of another size",
        ),
        "alpha-text": (
            packed(alpha=_grey_png(height, width, extra=_chunk(b"tEXt", b"a\0b"))),
            "a chunk in the alpha plane that may not be there",
        ),
        "alpha-cut": (packed(alpha=plane[:-12]), "an alpha plane without IEND"),
        "alpha-checksum": (packed(alpha=bytes(wrong_crc)), "a damaged chunk of the alpha plane"),
    }


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def write_vectors(folder: pathlib.Path) -> None:
    """Writes all files into a folder that holds the model."""
    import tfhific
    from tfhific.pictures.images import encode_png

    codec: Any = tfhific.load(folder)
    entries = []
    for vector in VECTORS:
        data = make_file(vector, codec)
        latents, shown = codec.decode_latents(data), codec.decompress_picture(data)
        plain = dataclasses.replace(shown, icc=None, exif=None)
        files = {
            "tfh": data,
            "hyperlatents.npy": npy(latents.z.astype("<i2")),
            "indexes.npy": npy(latents.indexes.astype("|u1")),
            "symbols.npy": npy(latents.y.astype("<i2")),
            "png": encode_png(plain),
            "icc": shown.icc,
            "exif": shown.exif,
        }
        for ending, value in files.items():
            if value is not None:
                (folder / f"{vector.name}.{ending}").write_bytes(value)
        entries.append(
            {
                "name": vector.name,
                "why": vector.why,
                "height": vector.size[0],
                "width": vector.size[1],
                "quality_code": container.quality_code(vector.quality),
                "version": vector.version,
                "streams": list(vector.streams),
                "band_rows": vector.band_rows,
                "alpha": vector.alpha,
                "icc": vector.icc,
                "exif": vector.exif,
            }
        )
    reasons = {}
    (folder / "refused").mkdir(exist_ok=True)
    for name, (data, why) in refused((folder / "sound.tfh").read_bytes()).items():
        (folder / "refused" / f"{name}.tfh").write_bytes(data)
        reasons[name] = why
    listed = {"fingerprint": codec.fingerprint.hex(), "files": entries, "refused": reasons}
    (folder / "vectors.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="holds the model; to write to")
    write_vectors(parser.parse_args().folder)
