"""The Python codec and the SavedModel on the same mutated files: one answer."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from tests.serving import pictures
from tfhific.bitstream import container, fuzz
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError
from tfhific.pictures.images import Picture, encode_png, read_picture
from tfhific.pictures.plane import encode_plane

BATCH = 25


@pytest.fixture(scope="module")
def same_limit(tiny_published) -> HyperpriorCodec:
    """The codec, with the export's limit of pixels."""
    return HyperpriorCodec(tiny_published, max_pixels=1_000_000)


@pytest.fixture(scope="module")
def files(same_limit, photo) -> dict[str, bytes]:
    """Small files: plain, with all sections, with alpha alone, in bands, of version 0."""
    photograph = photo(40, 52, seed=8)
    plain = same_limit.compress(photograph, 4.0)
    contents = container.unpack(plain)
    alpha = (np.mgrid[:40, :52].sum(0) * 3 % 256).astype(np.uint8)
    whole = Picture(photograph, alpha, pictures.profile(), pictures.exif(1))
    return {
        "plain": plain,
        "sections": same_limit.compress_picture(whole, 6.0),
        "alpha": container.pack(dataclasses.replace(contents, alpha=encode_plane(alpha))),
        "bands": _in_bands(same_limit, photo(150, 20, seed=9)),
        "version 0": container.pack(dataclasses.replace(contents, version=0)),
    }


def _in_bands(codec: HyperpriorCodec, image: np.ndarray) -> bytes:
    from tfhific.codec import hyperprior as module

    before = module.BAND_LATENTS
    module.BAND_LATENTS = 1
    try:
        data = codec.compress(image, 5.0)
    finally:
        module.BAND_LATENTS = before
    assert container.unpack(data).band_rows == 4
    return data


def compare(call, codec: HyperpriorCodec, batch: list[bytes]) -> tuple[int, list[str]]:
    """How many files both refuse, and what they disagree on."""
    out = call("decompress", compressed_bytes=batch)
    refused, wrong = 0, []
    for data, png, error in zip(batch, out["image_bytes"], out["error"]):
        try:
            picture, said = codec.decompress_picture(data), ""
        except BitstreamError as problem:
            picture, said = None, str(problem)
        if (said == "") != (error == b""):
            wrong.append(f"{data.hex()}: {said!r} and {error!r}")
        elif picture is None:
            refused += 1
        elif not same(picture, png):
            wrong.append(f"{data.hex()}: other pictures")
    return refused, wrong


def same(picture: Picture, png: bytes) -> bool:
    """Whether a PNG of the graph has the samples of a picture."""
    ours = Image.open(io.BytesIO(encode_png(dataclasses.replace(picture, exif=None, icc=None))))
    theirs = Image.open(io.BytesIO(png))
    return ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs))


def agree(call, codec: HyperpriorCodec, files: dict[str, bytes], count: int, seed: int) -> None:
    wrong, refused = [], 0
    for number, data in enumerate(files.values()):
        made = list(fuzz.mutations(data, count // len(files), seed + number, repaired=True))
        for start in range(0, len(made), BATCH):
            told, found = compare(call, codec, made[start : start + BATCH])
            refused += told
            wrong += found
    print(f"{count} files, {refused} refused by both, {len(wrong)} disagreements")
    assert wrong == []
    assert 0 < refused < count


def test_both_say_the_same_of_files_with_a_repaired_checksum(call, same_limit, files):
    agree(call, same_limit, files, 75, seed=100)


@pytest.mark.slow
def test_both_say_the_same_of_5000_files_with_a_repaired_checksum(call, same_limit, files):
    agree(call, same_limit, files, 5000, seed=200)


def test_metadata_is_the_same_from_both(call, same_limit, files):
    picture = same_limit.decompress_picture(files["sections"])
    png = call("decompress", compressed_bytes=[files["sections"]])["image_bytes"][0]
    again = read_picture(png)
    assert again.icc == picture.icc
    assert np.array_equal(again.alpha, picture.alpha)
    assert Image.open(io.BytesIO(png)).getexif()[0x010F] == "Maker"
