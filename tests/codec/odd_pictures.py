"""Pictures with every fault of chunks, markers, boxes and tags, for comparing readers.

`odd_pictures()` yields names and files; each name begins with the format. All show the same 48x32
picture, or would if they were in order.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, features

HEIGHT, WIDTH = 32, 48


def base_picture() -> np.ndarray:
    """The picture in all of them: smooth, nowhere black, uint8 [32, 48, 3]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [150 + 60 * np.sin(x / 9 + k) + 40 * np.cos(y / 7 - k) for k in range(3)]
    return np.clip(np.stack(planes, -1), 20, 250).astype(np.uint8)


def odd_pictures() -> Iterator[tuple[str, bytes]]:
    """All of them, sound ones first in each format."""
    for kind in (_png, _jpeg, _gif, _bmp, _webp, _tiff, _avif):
        yield from kind()


def _saved(kind: str, image: Image.Image | None = None, **options) -> bytes:
    held = io.BytesIO()
    (image or Image.fromarray(base_picture())).save(held, kind, **options)
    return held.getvalue()


def _cuts_and_flips(name: str, data: bytes, number: int = 8) -> Iterator[tuple[str, bytes]]:
    for k in range(1, number + 1):
        yield f"{name}-cut-{k}-of-{number + 1}", data[: len(data) * k // (number + 1)]
    yield f"{name}-last-byte-missing", data[:-1]
    yield f"{name}-behind-it-zeros", data + bytes(100)
    yield f"{name}-behind-it-text", data + b"something else " * 9
    yield f"{name}-before-it-a-newline", b"\n" + data


# PNG


def _chunk(kind: bytes, content: bytes = b"", flip: int = 0) -> bytes:
    checksum = zlib.crc32(kind + content) ^ flip
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _png_of(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _png() -> Iterator[tuple[str, bytes]]:
    pixels = base_picture()
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    first, samples, end = (
        _chunk(b"IHDR", head),
        _chunk(b"IDAT", zlib.compress(rows)),
        _chunk(b"IEND"),
    )
    plain = _png_of(first, samples, end)
    yield "png-sound", plain
    yield from _cuts_and_flips("png", plain)
    beside = {
        b"tEXt": b"Comment\0hello",
        b"zTXt": b"Comment\0\0" + zlib.compress(b"hello"),
        b"iTXt": b"Comment\0\0\0\0\0hello",
        b"eXIf": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
        b"iCCP": b"name\0\0" + zlib.compress(bytes(200)),
        b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
        b"gAMA": struct.pack(">I", 45455),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"sRGB": b"\0",
        b"sBIT": b"\x08\x08\x08",
        b"bKGD": bytes(6),
        b"tRNS": struct.pack(">3H", 1, 2, 3),
        b"tIME": struct.pack(">H5B", 2024, 1, 1, 0, 0, 0),
        b"cICP": bytes([1, 13, 0, 1]),
        b"sPLT": b"name\0\x08",
        b"prIv": b"private",
    }
    for kind, content in beside.items():
        name = kind.decode()
        yield f"png-{name}-checksum", _png_of(first, _chunk(kind, content, 1), samples, end)
        yield f"png-{name}-empty", _png_of(first, _chunk(kind), samples, end)
        yield f"png-{name}-short", _png_of(first, _chunk(kind, content[:-1]), samples, end)
        yield f"png-{name}-long", _png_of(first, _chunk(kind, content + bytes(40)), samples, end)
        twice = _chunk(kind, content) * 2
        yield f"png-{name}-twice", _png_of(first, twice, samples, end)
        yield f"png-{name}-behind-samples", _png_of(first, samples, _chunk(kind, content), end)
    big = np.random.default_rng(0).integers(65, 91, 2_000_000).astype(np.uint8).tobytes()
    for kind, content in ((b"tEXt", big), (b"zTXt", b"\0" + zlib.compress(big * 2))):
        data = _png_of(first, _chunk(kind, b"Comment\0" + content), samples, end)
        yield f"png-{kind.decode()}-2-megabytes", data
    many = b"".join(_chunk(b"tEXt", b"k\0v") for _ in range(20_000))
    yield "png-20000-texts", _png_of(first, many, samples, end)
    large = struct.pack(">I", 1_500_000) + bytes(12) + b"RGB XYZ " + bytes(12) + b"acsp"
    large = _chunk(b"iCCP", b"n\0\0" + zlib.compress(large.ljust(1_500_000, b"\0")))
    yield "png-iCCP-1.5-megabytes", _png_of(first, large, samples, end)
    for share, keep in (("none", 0), ("half", len(rows) // 2), ("all-but-one", len(rows) - 145)):
        part = _chunk(b"IDAT", zlib.compress(rows[:keep]))
        yield f"png-rows-{share}", _png_of(first, part, end)
    yield "png-rows-too-many", _png_of(first, _chunk(b"IDAT", zlib.compress(rows * 2)), end)
    packed = zlib.compress(rows)
    yield "png-adler", _png_of(first, _chunk(b"IDAT", packed[:-1] + b"\0"), end)
    yield "png-adler-missing", _png_of(first, _chunk(b"IDAT", packed[:-4]), end)
    yield "png-filter-9", _png_of(first, _chunk(b"IDAT", zlib.compress(b"\x09" + rows[1:])), end)
    split = [_chunk(b"IDAT", packed[k : k + 50]) for k in range(0, len(packed), 50)]
    yield "png-samples-split", _png_of(first, *split, end)
    parted = [*split[:5], _chunk(b"tEXt", b"k\0v"), *split[5:]]
    yield "png-samples-interrupted", _png_of(first, *parted, end)
    yield "png-samples-missing", _png_of(first, end)
    yield "png-samples-twice", _png_of(first, samples, samples, end)
    yield "png-header-twice", _png_of(first, first, samples, end)
    yield "png-header-missing", _png_of(samples, end)
    yield "png-header-late", _png_of(_chunk(b"tEXt", b"k\0v"), first, samples, end)
    yield "png-end-missing", _png_of(first, samples)
    yield "png-end-with-content", _png_of(first, samples, _chunk(b"IEND", b"x"))
    for name, part in (("IHDR", head), ("IDAT", packed)):
        wrong = _chunk(name.encode(), part, 1)
        yield (
            f"png-{name}-checksum",
            _png_of(*((wrong, samples) if name == "IHDR" else (first, wrong)), end),
        )
    yield "png-IEND-checksum", _png_of(first, samples, _chunk(b"IEND", b"", 1))
    yield "png-own-critical-chunk", _png_of(first, _chunk(b"ABCD"), samples, end)
    yield "png-CgBI", _png_of(_chunk(b"CgBI", bytes(4)), first, samples, end)
    for name, at, value in (
        *(("compression-1", 10, 1), ("filter-1", 11, 1), ("interlace-2", 12, 2)),
        *(("depth-3", 8, 3), ("depth-16", 8, 16), ("colour-type-5", 9, 5), ("colour-type-3", 9, 3)),
        *(("width-0", 3, 0), ("height-200", 7, 200)),
    ):
        changed = bytearray(head)
        changed[at] = value
        yield f"png-{name}", _png_of(_chunk(b"IHDR", bytes(changed)), samples, end)
    p3 = _chunk(b"cICP", bytes([12, 13, 0, 1]))
    yield "png-cICP-display-p3", _png_of(first, p3, samples, end)
    yield "png-cICP-pq", _png_of(first, _chunk(b"cICP", bytes([9, 16, 0, 1])), samples, end)
    yield "png-gAMA-1.0", _png_of(first, _chunk(b"gAMA", struct.pack(">I", 100_000)), samples, end)
    indexed = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    indexes = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    inner = b"".join(b"\0" + row.tobytes() for row in indexes)
    for name, palette in (("short", 600), ("odd", 601), ("empty", 0), ("long", 771)):
        content = (bytes(range(1, 201)) * 4)[:palette]
        data = _chunk(b"IDAT", zlib.compress(inner))
        parts = _chunk(b"IHDR", indexed), _chunk(b"PLTE", content), data, end
        yield f"png-palette-{name}", _png_of(*parts)
    yield "png-palette-missing", _png_of(_chunk(b"IHDR", indexed), data, end)


# JPEG


def _jpeg() -> Iterator[tuple[str, bytes]]:
    plain = _saved("JPEG", quality=90)
    yield "jpeg-sound", plain
    yield from _cuts_and_flips("jpeg", plain)
    progressive = _saved("JPEG", quality=90, progressive=True)
    yield from _cuts_and_flips("jpeg-progressive", progressive)
    restarts = _saved("JPEG", quality=90, restart_marker_blocks=2)
    yield "jpeg-restarts", restarts
    yield "jpeg-restart-missing", restarts.replace(b"\xff\xd1", b"", 1)
    yield "jpeg-restarts-in-disorder", restarts.replace(b"\xff\xd1", b"\xff\xd4", 1)
    for name, data in (("", plain), ("-progressive", progressive), ("-restarts", restarts)):
        yield f"jpeg{name}-end-missing", data[:-2]
        scan = data.rindex(b"\xff\xda") + 14
        middle = scan + (len(data) - scan) // 2
        yield f"jpeg{name}-half-a-scan-and-the-end", data[:middle] + b"\xff\xd9"
        yield f"jpeg{name}-half-a-scan-and-zeros", data[:middle] + bytes(2000)
    at = 2
    segments = []
    while plain[at + 1] != 0xDA:
        length = 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
        segments.append((plain[at + 1], at, length))
        at += length
    for marker, start, length in segments:
        name = f"jpeg-{marker:02x}-at-{start}"
        yield f"{name}-missing", plain[:start] + plain[start + length :]
        yield f"{name}-twice", plain[:start] + plain[start : start + length] + plain[start:]
        yield f"{name}-length-0", plain[: start + 2] + bytes(2) + plain[start + 4 :]
        yield f"{name}-length-long", plain[: start + 2] + b"\xff\xff" + plain[start + 4 :]
    frame = next(start for marker, start, _ in segments if marker == 0xC0)
    for name, at, value in (
        *(("lossless", 1, 0xC3), ("hierarchical", 1, 0xC5), ("arithmetic", 1, 0xC9)),
        *(("ls", 1, 0xF7), ("12-bit", 4, 12), ("2-components", 9, 2), ("0-components", 9, 0)),
        ("sampling-0", 11, 0),
    ):
        changed = bytearray(plain)
        changed[frame + at] = value
        yield f"jpeg-{name}", bytes(changed)
    for name, size in (("height-0", b"\0\0"), ("height-64", b"\0\x40")):
        yield f"jpeg-{name}", plain[: frame + 5] + size + plain[frame + 7 :]
    yield "jpeg-comment", plain[:2] + b"\xff\xfe\0\x07hello" + plain[2:]
    yield "jpeg-fill-bytes", plain[:2] + b"\xff\xff\xff" + plain[2:]
    yield "jpeg-garbage-between", plain[:2] + b"garbage" + plain[2:]
    yield "jpeg-exif-damaged", plain[:2] + b"\xff\xe1\0\x0cExif\0\0II\0\0" + plain[2:]
    yield "jpeg-cmyk", _saved("JPEG", Image.fromarray(base_picture()).convert("CMYK"), quality=90)


# GIF and BMP


def _gif() -> Iterator[tuple[str, bytes]]:
    plain = _saved("GIF", Image.fromarray(base_picture()).quantize(64))
    yield "gif-sound", plain
    yield from _cuts_and_flips("gif", plain)
    image = plain.index(b"\x2c", 13 + 3 * 64)
    data = image + 10
    yield "gif-samples-missing", plain[: data + 1] + b"\0;"
    half = data + 1
    half += 1 + plain[half]
    yield "gif-half-the-samples-and-the-end", plain[:half] + b"\0;"
    yield "gif-end-missing", plain[:-1]
    yield "gif-code-size-13", plain[:data] + b"\x0d" + plain[data + 1 :]
    yield "gif-version-88", b"GIF88a" + plain[6:]
    wide = struct.pack("<4H", 0, 0, WIDTH + 9, HEIGHT + 9)
    yield "gif-frame-beyond-the-screen", plain[: image + 1] + wide + plain[image + 9 :]
    yield "gif-width-0", plain[:6] + bytes(2) + plain[8:]
    yield "gif-palette-missing", plain[:10] + bytes([plain[10] & 0x7F]) + plain[11:]


def _bmp() -> Iterator[tuple[str, bytes]]:
    plain = _saved("BMP")
    yield "bmp-sound", plain
    yield from _cuts_and_flips("bmp", plain)
    fields = {
        "planes-0": (26, "<H", 0),
        "bits-7": (28, "<H", 7),
        "bits-16": (28, "<H", 16),
        "compression-9": (30, "<I", 9),
        "samples-at-0": (10, "<I", 0),
        "samples-beyond": (10, "<I", 1 << 20),
        "width-0": (18, "<i", 0),
        "width-negative": (18, "<i", -WIDTH),
        "top-down": (22, "<i", -HEIGHT),
        "height-99": (22, "<i", 99),
        "header-13": (14, "<I", 13),
        "size-0": (2, "<I", 0),
    }
    for name, (at, code, value) in fields.items():
        changed = bytearray(plain)
        struct.pack_into(code, changed, at, value)
        yield f"bmp-{name}", bytes(changed)
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, 0, 0, 0, 256, 0)
    palette = b"".join(bytes([k, k, k, 0]) for k in range(256))
    rows = bytes([WIDTH, 90]) + b"\0\0"
    for name, body in (("sound", rows * HEIGHT + b"\0\1"), ("rows-missing", rows * 9 + b"\0\1")):
        start = 14 + len(head) + len(palette)
        file = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
        yield f"bmp-rle-{name}", file + head + palette + body


# WebP, TIFF, AVIF


def _webp() -> Iterator[tuple[str, bytes]]:
    for name, options in (("", {"quality": 90}), ("-lossless", {"lossless": True})):
        plain = _saved("WEBP", **options)
        yield f"webp{name}-sound", plain
        yield from _cuts_and_flips(f"webp{name}", plain)
        yield f"webp{name}-size-0", plain[:4] + bytes(4) + plain[8:]
        yield f"webp{name}-size-short", plain[:4] + struct.pack("<I", 40) + plain[8:]
        yield f"webp{name}-size-long", plain[:4] + struct.pack("<I", 1 << 20) + plain[8:]
        yield f"webp{name}-unknown-chunk", plain[:12] + b"ABCD\4\0\0\0abcd" + plain[12:]
        yield f"webp{name}-signature", plain[:20] + b"\0\0\0\0" + plain[24:]


def _tiff() -> Iterator[tuple[str, bytes]]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        name = f"tiff-{compression.replace('tiff_', '')}"
        plain = _saved("TIFF", compression=compression)
        yield f"{name}-sound", plain
        yield from _cuts_and_flips(name, plain, 4)
    plain = _saved("TIFF")
    folder = struct.unpack_from("<I", plain, 4)[0]
    for k in range(struct.unpack_from("<H", plain, folder)[0]):
        at = folder + 2 + 12 * k
        tag = struct.unpack_from("<H", plain, at)[0]
        for name, change in (
            ("missing", struct.pack("<H", 60_000)),
            ("count-0", plain[at : at + 4] + bytes(4)),
            ("type-99", plain[at : at + 2] + b"\x63\0"),
            ("value-0", plain[at : at + 8] + bytes(4)),
            ("value-huge", plain[at : at + 8] + b"\xff\xff\xff\x7f"),
        ):
            yield f"tiff-tag-{tag}-{name}", plain[:at] + change + plain[at + len(change) :]


def _avif() -> Iterator[tuple[str, bytes]]:
    if not features.check("avif"):
        return
    plain = _saved("AVIF", quality=95)
    yield "avif-sound", plain
    yield from _cuts_and_flips("avif", plain)
    for brand in (b"mif1", b"msf1", b"miaf", b"heic"):
        yield f"avif-major-{brand.decode()}", plain[:8] + brand + plain[12:]
    at = plain.index(b"colrnclx") + 8
    for name, points in (("display-p3", (12, 13)), ("pq", (9, 16)), ("linear", (1, 8))):
        yield f"avif-{name}", plain[:at] + struct.pack(">HH", *points) + plain[at + 4 :]
    for box in (b"pitm", b"iloc", b"iprp", b"ipco", b"ispe", b"av1C", b"ipma", b"mdat", b"hdlr"):
        yield f"avif-{box.decode()}-renamed", plain.replace(box, b"free", 1)
