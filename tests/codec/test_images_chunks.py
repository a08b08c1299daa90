"""PNG chunk by chunk: damage beside the picture does not hide it, damage to it is never shown."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.codec.test_images import chunk, in_mode, photo, png, saved, srgb_profile
from tfhific.errors import ImageError
from tfhific.pictures.images import read_picture

SMALL = photo(9, 11)
ROWS = [row.tobytes() for row in SMALL]


def refusal(data):
    with pytest.raises(ImageError) as caught:
        read_picture(data)
    return str(caught.value)


def with_chunks(*chunks):
    """`SMALL` with chunks between header and samples."""
    return png(11, 9, 8, 2, ROWS, *chunks)


def broken(kind, content=b""):
    """A chunk whose checksum is wrong."""
    good = chunk(kind, content)
    return good[:-1] + bytes([good[-1] ^ 1])


def text(size):
    return b"Comment\0" + bytes(65 + k % 26 for k in range(size))


# Beside the picture


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", text(3_000_000)),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5_000_000))),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(5_000_000))),
        b"".join(chunk(b"tEXt", text(20)) for _ in range(5000)),
        b"".join(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1000))) for _ in range(3000)),
        chunk(b"zTXt", b"Comment\0\0not zlib"),
        chunk(b"zTXt", b"XML:com.adobe.xmp\0\0not zlib"),
        chunk(b"iTXt", b"XML:com.adobe.xmp"),
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  9\nzz"),
        chunk(b"iTXt", b""),
        broken(b"tEXt", text(9)),
        broken(b"eXIf", b"MM\0*"),
        broken(b"iCCP", b"name\0\0" + zlib.compress(srgb_profile())),
        broken(b"tRNS", bytes(6)),
        broken(b"cICP", bytes([9, 16, 0, 1])),
        broken(b"gAMA", struct.pack(">I", 100000)),
        chunk(b"eXIf"),
        chunk(b"eXIf", b"II"),
        chunk(b"iCCP"),
        chunk(b"iCCP", b"name"),
        chunk(b"iCCP", b"name\0\0"),
        chunk(b"iCCP", b"name\0\7" + zlib.compress(srgb_profile())),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(srgb_profile())[:-20]),
        chunk(b"pHYs"),
        chunk(b"pHYs", b"\0\0\1"),
        chunk(b"gAMA"),
        chunk(b"gAMA", bytes(4)),
        chunk(b"gAMA", b"\0\0"),
        chunk(b"cHRM", bytes(5)),
        chunk(b"tRNS"),
        chunk(b"tRNS", bytes(5)),
        chunk(b"tRNS", bytes(300)),
        chunk(b"sRGB"),
        chunk(b"cICP", bytes([9, 16, 0])),
        chunk(b"cICP", bytes([200, 200, 0, 1])),
        chunk(b"sBIT"),
        chunk(b"bKGD", b"\0"),
        chunk(b"hIST", b"\0"),
        chunk(b"tIME", b"\0"),
        chunk(b"acTL", b"\0"),
        chunk(b"fcTL", b"\0"),
        chunk(b"prIv", bytes(70_000)),
    ],
    # Without the length: a profile says when it was made, and packs to another one each second.
    ids=lambda extra: extra[4:8].decode(),
)
def test_damaged_large_and_many_ancillary_chunks_do_not_hide_the_picture(extra):
    picture = read_picture(with_chunks(extra))
    np.testing.assert_array_equal(picture.pixels, SMALL)
    assert (picture.alpha, picture.icc, picture.exif) == (None, None, None)


def test_a_large_profile_is_kept():
    profile = srgb_profile() + np.random.default_rng(0).bytes(1_500_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    packed = chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))
    assert read_picture(with_chunks(packed)).icc == profile


def test_a_profile_that_inflates_without_end_counts_as_none():
    packed = zlib.compress(bytes(1 << 25))
    assert read_picture(with_chunks(chunk(b"iCCP", b"name\0\0" + packed))).icc is None


@pytest.mark.parametrize("where", ["before", "behind"])
def test_exif_counts_before_and_behind_the_samples(where):
    tags = Image.Exif()
    tags[0x0112] = 3
    extra = chunk(b"eXIf", tags.tobytes()[6:])
    data = with_chunks(extra) if where == "before" else with_chunks()[:-12] + extra + chunk(b"IEND")
    np.testing.assert_array_equal(read_picture(data).pixels, SMALL[::-1, ::-1])


@pytest.mark.parametrize("compressed", [False, True])
def test_orientation_in_an_xmp_text_counts(compressed):
    packet = b'<rdf:Description tiff:Orientation="3"/>'
    packet = zlib.compress(packet) if compressed else packet
    extra = chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0, 0, 0]) + packet)
    np.testing.assert_array_equal(read_picture(with_chunks(extra)).pixels, SMALL[::-1, ::-1])


def test_palette_transparency_longer_than_the_palette_counts_as_none():
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60]))
    data = png(8, 1, 1, 3, [b"\x55"], palette, chunk(b"tRNS", bytes(3)))
    assert read_picture(data).alpha is None


def test_indexes_beyond_the_palette_are_black():
    data = png(4, 1, 4, 3, [b"\x01\x2f"], chunk(b"PLTE", bytes([9, 9, 9, 40, 50, 60])))
    colours = [[9, 9, 9], [40, 50, 60], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(read_picture(data).pixels, [colours])


# The picture itself


def split(data):
    """Chunks of a PNG file: kinds and contents."""
    at, parts = 8, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def joined(parts):
    return data_start() + b"".join(chunk(kind, content) for kind, content in parts)


def data_start():
    return b"\x89PNG\r\n\x1a\n"


KINDS = {
    "1": photo(channels=1)[..., 0] > 127,
    "L": photo(channels=1)[..., 0],
    "I;16": photo(channels=1)[..., 0].astype(np.uint16) * 257,
    "LA": photo(channels=2),
    "RGB": photo(),
    "RGBA": photo(channels=4),
}


def adam7(pixels):
    """The rows of each of the seven passes, with filter bytes: uint8 [H, W, 3]."""
    rows = []
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for x, y, dx, dy in [*steps, (0, 1, 1, 2)]:
        part = pixels[y::dy, x::dx]
        rows += [b"\0" + row.tobytes() for row in part if part.shape[1]]
    return rows


def interlaced(pixels, rows):
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    samples = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return data_start() + chunk(b"IHDR", head) + samples + chunk(b"IEND")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_rows_are_refused_though_all_checksums_are_right(kind):
    samples = KINDS[kind]
    image = in_mode(kind, samples) if kind == "LA" else Image.fromarray(samples)
    assert image.mode == kind
    parts = split(saved(image, "PNG"))
    rows = zlib.decompress(b"".join(content for name, content in parts if name == b"IDAT"))
    step = len(rows) // samples.shape[0]
    head, tail = parts[0], (b"IEND", b"")
    refusal(joined([head, (b"IDAT", zlib.compress(b"")), tail]))
    for keep in (step, len(rows) - step, len(rows) - 1):
        cut = (b"IDAT", zlib.compress(rows[:keep]))
        assert "cut short" in refusal(joined([head, cut, tail]))
    whole = joined([head, (b"IDAT", zlib.compress(rows)), tail])
    np.testing.assert_array_equal(
        read_picture(whole).pixels, read_picture(saved(image, "PNG")).pixels
    )


@pytest.mark.parametrize("size", [(40, 56), (1, 1), (1, 2), (2, 1), (3, 5), (5, 3), (1, 9), (9, 1)])
def test_missing_rows_of_interlaced_pictures_are_refused(size):
    pixels = np.maximum(photo(*size), 1)
    rows = adam7(pixels)
    np.testing.assert_array_equal(read_picture(interlaced(pixels, rows)).pixels, pixels)
    for keep in {0, len(rows) // 2, len(rows) - 1}:
        refusal(interlaced(pixels, rows[:keep]))


@pytest.mark.parametrize("interlace", [False, True])
def test_black_pictures_are_read_though_missing_rows_would_look_so(interlace):
    pixels = np.zeros((9, 11, 3), np.uint8)
    plain = png(11, 9, 8, 2, [row.tobytes() for row in pixels])
    data = interlaced(pixels, adam7(pixels)) if interlace else plain
    np.testing.assert_array_equal(read_picture(data).pixels, pixels)


def test_samples_in_many_chunks_are_read():
    parts = split(with_chunks())
    data = parts[1][1]
    pieces = [(b"IDAT", data[k : k + 3]) for k in range(0, len(data), 3)]
    mixed = [parts[0], *pieces[:2], (b"IDAT", b""), *pieces[2:], parts[2]]
    np.testing.assert_array_equal(read_picture(joined(mixed)).pixels, SMALL)


@pytest.mark.parametrize(
    "mended",
    [
        lambda parts: [parts[0], parts[2]],
        lambda parts: parts[1:],
        lambda parts: [parts[1], parts[0], parts[2]],
        lambda parts: [parts[0], parts[0], *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:12]), *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:-1] + b"\2"), *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:-2] + b"\1\0"), *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:8] + b"\3" + parts[0][1][9:]), *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:9] + b"\5" + parts[0][1][10:]), *parts[1:]],
        lambda parts: [(b"IHDR", parts[0][1][:9] + b"\3" + parts[0][1][10:]), *parts[1:]],
        lambda parts: [parts[0], (b"IDAT", parts[1][1][:-9]), parts[2]],
        lambda parts: [parts[0], (b"IDAT", parts[1][1][:40]), (b"tEXt", b"a\0b"), *parts[1:]],
        lambda parts: [parts[0], (b"1234", b""), *parts[1:]],
    ],
)
def test_damage_to_critical_chunks_and_their_order_is_refused(mended):
    assert "damaged" in refusal(joined(mended(split(with_chunks()))))


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE"])
def test_wrong_checksums_of_critical_chunks_are_refused(kind):
    image = Image.fromarray(photo()).quantize(16)
    parts = split(saved(image, "PNG"))
    body = b"".join((broken if name == kind else chunk)(name, content) for name, content in parts)
    assert "checksum" in refusal(data_start() + body)


def test_critical_chunks_of_others_are_a_kind_that_is_not_read():
    parts = split(with_chunks())
    told = refusal(joined([(b"CgBI", bytes(4)), *parts]))
    assert "this kind is not read" in told
    assert "CgBI" in told


def test_pictures_are_read_from_streams_without_a_name():
    np.testing.assert_array_equal(read_picture(io.BytesIO(with_chunks())).pixels, SMALL)
