"""Small encoded images of many kinds, which a graph must read as the command line does."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from tfhific.pictures.header import PNG_SIGNATURE

HEIGHT, WIDTH = 61, 83


def samples(channels: int = 3, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng([channels, height, width])
    ramp = np.mgrid[:height, :width].sum(0)[..., None] * np.arange(1, channels + 1)
    return ((ramp + rng.normal(0, 12, ramp.shape)) % 256).astype(np.uint8)


def saved(image, kind: str, **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def cmyk(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    planes = samples(4, height, width)
    return Image.merge("CMYK", [Image.fromarray(planes[..., i]) for i in range(4)])


def profile(space: str = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112], block[0x010F] = orientation, "Maker"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return block.tobytes()


def exif_with_thumbnail(order: str, orientation: int, behind: bytes = b"") -> bytes:
    """A block with a second folder, its thumbnail, and perhaps something behind that."""
    thumbnail = b"\xff\xd8thumbnail" * 9
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    first = struct.pack(order + "HHHIHH", 1, 0x0112, 3, 1, orientation, 0)
    second_at = 8 + len(first) + 4
    place = second_at + 2 + 2 * 12 + 4
    second = struct.pack(order + "H", 2)
    second += struct.pack(order + "HHII", 0x0201, 4, 1, place)
    second += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    second += struct.pack(order + "I", 0)
    link = struct.pack(order + "I", second_at)
    return b"Exif\0\0" + head + first + link + second + thumbnail + behind


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(rows: np.ndarray, colour_type: int, depth: int, width: int, *chunks: bytes) -> bytes:
    """A PNG of packed samples, one row of bytes each."""
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *chunks,
            chunk(b"IDAT", zlib.compress(body)),
            chunk(b"IEND", b""),
        ]
    )


def with_adobe_transform(jpeg: bytes, transform: int) -> bytes:
    """The four components of a CMYK JPEG, said to be something else."""
    at = jpeg.find(b"Adobe")
    return jpeg[: at + 11] + bytes([transform]) + jpeg[at + 12 :]


def png_without_rows(missing: int, interlaced: bool) -> bytes:
    """A PNG of 8x8 pixels whose stream, checksums and end are in order, but for missing rows."""
    if interlaced:
        # Columns and rows of each of the seven passes (PNG specification, 8.2).
        passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    else:
        passes = [(8, 8)]
    rows = [bytes([0] + [90] * 3 * wide) for wide, tall in passes for _ in range(tall)]
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, interlaced)
    body = zlib.compress(b"".join(rows[: len(rows) - missing]))
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(parts)


def gif_blocks(gif: bytes) -> tuple[int, list[int]]:
    """Where the blocks of a GIF's only image begin, and where each of its blocks of codes does."""
    at = 13 + 3 * (2 << (gif[10] & 7))
    while gif[at] == 0x21:
        at += 2
        while gif[at]:
            at += 1 + gif[at]
        at += 1
    first = at + 10 + (3 * (2 << (gif[at + 9] & 7)) if gif[at + 9] & 128 else 0) + 1
    starts = [first]
    while gif[starts[-1]]:
        starts.append(starts[-1] + 1 + gif[starts[-1]])
    return first, starts


def gif_without_blocks(gif: bytes, missing: int) -> bytes:
    """A GIF whose image ends before its last codes, as if they had never been."""
    _, starts = gif_blocks(gif)
    return gif[: starts[-1 - missing]] + b"\0;"


