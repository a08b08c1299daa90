"""Files of every layout, changed beneath checksums that fit, with what Python makes of each."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib

import numpy as np

from tests.clients import web_files
from tests.serving import pictures
from tfhific.bitstream import container, fuzz
from tfhific.codec.base import Codec
from tfhific.errors import BitstreamError
from tfhific.pictures.header import PNG_SIGNATURE
from tfhific.pictures.images import Picture
from tfhific.pictures.plane import encode_plane

SIZE = (40, 52)


def sound_files(codec: Codec, photo) -> dict[str, bytes]:
    """Small files: plain, with all sections, with alpha alone, in bands and streams, version 0."""
    photograph = photo(*SIZE, seed=8)
    alpha = (np.mgrid[: SIZE[0], : SIZE[1]].sum(0) * 3 % 256).astype(np.uint8)
    whole = Picture(photograph, alpha, pictures.profile(), pictures.exif(1))
    plain = codec.compress(photograph, 4.0)
    contents = container.unpack(plain)
    tall = codec.compress(photo(150, 20, seed=9), 5.0)
    return {
        "plain": plain,
        "sections": codec.compress_picture(whole, 6.0),
        "alpha": container.pack(dataclasses.replace(contents, alpha=encode_plane(alpha))),
        "bands": web_files.written_anew(tall, codec, bands=4, streams=(2, 4)),
        "version 0": web_files.written_anew(plain, codec, version=0, streams=(2, 2)),
    }


def changed_planes(data: bytes, count: int, seed: int) -> list[bytes]:
    """A file with changes in its alpha plane's compressed rows: all checksums but zlib's fit.

    Of each two, one changes the rows before they are compressed: as many, fewer or more of them,
    with any filters.
    """
    rng = np.random.default_rng(seed)
    contents = container.unpack(data)
    height, width = contents.size
    head = PNG_SIGNATURE + pictures.chunk(
        b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    )
    rows = b"".join(
        bytes([row % 5]) + rng.integers(0, 4, width, np.uint8).tobytes() for row in range(height)
    )
    files = []
    for number in range(count):
        if number % 2:
            stream = zlib.compress(fuzz.mutate(rows, rng), int(rng.integers(10)))
        else:
            stream = fuzz.mutate(zlib.compress(rows, int(rng.integers(10))), rng)
        cut = int(rng.integers(len(stream) + 1))
        parts = [stream] if number % 3 else [stream[:cut], stream[cut:]]
        chunks = b"".join(pictures.chunk(b"IDAT", part) for part in parts)
        alpha = head + chunks + pictures.chunk(b"IEND", b"")
        files.append(container.pack(dataclasses.replace(contents, alpha=alpha)))
    return files


def fill(folder: pathlib.Path, codec: Codec, photo, count: int, seed: int) -> tuple[int, int]:
    """Writes changed files, and beside them `changed.json` with what Python makes of each.

    All files are one behind the other in `changed.bin`, and the pictures, RGBA, in `changed.rgba`.

    Returns:
      How many Python decodes, and how many it refuses.
    """
    files = sound_files(codec, photo)
    each = count // (len(files) + 1)
    changed = []
    for number, data in enumerate(files.values()):
        changed += fuzz.mutations(data, each, seed + number, repaired=True)
    changed += changed_planes(files["alpha"], count - len(changed), seed + len(files))
    entries = []
    with open(folder / "changed.bin", "wb") as held, open(folder / "changed.rgba", "wb") as shown:
        for data in changed:
            entry: dict[str, object] = {"at": held.tell(), "length": len(data)}
            held.write(data)
            try:
                picture = codec.decompress_picture(data)
            except BitstreamError as error:
                entry["refused"] = str(error)
            else:
                height, width = picture.pixels.shape[:2]
                alpha = np.full([height, width], 255, np.uint8)
                alpha = alpha if picture.alpha is None else picture.alpha
                entry |= {"height": height, "width": width, "shown": shown.tell()}
                entry |= {"hasAlpha": picture.alpha is not None}
                for kind in ("icc", "exif"):
                    value = getattr(picture, kind)
                    entry[kind] = None if value is None else bytes(value).hex()
                shown.write(np.dstack([picture.pixels, alpha]).tobytes())
            entries.append(entry)
    (folder / "changed.json").write_text(json.dumps(entries))
    refused = sum("refused" in entry for entry in entries)
    return len(entries) - refused, refused
