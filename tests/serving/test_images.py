"""Images through the signature `compress`: the file that the command line makes of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.serving import pictures
from tfhific.pictures.images import encode_png, read_picture

READABLE, REFUSED, WEBP = pictures.readable(), pictures.refused(), pictures.webp()
HAS_WEBP = hasattr(tf.raw_ops, "DecodeWebP")


@pytest.fixture(scope="module")
def outcome(call) -> dict[str, tuple[bytes, str]]:
    """Every image of this file in one batch, good ones between bad ones: file and error."""
    cases = {**READABLE, **{name: data for name, (data, _) in REFUSED.items()}, **WEBP}
    names = sorted(cases, key=lambda name: name[::-1])
    out = call("compress", image_bytes=[cases[name] for name in names])
    errors = [error.decode() for error in out["error"]]
    return dict(zip(names, zip(out["compressed_bytes"].tolist(), errors)))


@pytest.fixture(scope="module")
def restored(call, outcome) -> dict[str, bytes]:
    """What `decompress` makes of them."""
    names = list(READABLE)
    out = call("decompress", compressed_bytes=[outcome[name][0] for name in names])
    assert not any(out["error"])
    return dict(zip(names, out["image_bytes"].tolist()))


@pytest.mark.parametrize("name", READABLE)
def test_an_image_gives_the_file_of_the_command_line(name, outcome, tiny_codec):
    file, error = outcome[name]
    assert error == ""
    assert file == tiny_codec.compress_picture(read_picture(READABLE[name]), 5.0)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_image_gives_its_error_and_no_file(name, outcome):
    file, error = outcome[name]
    assert file == b""
    assert REFUSED[name][1] in error
    assert "\n" not in error


@pytest.mark.parametrize("name", WEBP)
def test_webp_is_read_where_tensorflow_decodes_it_and_else_refused_by_name(
    name, outcome, tiny_codec
):
    file, error = outcome[name]
    if HAS_WEBP:
        assert (error, file) == ("", tiny_codec.compress_picture(read_picture(WEBP[name]), 5.0))
    else:
        assert file == b""
        assert "received WebP" in error


@pytest.mark.parametrize("name", READABLE)
def test_a_file_gives_the_png_of_the_command_line(name, outcome, restored, tiny_codec):
    picture = tiny_codec.decompress_picture(outcome[name][0])
    expected = Image.open(io.BytesIO(encode_png(picture)))
    image = Image.open(io.BytesIO(restored[name]))
    assert image.mode == expected.mode
    assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert image.info.get("icc_profile") == expected.info.get("icc_profile")
    assert image.info.get("exif") == expected.info.get("exif")


def test_a_png_with_metadata_is_sound_to_the_last_checksum(restored):
    # Pillow checks the CRC of every chunk, and inflates the profile with its own checksum.
    image = Image.open(io.BytesIO(restored["jpeg-icc-of-several-segments"]))
    image.verify()
    assert len(image.info["icc_profile"]) > 150_000