def readable() -> dict[str, bytes]:
    """Images that the graph reads on every TensorFlow, by name."""
    wide = np.random.default_rng(0).integers(0, 65536, (20, 31, 4)).astype(">u2")
    packed = np.random.default_rng(1).integers(0, 256, (20, 16)).astype(np.uint8)
    palette = Image.fromarray(samples()).quantize(50)
    xmp = b'<x:xmpmeta tiff:Orientation="6"/>'
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    long_profile = profile() + bytes(150_000)
    long_profile = len(long_profile).to_bytes(4, "big") + long_profile[4:]
    cases = {
        "jpeg": saved(samples(), "JPEG"),
        "jpeg-progressive-420": saved(samples(), "JPEG", progressive=True, subsampling=2),
        "jpeg-422": saved(samples(), "JPEG", subsampling=1, quality=60),
        "jpeg-444-icc": saved(samples(), "JPEG", subsampling=0, icc_profile=profile()),
        "jpeg-icc-of-several-segments": saved(samples(), "JPEG", icc_profile=long_profile),
        "jpeg-grey": saved(samples(1)[..., 0], "JPEG"),
        "jpeg-cmyk": saved(cmyk(), "JPEG", quality=90),
        "jpeg-cmyk-progressive": saved(cmyk(), "JPEG", quality=70, progressive=True),
        "jpeg-ycck": with_adobe_transform(saved(cmyk(), "JPEG", quality=90), 2),
        "jpeg-thumbnail-little": saved(samples(), "JPEG", exif=exif_with_thumbnail("<", 6)),
        "jpeg-thumbnail-big": saved(samples(), "JPEG", exif=exif_with_thumbnail(">", 8)),
        "jpeg-thumbnail-inside": saved(samples(), "JPEG", exif=exif_with_thumbnail(">", 5, b"end")),
        "jpeg-exif-cut": saved(samples(), "JPEG", exif=exif(6)[:20]),
        "jpeg-exif-damaged": saved(samples(), "JPEG", exif=b"Exif\0\0garbage"),
        "jpeg-xmp": saved(samples(), "JPEG", xmp=xmp),
        "jpeg-xmp-and-exif": saved(samples(), "JPEG", xmp=xmp, exif=exif(3)),
        "png-icc-exif": saved(samples(), "PNG", icc_profile=profile(), exif=exif(7)),
        "png-alpha": saved(samples(4), "PNG"),
        "png-alpha-exif": saved(samples(4), "PNG", exif=exif(6)),
        "png-opaque-alpha": saved(
            np.dstack([samples(), np.full([HEIGHT, WIDTH], 255, "u1")]), "PNG"
        ),
        "png-grey-alpha": png(samples(2), 4, 8, WIDTH),
        "png-grey": saved(samples(1)[..., 0], "PNG"),
        "png-1-bit": saved(Image.fromarray(samples(1)[..., 0]).convert("1"), "PNG"),
        "png-4-bit-key": png(packed, 0, 4, 32, chunk(b"tRNS", b"\0\5")),
        "png-2-bit-key": png(packed, 0, 2, 64, chunk(b"tRNS", b"\0\2")),
        "png-palette": saved(palette, "PNG"),
        "png-palette-2-bit": saved(Image.fromarray(samples()).quantize(4), "PNG", bits=2),
        "png-palette-alpha": saved(palette, "PNG", transparency=bytes(range(50))),
        "png-grey-key": saved(samples(1)[..., 0], "PNG", transparency=40),
        "png-rgb-key": saved(
            np.tile(np.arange(81, dtype=np.uint8).reshape(9, 9, 1), 3),
            "PNG",
            transparency=(5, 5, 5),
        ),
        "png-16-rgb": png(wide[..., :3], 2, 16, 31),
        "png-16-rgba": png(wide, 6, 16, 31),
        "png-16-grey": png(wide[..., 0], 0, 16, 31),
        "png-16-grey-key": png(wide[..., 0], 0, 16, 31, chunk(b"tRNS", wide[3, 4, :1].tobytes())),
        "png-gamma": png(samples(), 2, 8, WIDTH, chunk(b"gAMA", struct.pack(">I", 45455))),
        "png-damaged-icc": png(samples(), 2, 8, WIDTH, chunk(b"iCCP", b"name\0\0garbage")),
        "png-xmp": saved(samples(), "PNG", pnginfo=text),
        "png-1x1": saved(samples(3, 1, 1), "PNG"),
        "png-thin": saved(samples(3, 2, 200), "PNG"),
        "gif": saved(palette, "GIF"),
        "gif-animated": saved(
            palette, "GIF", save_all=True, append_images=[Image.fromarray(samples()[::-1])]
        ),
        "bmp": saved(samples(), "BMP"),
    }
    for orientation in range(10):
        cases[f"jpeg-exif-{orientation}"] = saved(samples(), "JPEG", exif=exif(orientation))
    return cases


