"""Encoders that try harder: their files are like any other, and cost less."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

import tfhific
from tfhific.codec.code_lengths import CodeLengths
from tfhific.codec.distortions import squared_error
from tfhific.codec.effort import LEVELS, checked, weight_of
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.codec.rate_search import largest_with_effort
from tfhific.errors import ArgumentError, TfhificError
from tfhific.pictures.images import Picture, read_picture

WEIGHTS = {"config": {"lambda_min": 0.0008, "lambda_max": 0.03}}


@pytest.fixture(scope="module")
def tiny(tiny_published):
    """The tiny model, which says what it was trained for."""
    return dataclasses.replace(tiny_published, training=WEIGHTS)


@pytest.fixture(scope="module")
def codec(tiny):
    return HyperpriorCodec(tiny)


@pytest.fixture(scope="module")
def halves(photo):
    """A small model whose latents come in two halves of a checkerboard."""
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.models.mini2 import Mini2, Mini2Config
    from tfhific.publishing.hyperprior import publish

    keras.utils.set_random_seed(4)
    sizes = {"latent_channels": 24, "hyper_channels": 8, "width": 16, "fine_channels": 4}
    config = Mini2Config(**sizes, encoder_blocks=1, decoder_blocks=1, context_channels=12)
    model = Mini2(config)
    model(tf.zeros([1, 64, 64, 3]))
    rng = np.random.default_rng(6)
    for variable in model.trainable_variables:
        value = variable.numpy()
        size = 0.1 * float(np.abs(value).mean()) or 0.1 / np.sqrt(np.prod(value.shape[:-1]) or 1)
        size = 0.02 if "gain" in variable.name else size
        variable.assign_add(rng.normal(0.0, size, value.shape))
    return HyperpriorCodec(publish(model, "halves", {"system": "mini2"}))


def cost(codec, data: bytes, image: np.ndarray) -> float:
    contents = codec.unpack(data)
    error = squared_error(codec.decompress(data), image)
    return 8 * len(data) + weight_of(codec.published, contents.quality_code) * error


@pytest.mark.parametrize("effort", [2, 5])
def test_files_cost_less_and_are_read_by_the_same_decoder(effort, codec, tiny_codec, photo):
    image = photo(64, 96)
    encoded = codec.encode(image, 4, effort=effort)
    plain = codec.compress(image, 4)
    assert encoded.data != plain
    assert cost(codec, encoded.data, image) < cost(codec, plain, image)
    # A decoder that knows nothing of effort or of what the model was trained for.
    np.testing.assert_array_equal(tiny_codec.decompress(encoded.data), codec.reconstruct(encoded))
    assert codec.quality_of(encoded.data) == 4


def test_effort_1_is_the_default_and_has_the_same_bytes(codec, tiny_codec, photo):
    image = photo(33, 50)
    data = tiny_codec.compress(image, 5)
    assert codec.compress(image, 5) == codec.compress(image, 5, effort=1) == data
    # Also of a model that does not say what it was trained for.
    assert tiny_codec.compress(image, 5, effort=1) == data


def test_a_picture_gives_one_file(codec, tiny, photo):
    image = photo(64, 64, seed=3)
    assert codec.compress(image, 3, effort=5) == HyperpriorCodec(tiny).compress(image, 3, effort=5)


@pytest.mark.parametrize(
    ("name", "height", "width", "effort"),
    [("codec", 1, 1, 5), ("codec", 17, 33, 3), ("halves", 1, 1, 3), ("halves", 17, 33, 5)],
)
def test_odd_sizes_cost_no_more(name, height, width, effort, request, photo):
    codec, image = request.getfixturevalue(name), photo(height, width)
    data = codec.compress(image, 6, effort=effort)
    assert codec.decompress(data).shape == image.shape
    assert cost(codec, data, image) <= cost(codec, codec.compress(image, 6), image)


def test_latents_in_two_halves_cost_less(halves, photo):
    image = photo(80, 64)
    encoded = halves.encode(image, 5, effort=3)
    assert cost(halves, encoded.data, image) < cost(halves, halves.compress(image, 5), image)
    np.testing.assert_array_equal(halves.decompress(encoded.data), halves.reconstruct(encoded))


def test_tiles_are_all_chosen_and_progress_counts_their_steps(tiny, photo):
    codec, image, told = HyperpriorCodec(tiny, tile=64), photo(120, 180), []
    encoded = codec.encode(image, 4, effort=2, progress=lambda *numbers: told.append(numbers))
    tiles = 2 * 3
    assert told == [(i + 1, tiles) for i in range(tiles)]
    plain = codec.encode(image, 4)
    assert cost(codec, encoded.data, image) < cost(codec, plain.data, image)
    changed = encoded.code != plain.code
    for top in (0, 4):
        for left in (0, 4, 8):
            assert changed[top : top + 4, left : left + 4].any(), (top, left)


def test_files_are_verified_and_others_are_not(codec, photo):
    image = photo(64, 64)
    data = codec.compress(image, 5, effort=3)
    picture = Picture(image)
    np.testing.assert_array_equal(
        codec.verify(data, picture, effort=3).pixels, codec.decompress(data)
    )
    assert codec.verify(codec.compress(image, 5), picture, effort=3).pixels.shape == image.shape
    with pytest.raises(TfhificError, match="another picture"):
        codec.verify(data, Picture(photo(64, 64, seed=1)), effort=3)


def test_target_is_met_at_a_higher_quality(codec, photo):
    picture = Picture(photo(64, 80))
    limit = len(codec.compress(picture.pixels, 6)) + 3
    plain = codec.compress_to(picture, max_bytes=limit)
    data = codec.compress_to(picture, max_bytes=limit, effort=3)
    assert len(data) <= limit
    assert codec.quality_of(data) > codec.quality_of(plain)


def test_target_search_makes_few_files_with_effort_and_keeps_what_fits():
    slow = []

    def quick(quality):
        return bytes(int(100 * 1.7**quality))

    def harder(quality, factor):
        slow.append(quality)
        return bytes(int(factor * len(quick(quality))))

    for factor in (0.7, 0.9, 1.0, 1.1):
        slow.clear()
        data = largest_with_effort(quick, lambda q, f=factor: harder(q, f), 1000)
        assert 900 < len(data) <= 1000
        assert len(slow) <= 3
    smallest = len(quick(1))
    found = largest_with_effort(quick, lambda q: harder(q, 0.8), smallest - 10)
    assert len(found) <= smallest - 10
    with pytest.raises(TfhificError, match="can't be reached"):
        largest_with_effort(quick, lambda q: harder(q, 0.8), smallest // 2)


@pytest.mark.parametrize("effort", [0, 10, -1, "x", "3", True, 2.0, 2.5, float("nan"), [3]])
def test_other_efforts_are_refused(effort, codec, photo):
    for call in (
        lambda: codec.compress(photo(8, 8), effort=effort),
        lambda: codec.compress_to(Picture(photo(8, 8)), max_bytes=900, effort=effort),
    ):
        with pytest.raises(ArgumentError, match="`effort`: expected a whole number from 1"):
            call()
    assert [checked(value) for value in (None, 1, np.int64(9))] == [1, 1, 9]


def test_models_that_were_not_trained_for_squared_errors_refuse_effort(
    tiny_codec, whole_codec, photo
):
    for codec in (tiny_codec, whole_codec("gc"), whole_codec("inversion")):
        with pytest.raises(TfhificError, match="has no `effort` above 1") as refused:
            codec.compress(photo(64, 64), effort=2)
        assert "\n" not in str(refused.value)
        with pytest.raises(TfhificError, match="has no `effort` above 1"):
            codec.harder()


def test_code_lengths_are_those_of_the_tables_and_linear_between(tiny):
    import tensorflow as tf

    from tfc_port import coding

    tables = tiny.y_tables
    lengths = CodeLengths(tables)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, tables.rows, 500).astype(np.int32)
    inside = rng.random(500) * tables.sizes[rows]
    symbols = (tables.minimum[rows] + inside.astype(np.int32)).astype(np.int32)
    bits = lengths.of_symbols(symbols, rows)
    assert bits.sum() / 8 == pytest.approx(coding.estimate_bytes(symbols, rows, tables), rel=1e-4)
    values, real = tf.constant(symbols, tf.float32), tf.constant(rows, tf.float32)
    np.testing.assert_allclose(lengths.of_values(values, real), bits, rtol=1e-4, atol=1e-4)
    half = lengths.of_values(values + 0.5, real).numpy()
    np.testing.assert_allclose(
        half, (bits + lengths.of_symbols(symbols + 1, rows)) / 2, rtol=1e-4, atol=1e-4
    )
    # Beyond its row a value is escaped, which takes more than any symbol of the row.
    beyond = tables.minimum + tables.sizes
    every = np.arange(tables.rows)
    assert np.all(lengths.of_symbols(beyond, every) > lengths.of_symbols(tables.minimum, every))


def test_levels_rise_in_what_they_do():
    assert list(LEVELS) == list(range(1, 10))
    work = [level.rounds + 2 * level.steps for level in LEVELS.values()]
    assert work == sorted(work)
    assert len(set(work)) == 9


@pytest.fixture(scope="module")
def shared_kodak():
    """The middles of two photographs, uint8 [256, 256, 3]: of one alone, draws weigh too much."""
    folder = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "kodak"
    paths = [folder / f"kodim{number}.png" for number in ("01", "15")]
    if not all(path.exists() for path in paths):
        pytest.skip("the Kodak pictures are not at ../shared/data/kodak")
    pictures = [read_picture(path).pixels for path in paths]
    return [np.ascontiguousarray(pixels[128:384, 256:512]) for pixels in pictures]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mini-v1", "mini-v3"])
def test_effort_saves_bits_on_photographs(model, shared_kodak):
    from tfhific.evaluation.bjontegaard_delta import rate_difference

    codec, saved = tfhific.load(model), []
    for image in shared_kodak:
        curves = []
        for effort in (1, 8):
            points = []
            for quality in (2, 4, 6):
                data = codec.compress(image, quality, effort=effort)
                error = squared_error(codec.decompress(data), image) / image.size
                points.append((8 * len(data) / 65536, 10 * np.log10(255**2 / error)))
            curves.append(tuple(zip(*points)))
        saved.append(rate_difference(*curves).value)
    assert np.mean(saved) < -5
