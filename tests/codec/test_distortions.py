"""Encoders that lower LPIPS too: their files are like any other, and nearer to that network."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

import tfhific
from tfhific.codec.distortions import Perceived, SquaredErrors, perception, squared_error
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import ArgumentError, ModelError, TfhificError
from tfhific.pictures.images import Picture, read_picture


@pytest.fixture(scope="module")
def codec(tiny_published):
    """The tiny model, which says what it was trained for."""
    weights = {"config": {"lambda_min": 0.0008, "lambda_max": 0.03}}
    return HyperpriorCodec(dataclasses.replace(tiny_published, training=weights))


def distance(perceived, picture: np.ndarray, image: np.ndarray) -> float:
    import tensorflow as tf

    pair = [tf.constant(pixels[None], tf.float32) / 127.5 - 1.0 for pixels in (image, picture)]
    return float(perceived(*pair)[0])


def test_files_are_nearer_to_what_the_network_sees_and_any_decoder_reads_them(small_lpips, photo):
    codec, faithful, image = (
        tfhific.load("mini-v3-realistic"),
        tfhific.load("mini-v3"),
        photo(96, 96),
    )
    encoded = codec.encode(image, 7, effort=5, lpips=small_lpips)
    decoded = codec.decompress(encoded.data)
    np.testing.assert_array_equal(decoded, codec.reconstruct(encoded))
    assert faithful.decompress(encoded.data).shape == image.shape
    seen, plain = perception(small_lpips), codec.decompress(codec.compress(image, 7))
    assert distance(seen, decoded, image) < 0.9 * distance(seen, plain, image)


@pytest.mark.slow
def test_photographs_are_nearer_to_a_network_that_the_search_does_not_know():
    shared = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
    weights = [shared / "weights" / f"lpips_{name}_v0.1.npz" for name in ("alex", "squeeze")]
    picture = shared / "kodak" / "kodim01.png"
    if not all(path.exists() for path in (*weights, picture)):
        pytest.skip("the Kodak pictures and LPIPS's weights are not at ../shared/data")
    image = np.ascontiguousarray(read_picture(picture).pixels[128:384, 256:512])
    codec = tfhific.load("mini-v3-realistic")
    plain = codec.compress(image, 3)
    data = codec.compress(image, 3, effort=5, lpips=weights[0])
    assert len(data) < 1.2 * len(plain)
    for path, most in zip(weights, (0.85, 0.95)):
        seen = perception(path)
        pair = [distance(seen, codec.decompress(each), image) for each in (data, plain)]
        assert pair[0] < most * pair[1]


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (40, 7)])
def test_small_pictures_are_enlarged_for_the_network(size, codec, small_lpips, photo):
    image = photo(*size)
    data = codec.compress(image, 4, effort=5, lpips=small_lpips)
    assert codec.decompress(data).shape == image.shape


def test_files_are_verified_by_the_same_distance(codec, small_lpips, photo):
    image = photo(64, 64)
    data = codec.compress(image, 4, effort=5, lpips=small_lpips)
    assert codec.compress(image, 4, effort=5, lpips=small_lpips) == data
    shown = codec.verify(data, Picture(image), 5, small_lpips)
    np.testing.assert_array_equal(shown.pixels, codec.decompress(data))
    with pytest.raises(TfhificError, match="another picture"):
        codec.verify(data, Picture(photo(64, 64, seed=1)), 5, small_lpips)


def test_target_is_met(codec, small_lpips, photo):
    picture = Picture(photo(64, 80))
    limit = len(codec.compress(picture.pixels, 4))
    data = codec.compress_to(picture, max_bytes=limit, effort=5, lpips=small_lpips)
    assert len(data) <= limit


@pytest.mark.parametrize("effort", [None, 1, 2, 4])
def test_efforts_that_do_not_search_are_refused(effort, codec, small_lpips, photo):
    for call in (
        lambda: codec.compress(photo(8, 8), effort=effort, lpips=small_lpips),
        lambda: codec.compress_to(
            Picture(photo(8, 8)), max_bytes=900, effort=effort, lpips=small_lpips
        ),
    ):
        with pytest.raises(ArgumentError, match="`lpips`: goes with an `effort` of 5 to 9"):
            call()


def test_missing_and_other_weights_are_told(codec, photo, tmp_path):
    with pytest.raises(ModelError, match=r"none\.npz"):
        codec.compress(photo(8, 8), effort=5, lpips=tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(ModelError, match=r"text\.npz"):
        codec.compress(photo(8, 8), effort=5, lpips=tmp_path / "text.npz")


def test_systems_without_effort_refuse_it(whole_codec, small_lpips, photo):
    for name in ("gc", "inversion"):
        with pytest.raises(TfhificError, match="has no `effort` above 1"):
            whole_codec(name).compress(photo(64, 64), effort=5, lpips=small_lpips)


def test_whole_pictures_are_seen_in_blocks_whose_pixels_count_alike(small_lpips, photo):
    image, other = photo(70, 90), photo(70, 90, seed=1)
    seen = perception(small_lpips)
    whole, blocks = Perceived(0.01, seen), Perceived(0.01, seen)
    blocks.BLOCK = 45
    # A block's edge is another edge to the network: about, and not exactly.
    assert blocks.of_pictures(other, image) == pytest.approx(
        whole.of_pictures(other, image), rel=0.2
    )
    squared = SquaredErrors(0.01).of_pictures(other, image)
    assert squared == pytest.approx(0.01 * squared_error(other, image))
    assert whole.of_pictures(image, image) == 0
    assert whole.of_pictures(other, image) > Perceived.SQUARED * squared


def test_a_part_counts_as_much_as_it_does_in_the_whole(small_lpips, photo):
    import tensorflow as tf

    image, other = photo(64, 64), photo(64, 64, seed=1)
    distortion = Perceived(0.01, perception(small_lpips))
    whole = distortion.of_pictures(other, image)
    pair = [tf.constant(pixels, tf.float32) for pixels in (other, image)]
    drawn = [float(distortion(*pair, tf.constant([0, step]))) for step in range(8)]
    assert np.mean(drawn) == pytest.approx(whole, rel=0.1)
    # Each step sees another shift.
    assert len({round(value, 3) for value in drawn}) > 3


def test_the_command_takes_it(codec, tiny_model_folder, small_lpips, photo, tmp_path, run_script):
    from PIL import Image

    from tfhific.published.store import save_model

    save_model(codec.published, tmp_path / "tiny")
    Image.fromarray(photo(48, 64)).save(tmp_path / "a.png")
    shutil.copy(small_lpips, tmp_path / "weights.npz")
    flags = [f"--model={tmp_path / 'tiny'}", "--quality=4", f"--lpips={tmp_path / 'weights.npz'}"]
    names = tmp_path / "a.png", tmp_path / "a.tfh"
    done = run_script("compress", *names, *flags, "--effort=5", "--verify")
    assert done.returncode == 0, done.stderr.decode()
    data = (tmp_path / "a.tfh").read_bytes()
    assert data == codec.compress(photo(48, 64), 4, effort=5, lpips=small_lpips)
    done = run_script("compress", tmp_path / "a.png", tmp_path / "b.tfh", *flags, "--effort=3")
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert "--lpips: goes with an --effort of 5 to 9" in done.stderr.decode()
    assert not (tmp_path / "b.tfh").exists()


def test_missing_weights_are_told_once_for_a_folder(codec, photo, tmp_path, call_script):
    from PIL import Image

    from tfhific.published.store import save_model

    save_model(codec.published, tmp_path / "tiny")
    (tmp_path / "photos").mkdir()
    for seed in (0, 1):
        Image.fromarray(photo(24, 32, seed)).save(tmp_path / "photos" / f"{seed}.png")
    flags = [f"--model={tmp_path / 'tiny'}", "--effort=5", f"--lpips={tmp_path / 'none.npz'}"]
    done = call_script("compress", tmp_path / "photos", tmp_path / "out", *flags)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "none.npz" in done.err


def test_pillow_takes_it(codec, small_lpips, photo, tmp_path):
    from PIL import Image

    import tfhific.pillow
    from tfhific.published.store import save_model

    assert tfhific.pillow.FORMAT in Image.SAVE
    save_model(codec.published, tmp_path / "tiny")
    Image.fromarray(photo(48, 64)).save(
        tmp_path / "a.tfh",
        quality=4,
        model=str(tmp_path / "tiny"),
        effort=5,
        lpips=small_lpips,
    )
    data = (tmp_path / "a.tfh").read_bytes()
    assert data == codec.compress(photo(48, 64), 4, effort=5, lpips=small_lpips)
