"""What one request may have: pixels together, the array of raw results, inputs of one length."""

from __future__ import annotations

import numpy as np
import pytest

from tests.serving import pictures
from tfhific.serving.limits import TOO_MUCH, request_limit
from tfhific.serving.pipeline import SavedModel

# The tests' export: a picture may have 1,000,000 pixels, a request 1,200,000.
HALF = np.zeros([700, 1000, 3], np.uint8)


@pytest.fixture(scope="module")
def half_file(tiny_codec) -> bytes:
    return tiny_codec.compress(HALF)


def test_pictures_beyond_a_requests_pixels_have_an_error_and_cost_nothing(call, photo):
    small = pictures.saved(photo(40, 50), "PNG")
    large = pictures.saved(HALF, "PNG")
    out = call("compress", image_bytes=[large, b"garbage", large, small])
    assert [error == b"" for error in out["error"]] == [True, False, False, False]
    assert [data == b"" for data in out["compressed_bytes"]] == [False, True, True, True]
    assert TOO_MUCH in out["error"][2].decode()
    # What has an error of its own takes nothing from the others.
    huge = pictures.saved(np.zeros([1001, 1000, 3], np.uint8), "PNG")
    out = call("compress_at", image_bytes=[huge, large, small], quality=np.float32([5.0, 5.0, 5.0]))
    assert b"more than the limit of 1,000,000" in out["error"][0]
    assert out["error"][1:].tolist() == [b"", b""]


def test_files_beyond_a_requests_pixels_have_an_error_and_cost_nothing(
    call, half_file, tiny_codec, photo
):
    small = tiny_codec.compress(photo(30, 20))
    out = call("decompress", compressed_bytes=[small, half_file[:-1], half_file, half_file])
    assert out["error"][0] == out["error"][2] == b""
    assert b"checksum" in out["error"][1]
    assert TOO_MUCH in out["error"][3].decode()
    assert out["image_bytes"][3] == b""


def test_raw_pictures_beyond_a_requests_pixels_have_an_error(call):
    batch = np.zeros([3, 600, 900, 3], np.uint8)
    out = call("compress_raw", image=batch, quality=np.float32([5.0, 5.0, 5.0]))
    assert [error == b"" for error in out["error"]] == [True, True, False]
    assert TOO_MUCH in out["error"][2].decode()


def test_small_files_cannot_make_a_large_array(call, tiny_codec, photo):
    wide, tall, small = (
        tiny_codec.compress(photo(*size)) for size in ((8, 2400), (2400, 8), (50, 60))
    )
    out = call("decompress_raw", compressed_bytes=[wide, tall, b"garbage", small])
    assert out["image"].shape == (4, 50, 2400, 3)
    assert out["height"].tolist() == [8, 0, 0, 50]
    assert out["width"].tolist() == [2400, 0, 0, 60]
    assert TOO_MUCH in out["error"][1].decode()
    assert out["error"][0] == out["error"][3] == b""
    # Each alone is no larger than its picture.
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


def test_a_batch_of_files_is_done_in_as_many_requests_as_it_needs(
    export_folder, half_file, tiny_codec
):
    model = SavedModel(str(export_folder))
    results = model.decompress([half_file, b"garbage", half_file, half_file])
    assert [error == "" for _, error in results] == [True, False, True, True]
    assert results[0] == results[2] == results[3]
    results = model.compress([pictures.saved(HALF, "PNG")] * 2, 5.0)
    assert results == [(half_file, "")] * 2


def test_a_request_may_always_have_the_largest_picture():
    assert request_limit(50_000_000, None) == 200_000_000
    assert request_limit(10, 10) == 10
    with pytest.raises(ValueError, match="at least max_pixels, which is 1,000"):
        request_limit(1000, 999)
