"""The alpha section of a file: one rule, the same from the Python codec and from the graph."""

from __future__ import annotations

import dataclasses
import importlib
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.serving import pictures
from tfhific.bitstream import container
from tfhific.errors import BitstreamError
from tfhific.pictures.header import PNG_SIGNATURE
from tfhific.pictures.images import encode_png
from tfhific.pictures.plane import MAX_CHUNKS, decode_plane, encode_plane

HEIGHT, WIDTH = 21, 34


def plane() -> np.ndarray:
    return (np.mgrid[:HEIGHT, :WIDTH].sum(0) * 4 % 256).astype(np.uint8)


def built(*chunks: tuple[bytes, bytes], depth: int = 8, kind: int = 0, interlaced: int = 0):
    """A PNG of `plane` whose last chunks are given."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, interlaced)
    return PNG_SIGNATURE + b"".join(
        pictures.chunk(name, content) for name, content in ((b"IHDR", head), *chunks)
    )


def rows(count: int = HEIGHT) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in plane()[:count])


def refused() -> dict[str, bytes]:
    whole, stream, end = encode_plane(plane()), zlib.compress(rows()), (b"IEND", b"")
    data = (b"IDAT", stream)
    wide = plane().astype(np.uint16) * 257
    bomb = zlib.compress(bytes(1 << 20), 9)
    image = Image.fromarray(plane())
    damaged = bytearray(whole)
    damaged[-20] ^= 255
    return {
        "nothing": b"",
        "a JPEG": pictures.saved(image, "JPEG"),
        "a WebP": pictures.saved(image, "WEBP", lossless=True),
        "a TIFF": pictures.saved(image, "TIFF"),
        "a GIF": pictures.saved(image, "GIF"),
        "a BMP": pictures.saved(image, "BMP"),
        "a palette": pictures.saved(image.convert("P"), "PNG"),
        "16 bits": pictures.saved(Image.fromarray(wide), "PNG"),
        "1 bit": pictures.saved(image.convert("1"), "PNG"),
        "colours": pictures.saved(image.convert("RGB"), "PNG"),
        "grey with alpha": pictures.saved(image.convert("LA"), "PNG"),
        "another size": pictures.saved(image.resize((WIDTH + 1, HEIGHT)), "PNG"),
        "height for width": pictures.saved(image.transpose(Image.Transpose.TRANSPOSE), "PNG"),
        "interlaced": built(data, end, interlaced=1),
        "a text": built((b"tEXt", b"Comment\0hello"), data, end),
        "a text bomb": built((b"zTXt", b"Comment\0\0" + bomb), data, end),
        "a text behind its data": built(data, (b"tEXt", b"Comment\0hello"), end),
        "a profile": pictures.saved(image, "PNG", icc_profile=pictures.profile()),
        "an orientation": pictures.saved(image, "PNG", exif=pictures.exif(6)),
        "a transparent grey": built((b"tRNS", b"\0\5"), data, end),
        "a gamma": built((b"gAMA", b"\0\0\xb1\x8f"), data, end),
        "an animation": built((b"acTL", bytes(8)), data, end),
        "two headers": built((b"IHDR", whole[16:29]), data, end),
        "no data": built(end),
        "no end": built(data),
        "a long end": built(data, (b"IEND", b"more")),
        "something behind it": whole + b"x",
        "two of them": whole + whole,
        "a chunk beyond its end": whole[:-16] + b"\xff\xff\xff\xffIDAT",
        "a cut chunk": whole[:-5],
        "its beginning": whole[:20],
        "missing rows": built((b"IDAT", zlib.compress(rows(HEIGHT - 1))), end),
        "a wrong checksum": bytes(damaged),
        "a filter that there is not": built((b"IDAT", zlib.compress(b"\x09" + rows()[1:])), end),
        "a stream that is none": built((b"IDAT", b"garbage"), end),
    }


def read() -> dict[str, bytes]:
    end, stream = (b"IEND", b""), zlib.compress(rows())
    held = io.BytesIO()
    Image.fromarray(plane()).save(held, "PNG", optimize=True)
    return {
        "as it is written": encode_plane(plane()),
        "as version 0 had it": held.getvalue(),
        "in pieces": built((b"IDAT", stream[:9]), (b"IDAT", b""), (b"IDAT", stream[9:]), end),
    }


def behind() -> dict[str, bytes]:
    """Planes that are whole, with something behind their last row."""
    end, stream, more = (b"IEND", b""), zlib.compress(rows()), zlib.compress(rows() + bytes(9999))
    cases = {
        "a byte": [zlib.compress(rows() + b"\0")],
        "rows": [more],
        "rows without end": [zlib.compress(rows() + bytes(1 << 22), 9)],
        "garbage": [stream + b"garbage"],
        "garbage in a chunk of its own": [stream, b"garbage"],
        "another stream": [stream, stream],
    }
    return {name: built(*((b"IDAT", part) for part in parts), end) for name, parts in cases.items()}


@pytest.fixture(scope="module")
def contents(tiny_codec, photo) -> container.Contents:
    return container.unpack(tiny_codec.compress(photo(HEIGHT, WIDTH, seed=5)))


def test_what_is_no_grey_png_of_the_pictures_size_is_refused_by_both(call, tiny_codec, contents):
    cases = refused()
    files = {
        name: container.pack(dataclasses.replace(contents, alpha=alpha))
        for name, alpha in cases.items()
    }
    out = call("decompress", compressed_bytes=list(files.values()))
    for name, png, error in zip(files, out["image_bytes"], out["error"]):
        assert png == b"", name
        assert b"alpha plane can't be read" in error, name
        with pytest.raises(BitstreamError, match="alpha plane can't be read"):
            tiny_codec.decompress_picture(files[name])


def test_planes_of_every_version_are_read_alike_by_both(call, tiny_codec, contents):
    for name, alpha in read().items():
        file = container.pack(dataclasses.replace(contents, alpha=alpha))
        picture = tiny_codec.decompress_picture(file)
        assert np.array_equal(picture.alpha, plane()), name
        out = call("decompress", compressed_bytes=[file])
        assert out["error"].tolist() == [b""], name
        samples = np.asarray(Image.open(io.BytesIO(out["image_bytes"][0])))
        assert np.array_equal(samples, np.asarray(Image.open(io.BytesIO(encode_png(picture)))))
        assert np.array_equal(samples[..., 3], plane()), name


def test_pixels_alone_are_not_given_of_a_file_with_another_alpha_section(
    call, tiny_codec, contents
):
    file = container.pack(dataclasses.replace(contents, alpha=refused()["a JPEG"]))
    assert b"alpha plane" in call("decompress_raw", compressed_bytes=[file])["error"][0]
    with pytest.raises(BitstreamError, match="it is no PNG"):
        tiny_codec.decompress(file)


@pytest.mark.parametrize("loaded", [True, False])
def test_the_same_planes_are_read_and_refused_whether_tensorflow_is_loaded(loaded, monkeypatch):
    bad, good = refused() | behind(), [*read().values(), encode_plane(plane())]
    if loaded:
        importlib.import_module("tensorflow")
    else:
        monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    for name, alpha in bad.items():
        said = ""
        try:
            decode_plane(alpha, (HEIGHT, WIDTH))
        except BitstreamError as error:
            said = str(error)
        assert "alpha plane can't be read" in said, name
    for alpha in (*good, encode_plane(plane())):
        found = decode_plane(alpha, (HEIGHT, WIDTH))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, plane())


def test_a_graph_ignores_what_is_behind_the_last_row(call, contents):
    cases = behind()
    files = [container.pack(dataclasses.replace(contents, alpha=alpha)) for alpha in cases.values()]
    out = call("decompress", compressed_bytes=files)
    for name, png, error in zip(cases, out["image_bytes"], out["error"]):
        assert error == b"", name
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png)))[..., 3], plane()), name


def test_a_plane_has_65536_chunks_of_data_at_most():
    stream, end = zlib.compress(rows()), (b"IEND", b"")
    most = [(b"IDAT", stream), *[(b"IDAT", b"")] * (MAX_CHUNKS - 1)]
    assert np.array_equal(decode_plane(built(*most, end), (HEIGHT, WIDTH)), plane())
    with pytest.raises(BitstreamError, match="alpha plane can't be read"):
        decode_plane(built(*most, (b"IDAT", b""), end), (HEIGHT, WIDTH))


def test_a_damaged_plane_is_told_in_one_line():
    with pytest.raises(BitstreamError) as caught:
        decode_plane(refused()["missing rows"], (HEIGHT, WIDTH))
    assert "\n" not in str(caught.value)
