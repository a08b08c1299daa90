"""Inverted generators as codecs: the search, the quantiser of z, files and their errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfhific.bitstream import container
from tfhific.codec.inversion_search import (
    Searcher,
    SearchOptions,
    from_levels,
    level_shares,
    make_loss,
    quantiser_step,
    to_levels,
)
from tfhific.errors import BitstreamError, TfhificError
from tfhific.publishing.inversion import with_counted_z, z_tables

QUICK = SearchOptions(steps=10, restarts=2)


@pytest.fixture(scope="module")
def made(whole_codec):
    """A picture that the generator can make, and the levels it was made from."""
    codec = whole_codec("inversion")
    levels = np.random.default_rng(3).integers(4, 12, codec.latent).astype(np.int32)
    return codec.picture_of(levels, 4, None, (16, 16)), levels


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_quantiser_takes_the_nearest_level_and_shares_sum_to_one(prior, bits):
    levels = np.arange(2**bits, dtype=np.int32)
    values = from_levels(levels, prior, bits)
    np.testing.assert_array_equal(to_levels(values, prior, bits), levels)
    z = np.linspace(-5, 5, 1001)
    nearest = values[to_levels(z, prior, bits)]
    np.testing.assert_allclose(np.abs(z - nearest), np.abs(z[:, None] - values).min(1), atol=1e-6)
    shares = level_shares(prior, bits)
    assert shares.sum() == pytest.approx(1.0)
    if prior == "normal":
        counts = np.bincount(
            to_levels(np.random.default_rng(bits).normal(size=20000), prior, bits),
            minlength=2**bits,
        )
        assert np.abs(counts / 20000 - shares).max() < 0.02


def test_normal_steps_are_the_best_uniform_ones():
    z = np.random.default_rng(0).normal(size=200_000)
    for bits in (1, 3, 5):

        def error(factor, bits=bits):
            step = factor * quantiser_step("normal", bits)
            level = np.clip(np.floor(z / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            return np.mean((z - (level + 0.5) * step) ** 2)

        assert error(1.0) < min(error(0.9), error(1.1))


def test_entropy_coded_z_beats_the_fixed_length_one(whole_codec):
    codec = whole_codec("inversion")
    rng = np.random.default_rng(1)
    for bits in (3, 4, 6):
        sizes = [len(_code(codec, rng.normal(size=512), bits)) for _ in range(5)]
        assert np.mean(sizes) < 512 * bits / 8


def _code(codec, z, bits):
    from tfc_port import coding

    levels = to_levels(z, "normal", bits)
    rows = np.full(levels.shape, bits - 1, np.int32)
    return coding.encode(levels, rows, codec.published.tables["z"], streams=1)


def test_search_finds_a_picture_that_can_be_made(whole_codec, made):
    picture, _ = made
    codec = whole_codec("inversion")
    options = SearchOptions(steps=150, restarts=3, bits=6)
    levels, label, history = codec.invert(picture, options)
    assert label is None
    again = codec.picture_of(levels, 6, None, (16, 16))
    error = np.mean((again.astype(float) - picture) ** 2)
    assert error < 0.1 * picture.astype(float).var()
    assert history[-1] < 0.2 * history[0]
    assert all(later <= earlier for earlier, later in zip(history, history[1:]))


def test_more_steps_and_more_bits_are_nearer(whole_codec, made):
    codec, (picture, _) = whole_codec("inversion"), made

    def error(**options):
        search_options = SearchOptions(restarts=2, **options)
        levels, _, _ = codec.invert(picture, search_options)
        again = codec.picture_of(levels, search_options.bits, None, (16, 16))
        return np.mean((again.astype(float) - picture) ** 2)

    assert error(steps=100, bits=6) < error(steps=5, bits=6)
    assert error(steps=100, bits=6) < error(steps=100, bits=1)


def test_a_search_that_knows_of_the_quantiser_ends_nearer():
    rng = np.random.default_rng(0)
    matrix = tf.constant(rng.normal(size=[12, 48]) / 3, tf.float32)

    def generate(z):
        return tf.reshape(tf.tanh(tf.matmul(z, matrix)), [-1, 4, 4, 3])

    errors = {}
    for aware in (False, True):
        options = SearchOptions(steps=200, restarts=1, bits=2, aware=aware)
        found = []
        for seed in range(4):
            z = np.random.default_rng(seed).normal(size=[1, 12]).astype(np.float32)
            start = np.zeros([1, 12], np.float32)
            loss = make_loss(options, 4)
            target = generate(tf.constant(z))[0].numpy()
            searcher = Searcher(generate, 1, 12, "normal", options.bits, loss)
            found.append(searcher(target, start, options)[1].min())
        errors[aware] = np.mean(found)
    assert errors[True] < errors[False]


@pytest.mark.parametrize("loss", ["mse", "ms_ssim"])
def test_losses_are_zero_for_equal_pictures_and_grow(loss):
    x = tf.random.stateless_uniform([2, 32, 32, 3], [1, 1], -1.0, 1.0)
    distance = make_loss(SearchOptions(loss=loss), 32)
    np.testing.assert_allclose(distance(x, x), 0.0, atol=1e-5)
    noise = tf.random.stateless_normal(x.shape, [2, 2])
    near, far = (np.array(distance(x, x + s * noise)) for s in (0.05, 0.5))
    assert np.all(near > 0)
    assert np.all(far > near)


@pytest.mark.parametrize("size", [(16, 16), (9, 14), (1, 1), (40, 90)])
@pytest.mark.parametrize("name", ["inversion", "cgan"])
def test_files_hold_z_and_pictures_keep_their_size(name, size, whole_codec, photo):
    codec = whole_codec(name)
    if max(size) > 8 * codec.side:
        pytest.skip("too large for this generator")
    image = photo(*size)
    data = codec.compress(image, search=QUICK)
    levels, bits, label = codec.decode_levels(data)
    assert bits == 4
    assert (label is None) == (name == "inversion")
    decoded = codec.decompress(data)
    assert decoded.shape == image.shape
    np.testing.assert_array_equal(decoded, codec.picture_of(levels, bits, label, size))
    assert codec.holds(data, image)


def test_a_new_process_decodes_the_same(
    whole_codec, whole_models_folder, photo, tmp_path, run_python
):
    codec = whole_codec("inversion")
    data = codec.compress(photo(16, 16), search=QUICK)
    (tmp_path / "a.tfh").write_bytes(data)
    program = (
        "import sys, tfhific, numpy as np;"
        "codec = tfhific.load(sys.argv[1]);"
        "np.save(sys.argv[3], codec.decompress(open(sys.argv[2], 'rb').read()))"
    )
    done = run_python(
        "-c", program, whole_models_folder / "inversion", tmp_path / "a.tfh", tmp_path / "b.npy"
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), codec.decompress(data))


def test_the_label_is_found_or_given(whole_codec):
    codec = whole_codec("cgan")
    levels = np.full(codec.latent, 9, np.int32)
    picture = codec.picture_of(levels, 4, 2, (8, 8))
    options = SearchOptions(steps=60, restarts=2)
    found, label, _ = codec.invert(picture, options)
    error = np.mean((codec.picture_of(found, 4, label, (8, 8)).astype(float) - picture) ** 2)
    given = codec.invert(picture, options, 1)
    other = np.mean((codec.picture_of(given[0], 4, 1, (8, 8)).astype(float) - picture) ** 2)
    assert given[1] == 1
    assert error <= other
    with pytest.raises(TfhificError, match="classes 0 to 2"):
        codec.compress(picture, label=3)
    with pytest.raises(TfhificError, match="no classes"):
        whole_codec("inversion").compress(picture, label=0)


def test_folded_generators_make_what_the_trained_ones_make(whole_codec):
    from tfhific.models.cgan import CGAN, CGANConfig
    from tfhific.publishing.inversion import publish_cgan

    model = CGAN(CGANConfig(side=8, classes=3, noise=6))
    model.build_variables()
    network = publish_cgan(model, "x").networks["generator"]
    z = tf.random.stateless_uniform([3, 6], [0, 1], -1.0, 1.0)
    labels = tf.constant([0, 2, 1])
    found = network(tf.concat([z, tf.one_hot(labels, 3)], -1))
    np.testing.assert_allclose(found, model((z, labels)), atol=2e-3)


def test_counted_tables_make_what_was_counted_cheaper(whole_codec, photo):
    codec = whole_codec("inversion")
    images = [photo(16, 16, seed) for seed in range(4)]
    options = SearchOptions(steps=30, restarts=1)
    counted = type(codec)(with_counted_z(codec.published, images, options))
    assert counted.fingerprint != codec.fingerprint
    before, after = 0, 0
    for image in images:
        levels = codec.invert(image, options)[0]
        before += codec.payload_bytes(levels, 4)
        after += counted.payload_bytes(levels, 4)
    assert after <= before


def test_tables_leave_nothing_out():
    for prior in ("normal", "uniform"):
        tables = z_tables(prior)
        assert [int(size) for size in tables.sizes] == [2**bits for bits in range(1, 9)]


def test_hostile_files_are_refused(whole_codec, photo):
    codec = whole_codec("inversion")
    contents = codec.unpack(codec.compress(photo(16, 16), search=QUICK))
    for fields, message in (
        ({"code": None}, "entry on its code"),
        ({"code": b"\x09\x00"}, "entry on its code"),
        ({"code": b"\x04"}, "entry on its code"),
        ({"code": b"\x04\x01"}, "class 0"),
        ({"z": b"x"}, "entry on its code"),
        ({"y": contents.y + bytes(200)}, "can't be decoded"),
        ({"y": b""}, "can't be decoded"),
        ({"height": 129, "width": 129}, "too large"),
    ):
        with pytest.raises(BitstreamError, match=message):
            codec.decompress(container.pack(dataclasses.replace(contents, **fields)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "1 to 8"),
        ({"steps": -1}, "0 or more steps"),
        ({"restarts": 0}, "1 or more starts"),
        ({"loss": "l3"}, "mse, ms_ssim, lpips"),
        ({"loss": "lpips"}, "`lpips`"),
    ],
)
def test_impossible_searches_are_refused(settings, message):
    with pytest.raises(TfhificError, match=message):
        SearchOptions(**settings)


def test_too_large_pictures_name_the_size_that_fits(whole_codec):
    from tfhific.errors import ImageError

    with pytest.raises(ImageError, match="such as 128x128"):
        whole_codec("inversion").compress(np.zeros([129, 129, 3], np.uint8))