def webp() -> dict[str, bytes]:
    """Images that the graph reads where TensorFlow decodes WebP."""
    return {
        "webp": saved(samples(), "WEBP", icc_profile=profile(), exif=exif(6)),
        "webp-lossless": saved(samples(), "WEBP", lossless=True),
        "webp-alpha": saved(samples(4), "WEBP", lossless=True),
    }


def refused() -> dict[str, tuple[bytes, str]]:
    """Images that the graph does not read, and words that its message has."""
    jpeg, whole = saved(samples(), "JPEG"), saved(samples(), "PNG")
    gif = saved(Image.fromarray(samples()).quantize(50), "GIF")
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 255
    huge = bytearray(saved(samples(1)[..., 0], "PNG"))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    raw = PngImagePlugin.PngInfo()
    raw.add_text("Raw profile type exif", "\nexif\n 10\n" + exif(6).hex())
    cmyk_profile = bytearray(profile())
    cmyk_profile[16:20] = b"CMYK"
    return {
        "nothing": (b"", "0 bytes"),
        "text": (b"hello, I am no image", "none of these"),
        "tiff": (saved(samples(), "TIFF"), "TIFF"),
        "avif": (b"\0\0\0\x1cftypavif" + bytes(40), "AVIF"),
        "a .tfh file": (b"TFH\x01" + bytes(60), ".tfh"),
        "jpeg cut in its scan": (jpeg[:-500], "cut short or damaged"),
        "jpeg cut in its header": (jpeg[:100], "cut short or damaged"),
        "jpeg of two bytes": (jpeg[:3], "cut short or damaged"),
        "png cut": (whole[:-20], "cut short or damaged"),
        "png damaged": (bytes(damaged), "cut short or damaged"),
        "png that claims too much": (bytes(huge), "60000x60000"),
        "png with exif as text": (saved(samples(), "PNG", pnginfo=raw), "EXIF in a text chunk"),
        "png without its last row": (png_without_rows(1, False), "cut short or damaged"),
        "png without all but its first row": (png_without_rows(7, False), "cut short or damaged"),
        "png interlaced, without its last row": (png_without_rows(1, True), "cut short or damaged"),
        "gif cut between blocks": (gif[: gif_blocks(gif)[1][-3]], "cut short or damaged"),
        "gif cut within a block": (gif[: gif_blocks(gif)[1][-3] - 9], "cut short or damaged"),
        "gif cut, then ended": (gif_without_blocks(gif, 1), "cut short or damaged"),
        "gif of its first codes": (gif_without_blocks(gif, 3), "cut short or damaged"),
        "gif without codes": (gif[: gif_blocks(gif)[0]] + b"\0;", "cut short or damaged"),
        "gif with transparency": (
            saved(Image.fromarray(samples()).quantize(50), "GIF", transparency=1),
            "transparency",
        ),
        "bmp with a palette": (saved(Image.fromarray(samples()).quantize(50), "BMP"), "BMP"),
        "cmyk with a profile": (
            saved(cmyk(), "JPEG", icc_profile=bytes(cmyk_profile)),
            "CMYK with a colour profile",
        ),
        "larger than allowed": (
            saved(np.zeros([1001, 1000, 3], np.uint8), "PNG"),
            "more than the limit of 1,000,000",
        ),
    }
