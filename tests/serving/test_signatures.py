"""Batches through the signatures: elements of any kind side by side, and what comes back."""

from __future__ import annotations

import dataclasses
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.serving import pictures
from tfhific.bitstream import container
from tfhific.bitstream.checksum import checksum
from tfhific.errors import BitstreamError
from tfhific.pictures.images import encode_png, read_picture


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture(scope="module")
def images(photo) -> list[np.ndarray]:
    """Pictures of different sizes."""
    return [photo(97, 130, 1), photo(40, 200, 2), photo(1, 1, 3), photo(128, 64, 4)]


@pytest.fixture(scope="module")
def files(images, tiny_codec) -> list[bytes]:
    return [tiny_codec.compress(image) for image in images]


def test_files_of_the_command_line_decode_to_its_pixels(call, images, files, tiny_codec):
    out = call("decompress", compressed_bytes=files)
    assert out["error"].tolist() == [b""] * len(files)
    for file, png in zip(files, out["image_bytes"]):
        assert np.array_equal(pixels_of(png), tiny_codec.decompress(file))


def test_each_element_has_its_own_quality(call, images, tiny_codec):
    encoded = [pictures.saved(image, "PNG") for image in images]
    qualities = [1.0, 8.0, 2.75, 6.1]
    out = call("compress_at", image_bytes=encoded, quality=np.float32(qualities))
    assert out["error"].tolist() == [b""] * len(images)
    for image, quality, file in zip(images, qualities, out["compressed_bytes"]):
        assert file == tiny_codec.compress(image, quality)


@pytest.mark.parametrize("quality", [0.99, 8.01, float("nan"), float("inf"), -3.0])
def test_a_bad_quality_is_its_own_elements_error(call, images, files, quality):
    encoded = [pictures.saved(image, "PNG") for image in images[:2]]
    out = call("compress_at", image_bytes=encoded, quality=np.float32([quality, 5.0]))
    assert out["compressed_bytes"].tolist() == [b"", files[1]]
    assert b"from 1 to 8" in out["error"][0]
    assert out["error"][1] == b""


def test_raw_pictures_give_the_files_of_encoded_ones(call, photo, tiny_codec):
    batch = np.stack([photo(70, 90, seed) for seed in range(3)])
    out = call("compress_raw", image=batch, quality=np.float32([3, 9, 5]))
    assert out["error"][0] == out["error"][2] == b""
    assert out["compressed_bytes"][0] == tiny_codec.compress(batch[0], 3.0)
    assert out["compressed_bytes"][1] == b""
    assert out["compressed_bytes"][2] == tiny_codec.compress(batch[2], 5.0)


def test_raw_results_are_padded_to_one_size(call, images, files, tiny_codec):
    out = call("decompress_raw", compressed_bytes=[files[0], b"garbage", *files[1:]])
    assert out["height"].tolist() == [97, 0, 40, 1, 128]
    assert out["width"].tolist() == [130, 0, 200, 1, 64]
    assert out["image"].shape == (5, 128, 200, 3)
    assert out["error"][1].startswith(b"Not a .tfh file")
    for place, file in zip((0, 2, 3, 4), files):
        decoded = tiny_codec.decompress(file)
        height, width = decoded.shape[:2]
        assert np.array_equal(out["image"][place, :height, :width], decoded)
        assert not out["image"][place, height:].any()
        assert not out["image"][place, :, width:].any()


def test_an_empty_batch_gives_an_empty_batch(call):
    assert call("compress", image_bytes=np.zeros([0], object))["error"].shape == (0,)
    assert call("decompress_raw", compressed_bytes=np.zeros([0], object))["height"].shape == (0,)


def test_info_says_what_the_command_line_says(call, files, tiny_codec):
    alpha = tiny_codec.compress_picture(read_picture(pictures.readable()["png-alpha"]), 2.5)
    out = call("info", compressed_bytes=[*files, alpha, alpha[:-1]])
    for place, file in enumerate([*files, alpha]):
        contents = container.unpack(file)
        assert out["fingerprint"][place].decode() == contents.fingerprint.hex()
        assert out["width"][place] == contents.width
        assert out["height"][place] == contents.height
        assert out["quality"][place] == np.float32(contents.quality)
        assert out["bytes"][place] == len(file)
        assert out["latents_streams"][place] == contents.y_streams
        assert out["hyperlatents_streams"][place] == contents.z_streams
        assert out["alpha_size"][place] == len(contents.alpha or b"")
        assert out["format_version"][place] == contents.version
        assert out["error"][place] == b""
    assert b"checksum" in out["error"][-1]
    assert out["width"][-1] == 0


def test_info_reads_files_of_systems_with_entries_of_their_own(call, files):
    contents = container.unpack(files[0])
    other = container.pack(dataclasses.replace(contents, labels=b"abc", code=b"d", exif=b"e"))
    out = call("info", compressed_bytes=[other])
    assert out["error"].tolist() == [b""]
    assert out["exif_size"][0] == 1


def test_a_file_of_another_model_is_refused_by_name(call, stranger_codec, tiny_codec, photo):
    file = stranger_codec.compress(photo(64, 64))
    out = call("decompress", compressed_bytes=[file])
    message = out["error"][0].decode()
    assert stranger_codec.fingerprint.hex() in message
    assert tiny_codec.fingerprint.hex() in message
    assert call("info", compressed_bytes=[file])["error"][0] == b""


