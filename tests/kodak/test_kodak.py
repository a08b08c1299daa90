"""The shipped model on the Kodak pictures, encoded here and decoded in a new process."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import tfhific
from tfhific.errors import ModelError
from tfhific.pictures.images import read_picture

KODAK = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "kodak"


@pytest.fixture(scope="module")
def pictures() -> list[pathlib.Path]:
    found = sorted(KODAK.glob("*.png"))
    if len(found) != 24:
        pytest.skip("the 24 Kodak pictures are not at ../shared/data/kodak")
    return found


@pytest.fixture(scope="module")
def codec():
    try:
        return tfhific.load("mini")
    except ModelError as error:
        pytest.skip(f"the model mini does not ship: {error}")


def check(codec, paths, qualities, folder, run_script) -> None:
    predicted = {}
    for path in paths:
        pixels = read_picture(path).pixels
        for quality in qualities:
            name = f"{path.stem}-{quality}"
            coded = codec.encode(pixels, quality)
            (folder / f"{name}.tfh").write_bytes(coded.data)
            np.save(folder / f"{name}.npy", codec.reconstruct(coded))
            predicted[name] = len(coded.data), codec.estimate_bpp(pixels, quality), pixels.shape
    done = run_script("decompress", folder, "--runtime=tensorflow")
    assert done.returncode == 0, done.stderr.decode()
    for name, (size, estimated, (height, width, _)) in predicted.items():
        decoded = read_picture(folder / f"{name}.png").pixels
        np.testing.assert_array_equal(decoded, np.load(folder / f"{name}.npy"), err_msg=name)
        assert size <= 1.01 * estimated * height * width / 8 + 64, name


def test_two_pictures_at_the_ends_of_the_range(pictures, codec, tmp_path, run_script):
    check(codec, [pictures[4], pictures[19]], [1, 8], tmp_path, run_script)


@pytest.mark.apart
@pytest.mark.slow
@pytest.mark.parametrize("quality", [1, 3, 5, 8])
def test_all_pictures(quality, pictures, codec, tmp_path, run_script):
    check(codec, pictures, [quality], tmp_path, run_script)
