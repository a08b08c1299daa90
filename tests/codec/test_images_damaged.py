"""Reading what is no picture, is cut or hostile: one line that names it, and nothing else."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from tfhific.errors import ImageError, PictureWarning
from tfhific.pictures.images import read_picture

KINDS = ["JPEG", "progressive", "PNG", "WEBP", "TIFF", "BMP", "GIF"]
if features.check("avif"):
    KINDS.append("AVIF")


def example(kind, size=(24, 20)):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    image = coarse.resize(size, Image.Resampling.BICUBIC)
    held = io.BytesIO()
    if kind == "progressive":
        image.save(held, "JPEG", progressive=True)
    else:
        image.save(held, kind)
    return held.getvalue()


def refusal(source, **options):
    with pytest.raises(ImageError) as caught:
        read_picture(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("cannot read ")
    return message


def png_of_size(width, height, data=b""):
    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    )


# Sources


def test_path_bytes_and_open_files_give_the_same(tmp_path):
    data = example("PNG")
    path = tmp_path / "x.png"
    path.write_bytes(data)
    expected = read_picture(data).pixels
    with open(path, "rb") as stream:
        for source in (path, str(path), bytearray(data), io.BytesIO(data), stream):
            np.testing.assert_array_equal(read_picture(source).pixels, expected)
        assert not stream.closed


def test_dash_is_standard_input(monkeypatch):
    data = example("PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    np.testing.assert_array_equal(read_picture("-").pixels, read_picture(data).pixels)


def test_empty_standard_input_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert "standard input" in refusal("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_is_read(tmp_path):
    data = example("PNG")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    picture = read_picture(pipe)
    writer.join()
    np.testing.assert_array_equal(picture.pixels, read_picture(data).pixels)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless device here")
def test_endless_input_is_given_up():
    with open("/dev/zero", "rb") as stream:
        assert "received more" in refusal(stream, max_pixels=1)


@pytest.mark.parametrize("name", ["missing.png", "missing/x.png", "a\nb.png", "\0.png", "file/x"])
def test_missing_files_are_named_in_one_line(name, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    path = str(tmp_path / name)
    assert repr(path) in refusal(path)


def test_directory_is_refused(tmp_path):
    message = refusal(tmp_path)
    assert "received a directory" in message
    assert repr(str(tmp_path)) in message


def test_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    assert "received nothing (0 bytes)" in refusal(path)


@pytest.mark.parametrize("source", [None, 3, 1.5, ["x.png"]])
def test_other_types_are_refused(source):
    assert type(source).__name__ in refusal(source)


def test_text_file_object_is_refused():
    refusal(io.StringIO("text"))


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"hello, world\n" * 9,
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.7\n",
        b"P6\n1 1\n255\nabc",
    ],
)
def test_other_formats_are_refused_with_those_that_are_read(data):
    assert "expected a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF file" in refusal(data)


# Damage


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files_are_refused_unless_only_padding_is_missing(kind, recwarn, capfd):
    data = example(kind)
    whole = read_picture(data).pixels
    recwarn.clear()
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 150)):
        try:
            picture = read_picture(data[:length])
        except ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(picture.pixels, whole)
            assert length > len(data) - 400
    assert refused > 50
    assert {warning.category for warning in recwarn} <= {PictureWarning}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_cut_compressed_tiffs_are_refused_in_silence(compression, capfd):
    held = io.BytesIO()
    image = Image.open(io.BytesIO(example("PNG", (64, 64))))
    image.save(held, "TIFF", compression=compression)
    data = held.getvalue()
    whole = read_picture(data).pixels
    for length in range(4, len(data), max(1, len(data) // 200)):
        try:
            picture = read_picture(data[:length])
        except ImageError:
            continue
        # Resolution and the like, behind everything that the samples need.
        np.testing.assert_array_equal(picture.pixels, whole)
        assert length > len(data) - 64
    assert capfd.readouterr() == ("", "")


def test_big_tiff_is_read_and_refused_when_cut():
    held = io.BytesIO()
    image = Image.open(io.BytesIO(example("PNG")))
    image.save(held, "TIFF", big_tiff=True)
    data = held.getvalue()
    np.testing.assert_array_equal(read_picture(data).pixels, np.asarray(image))
    for length in (8, 16, 17, 40, 200, len(data) - 1):
        refusal(data[:length])


def test_tiff_whose_folder_or_tables_lie_outside_is_refused():
    for first in (0xFFFFFFFF, 1 << 20):
        assert "first folder" in refusal(b"II*\x00" + struct.pack("<I", first) + bytes(40))
    entry = struct.pack("<HHII", 273, 4, 0xFFFFFFFF, 8)
    data = b"II*\x00" + struct.pack("<IH", 8, 1) + entry + bytes(40)
    assert "tables" in refusal(data)


def test_png_cut_anywhere_is_refused():
    data = example("PNG")
    for length in [*range(40), *range(len(data) - 40, len(data))]:
        refusal(data[:length])


@pytest.mark.filterwarnings("ignore::tfhific.errors.PictureWarning")
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_give_a_picture_or_an_image_error(data):
    file = bytearray(example(data.draw(st.sampled_from(KINDS))))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(file), max_pixels=1 << 16)
    except ImageError as error:
        told = str(error)
    else:
        told = ""
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[2:] == (3,)
        assert picture.alpha is None or picture.alpha.shape == picture.pixels.shape[:2]
    assert "\n" not in told


# Size


def test_limit_counts_pixels_and_is_inclusive():
    data = example("PNG", (10, 10))
    assert read_picture(data, max_pixels=100).pixels.shape == (10, 10, 3)
    assert "at most 99 pixels, received 10 x 10" in refusal(data, max_pixels=99)


@pytest.mark.parametrize("kind", KINDS)
def test_limit_holds_for_every_format(kind):
    assert "at most 479 pixels, received 24 x 20" in refusal(example(kind), max_pixels=479)


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (65535, 65535), (0, 5)])
def test_huge_and_empty_png_headers_are_refused(size):
    refusal(png_of_size(*size))


def test_huge_webp_canvas_is_refused_from_its_header():
    big = (16383).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + big + big
    data = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    assert "16384 x 16384" in refusal(data)


@pytest.mark.parametrize("kind", KINDS)
def test_limit_above_pillows_own_counts(kind, monkeypatch):
    data = example(kind)
    expected = read_picture(data).pixels
    for pillows in (400, 100):  # 480 pixels: Pillow by itself warns, and then refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
        np.testing.assert_array_equal(read_picture(data, max_pixels=480).pixels, expected)
        assert "at most 479 pixels" in refusal(data, max_pixels=479)
        assert pillows == Image.MAX_IMAGE_PIXELS


def test_compression_bomb_in_a_profile_is_refused():
    bomb = b"x\x00\x00" + zlib.compress(bytes(1 << 25))
    crc = zlib.crc32(b"iCCP" + bomb)
    chunk = struct.pack(">I", len(bomb)) + b"iCCP" + bomb + struct.pack(">I", crc)
    data = example("PNG")
    # A viewer shows such a file without its profile; an error is as good.
    try:
        picture = read_picture(data[:33] + chunk + data[33:])
    except ImageError:
        return
    assert picture.icc is None


# Kinds that 8-bit RGB cannot show


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_float_and_wide_integer_samples_are_refused(dtype):
    held = io.BytesIO()
    Image.fromarray(np.ones((4, 5), dtype)).save(held, "TIFF")
    assert "expected samples that 8-bit RGB can show" in refusal(held.getvalue())


def test_signed_samples_are_refused():
    held = io.BytesIO()
    Image.fromarray(np.ones((4, 5), np.uint8)).save(held, "TIFF", tiffinfo={339: 2})
    assert "signed" in refusal(held.getvalue())


def test_lab_is_refused():
    held = io.BytesIO()
    Image.new("LAB", (4, 5)).save(held, "TIFF")
    assert "LAB" in refusal(held.getvalue())


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused(transfer, name):
    content = bytes([9, transfer, 0, 1])
    crc = zlib.crc32(b"cICP" + content)
    chunk = struct.pack(">I", 4) + b"cICP" + content + struct.pack(">I", crc)
    data = example("PNG")
    assert name in refusal(data[:33] + chunk + data[33:])


@pytest.mark.skipif("AVIF" not in KINDS, reason="this Pillow reads no AVIF")
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_avif_is_refused(transfer, name):
    data = example("AVIF")
    at = data.index(b"colrnclx") + 10
    assert name in refusal(data[:at] + bytes([0, transfer]) + data[at + 2 :])


def test_16_bit_transparent_colour_is_refused():
    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tRNS", bytes(6))
    data += chunk(b"IDAT", zlib.compress(bytes(7))) + chunk(b"IEND", b"")
    assert "transparent colour" in refusal(data)


# Warnings


def test_warnings_of_pillow_stay_inside(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # 480 pixels: a warning, not an error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(example("PNG")).pixels.shape == (20, 24, 3)


def test_warning_filters_are_restored_after_reading_in_many_threads():
    before = list(warnings.filters)
    data = [example(kind) for kind in KINDS] * 10
    with ThreadPoolExecutor(8) as pool:
        shapes = {picture.pixels.shape for picture in pool.map(read_picture, data)}
    assert shapes == {(20, 24, 3)}
    assert warnings.filters == before