def repaired(body: bytes) -> bytes:
    """A file with a checksum that fits."""
    return body + checksum(body)


def hostile(file: bytes) -> dict[str, bytes]:
    """Files that are wrong in a way that the checksum does not tell."""
    contents = container.unpack(file)
    body = file[:-8]

    def packed(**changes) -> bytes:
        return container.pack(dataclasses.replace(contents, **changes))

    return {
        "another version": repaired(body[:3] + b"\x07" + body[4:]),
        "no picture": packed(height=0),
        "a huge picture": packed(height=1 << 34, width=1 << 34),
        "a larger picture": packed(height=900, width=900),
        "a large picture of nothing": packed(height=999, width=999, z=b"\0", y=b"\0"),
        "impossible bands": packed(band_rows=3),
        "bands beyond": packed(band_rows=400),
        "bands without lengths": packed(band_rows=4, y=b"\xff\xff\xff"),
        "more streams": packed(z_streams=1024, y_streams=1024),
        "no streams": packed(z=b"", y=b""),
        "no latents": packed(y=b""),
        "a stream longer than its symbols": packed(y=contents.y + bytes(1 << 16)),
        "an escape beyond the end": packed(y=b"\x80\x05\xff\xff\xff\x7f\x01" + contents.y[1:]),
        "a quality beyond": repaired(body[:14] + b"\xff\x7f" + body[16:]),
        "an alpha plane of another size": packed(
            alpha=pictures.saved(np.zeros([5, 5], "u1"), "PNG")
        ),
        "an alpha plane that is none": packed(alpha=b"garbage"),
        "an alpha plane that claims too much": packed(
            alpha=b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff" + bytes(20)
        ),
        "cut in its header": repaired(body[:13]),
        "nothing but its magic": repaired(body[:4]),
        "a number that never ends": repaired(body[:12] + b"\xff" * 6),
    }


def test_a_hostile_file_gives_its_error_and_its_neighbours_their_pictures(
    call, images, files, tiny_codec
):
    cases = hostile(files[0])
    batch = [item for bad in cases.values() for item in (files[1], bad)]
    out = call("decompress", compressed_bytes=batch)
    expected = tiny_codec.decompress(files[1])
    for place, name in enumerate(cases):
        good, bad = out["image_bytes"][2 * place], out["image_bytes"][2 * place + 1]
        assert np.array_equal(pixels_of(good), expected), name
        assert bad == b"", name
        assert out["error"][2 * place] == b"", name
        assert out["error"][2 * place + 1] != b"", name
        with pytest.raises(BitstreamError):
            tiny_codec.decompress_picture(cases[name])


def mutate(data: bytes, rng: np.random.Generator, repair: bool) -> bytes:
    """Changed, cut or lengthened bytes, perhaps with a checksum that fits."""
    body = bytearray(data[:-8] if repair else data)
    kind = rng.integers(4)
    if kind == 0:
        del body[int(rng.integers(len(body))) :]
    elif kind == 1:
        at = int(rng.integers(len(body)))
        body[at:at] = rng.bytes(int(rng.integers(1, 9)))
    else:
        for _ in range(int(rng.integers(1, 5))):
            body[int(rng.integers(len(body)))] = int(rng.integers(256))
    return repaired(bytes(body)) if repair else bytes(body)


def survives(call, tiny_codec, file: bytes, image: bytes, count: int) -> None:
    """Sends mutated files and images, good ones among them, and looks at every answer."""
    rng = np.random.default_rng(11)
    picture = pixels_of(encode_png(tiny_codec.decompress_picture(file)))
    expected = tiny_codec.compress_picture(read_picture(image), 5.0)
    for start in range(0, count, 32):
        bad = [mutate(file, rng, repair=bool(i % 2)) for i in range(16)]
        out = call("decompress", compressed_bytes=[file, *bad, file])
        assert np.array_equal(pixels_of(out["image_bytes"][0]), picture), start
        assert np.array_equal(pixels_of(out["image_bytes"][-1]), picture), start
        for data, png, error in zip(bad, out["image_bytes"][1:], out["error"][1:]):
            assert (png == b"") == (error != b"")
            # With a checksum that fits, a changed file may be some picture.
            assert error or data == file or zlib.crc32(data) != zlib.crc32(file)
        bad = [mutate(image, rng, repair=False) for _ in range(16)]
        out = call("compress", image_bytes=[image, *bad, image])
        assert out["compressed_bytes"][0] == out["compressed_bytes"][-1] == expected, start
        for data, error in zip(out["compressed_bytes"], out["error"]):
            assert (data == b"") == (error != b"")


@pytest.mark.parametrize("name", ["png-alpha-exif", "jpeg-cmyk"])
def test_mutations_never_reach_a_neighbour(call, tiny_codec, name):
    image = pictures.readable()[name]
    file = tiny_codec.compress_picture(read_picture(image), 5.0)
    survives(call, tiny_codec, file, image, 64)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["png-alpha-exif", "png-palette", "jpeg-thumbnail-big", "jpeg-cmyk"]
)
def test_ten_thousand_mutations_never_reach_a_neighbour(call, tiny_codec, name):
    image = pictures.readable()[name]
    file = tiny_codec.compress_picture(read_picture(image), 5.0)
    survives(call, tiny_codec, file, image, 2500)
