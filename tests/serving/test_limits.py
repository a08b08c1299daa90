"""What one request may have: pixels together, the array of raw results, inputs of one length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.serving import pictures
from tfc_port import coding
from tfhific.bitstream import container
from tfhific.serving.limits import TOO_MUCH, request_limit
from tfhific.serving.pipeline import SavedModel, _in_requests

# The tests' export: a picture may have 1,000,000 pixels, and a request no more.
LARGE = (1000, 1000)


@pytest.fixture(scope="module")
def small_file(tiny_codec, photo) -> bytes:
    return tiny_codec.compress(photo(30, 20))


@pytest.fixture(scope="module")
def large_file(small_file, tiny_published) -> bytes:
    """A file of as many pixels as a picture may have; what is wrong is seen once it is decoded."""
    tables = tiny_published.z_tables
    positions = (-(-LARGE[0] // 64)) * (-(-LARGE[1] // 64))
    rows = np.tile(np.arange(tables.rows, dtype=np.int32), positions)
    modes = (tables.minimum + tables.mode)[rows]
    z = coding.encode(modes, rows, tables, streams=1, implementation="python")
    contents = dataclasses.replace(
        container.unpack(small_file), height=LARGE[0], width=LARGE[1], z=z, z_streams=1
    )
    # An escape list of one value, which fits no 32 bits.
    y = b"\x80\x06\0\xff\xff\xff\xff\x7f"
    return container.pack(dataclasses.replace(contents, y=y, y_streams=1))


def test_pictures_beyond_a_requests_pixels_have_an_error_and_cost_nothing(call, photo):
    small = pictures.saved(photo(40, 50), "PNG")
    large = pictures.saved(np.zeros([*LARGE, 3], np.uint8), "PNG")
    huge = pictures.saved(np.zeros([1001, 1000, 3], np.uint8), "PNG")
    # What has an error of its own takes nothing from the others.
    out = call(
        "compress_at",
        image_bytes=[large, huge, b"garbage", small, large],
        quality=np.float32([9.0, 5.0, 5.0, 5.0, 5.0]),
    )
    assert [data == b"" for data in out["compressed_bytes"]] == [True, True, True, False, True]
    told = [error.decode() for error in out["error"]]
    assert "from 1 to 8" in told[0]
    assert "more than the limit of 1,000,000" in told[1]
    assert "none of these" in told[2]
    assert told[3] == ""
    assert TOO_MUCH in told[4]


def test_files_beyond_a_requests_pixels_have_an_error_and_cost_nothing(
    call, small_file, large_file
):
    damaged = large_file[:-1]
    out = call("decompress", compressed_bytes=[damaged, small_file, large_file])
    assert b"checksum" in out["error"][0]
    assert out["error"][1] == b""
    assert TOO_MUCH in out["error"][2].decode()
    assert [png == b"" for png in out["image_bytes"]] == [True, False, True]
    # Alone it is within the limit, and has another fault; what is seen to be none takes no room.
    error = call("decompress", compressed_bytes=[large_file])["error"][0].decode()
    assert "escape list is not sound" in error
    contents = container.unpack(large_file)
    empty = container.pack(dataclasses.replace(contents, y=b""))
    out = call("decompress", compressed_bytes=[empty, small_file])
    assert [error == b"" for error in out["error"]] == [False, True]


def test_raw_pictures_beyond_a_requests_pixels_have_an_error(call):
    batch = np.zeros([2, 1000, 501, 3], np.uint8)
    out = call("compress_raw", image=batch, quality=np.float32([5.0, 5.0]))
    assert out["error"][0] == b""
    assert TOO_MUCH in out["error"][1].decode()
    assert [data == b"" for data in out["compressed_bytes"]] == [False, True]


def test_small_files_cannot_make_a_large_array(call, tiny_codec, photo, small_file):
    wide, tall = (tiny_codec.compress(photo(*size)) for size in ((8, 2400), (2400, 8)))
    out = call("decompress_raw", compressed_bytes=[wide, tall, b"garbage", small_file])
    assert out["image"].shape == (4, 30, 2400, 3)
    assert out["height"].tolist() == [8, 0, 0, 30]
    assert out["width"].tolist() == [2400, 0, 0, 20]
    assert TOO_MUCH in out["error"][1].decode()
    assert out["error"][0] == out["error"][3] == b""
    # Alone it makes an array of its own size.
    assert call("decompress_raw", compressed_bytes=[tall])["image"].shape == (1, 2400, 8, 3)


@pytest.mark.parametrize("qualities", [[], [5.0], [5.0, 2.0, 7.0]])
@pytest.mark.parametrize("signature", ["compress_at", "compress_raw"])
def test_a_call_with_other_than_one_quality_for_each_image_fails_in_plain_words(
    call, signature, qualities
):
    from tensorflow.errors import InvalidArgumentError

    image = np.zeros([2, 8, 8, 3], np.uint8)
    if signature == "compress_at":
        inputs = {"image_bytes": [pictures.saved(picture, "PNG") for picture in image]}
    else:
        inputs = {"image": image}
    message = f"{signature} expects one quality for each image. Received: 2 images and "
    with pytest.raises(InvalidArgumentError, match=f"{message}{len(qualities)} qualities"):
        call(signature, quality=np.array(qualities, np.float32), **inputs)


def test_a_batch_of_files_is_done_in_as_many_requests_as_it_needs():
    sent = []

    def call(batch):
        sent.append([len(data) for data in batch])
        sums = np.cumsum(sent[-1])
        return [(data, "" if end <= 10 else TOO_MUCH) for data, end in zip(batch, sums)]

    sizes = [3, 5, 4, 6, 7, 11]
    results = _in_requests(call, [bytes(size) for size in sizes])
    assert [len(data) for data, _ in results] == sizes
    assert [error for _, error in results] == [""] * 5 + [TOO_MUCH]
    assert sent == [sizes, [4, 6, 7, 11], [7, 11], [11]]


def test_files_that_are_too_much_for_a_request_are_sent_again(loaded, small_file, large_file):
    model = object.__new__(SavedModel)
    model._loaded = loaded
    results = model.decompress([small_file, large_file, small_file])
    assert [error == "" for _, error in results] == [True, False, True]
    assert results[0] == results[2]
    assert "escape list is not sound" in results[1][1]


def test_a_request_may_always_have_the_largest_picture():
    assert request_limit(50_000_000, None) == 200_000_000
    assert request_limit(10, 10) == 10
    with pytest.raises(ValueError, match="at least max_pixels, which is 1,000"):
        request_limit(1000, 999)
