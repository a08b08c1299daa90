"""Models whose latents come in two halves of a checkerboard: files, tiles, bands, graphs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfhific.bitstream import container
from tfhific.codec import hyperprior as codec_module
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError, ModelError
from tfhific.published.checkerboard import NETWORKS
from tfhific.published.network import Network
from tfhific.published.store import load_model, read_description, save_model
from tfhific.runtimes import checkerboard


@pytest.fixture(scope="module")
def codec(published_mini2):
    return HyperpriorCodec(published_mini2)


def test_litert_reads_and_writes_the_same_symbols(codec, published_mini2, photo):
    pytest.importorskip("ai_edge_litert")
    light = HyperpriorCodec(published_mini2, runtime="litert", tile=64)
    for size in ((1, 1), (150, 211)):
        for data in (light.compress(photo(*size), 4.0), codec.compress(photo(*size), 4.0)):
            ours, theirs = light.decode_latents(data), codec.decode_latents(data)
            np.testing.assert_array_equal(ours.y, theirs.y)
            np.testing.assert_array_equal(ours.indexes, theirs.indexes)
            np.testing.assert_allclose(ours.y_hat, theirs.y_hat, atol=1e-3)
            pixels = light.decompress(data).astype(int) - codec.decompress(data)
            assert np.abs(pixels).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (64, 64), (150, 211)])
@pytest.mark.parametrize("quality", [1.0, 6.5])
def test_pictures_of_any_size_come_back_as_the_encoder_predicts(codec, size, quality, photo):
    picture = photo(*size)
    coded = codec.encode(picture, quality)
    decoded = codec.decompress(coded.data)
    assert decoded.shape == picture.shape
    np.testing.assert_array_equal(decoded, codec.reconstruct(coded))


def test_estimate_is_the_keras_models(trained_mini2, codec, photo):
    import tensorflow as tf

    picture = photo(128, 192, seed=2)
    images = tf.constant(picture[None], tf.float32)
    _, bits_y, bits_z = trained_mini2(images, tf.constant([4.0]))
    expected = float(bits_y[0] + bits_z[0]) / (128 * 192)
    # Kernels were rounded to halves.
    assert codec.estimate_bpp(picture, 4.0) == pytest.approx(expected, rel=0.02)


def test_a_better_quality_is_closer_and_larger(codec, photo):
    picture = photo(128, 192)
    files = [codec.compress(picture, quality) for quality in (1, 4, 8)]
    errors = [np.mean((codec.decompress(f).astype(float) - picture) ** 2) for f in files]
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert errors[0] > errors[1] > errors[2]


def test_tiles_do_not_change_a_symbol_and_a_pixel_by_one_level_at_most(
    published_mini2, codec, photo
):
    picture = photo(203, 331, seed=4)
    data = codec.compress(picture, 6.0)
    tiled = HyperpriorCodec(published_mini2, tile=64)
    difference = codec.decompress(data).astype(int) - tiled.decompress(data)
    assert np.abs(difference).max() <= 1
    for name in ("y", "z", "indexes"):
        whole, cut = (getattr(c.decode_latents(data), name) for c in (codec, tiled))
        np.testing.assert_array_equal(whole, cut)


def test_the_second_half_is_predicted_across_bands(codec, photo, monkeypatch):
    picture = photo(300, 170, seed=8)
    whole = codec.encode(picture)
    monkeypatch.setattr(codec_module, "BAND_LATENTS", 11 * 32 * 4)
    banded = codec.encode(picture)
    contents = container.unpack(banded.data)
    assert contents.band_rows == 4
    assert len(container.split_bands(contents.y, 5)) == 5
    # A convolution's order of summation may depend on the size of what it sees.
    np.testing.assert_allclose(banded.code, whole.code, atol=1e-3)
    np.testing.assert_array_equal(codec.decompress(banded.data), codec.reconstruct(banded))
    latents = codec.decode_latents(banded.data)
    np.testing.assert_array_equal(latents.y_hat, banded.code)


def test_only_the_second_half_depends_on_the_first(published_mini2):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=[6, 8, 16]), tf.float32)
    symbols = rng.integers(-2, 3, [6, 8, 32]).astype(np.float32)
    changed = symbols.copy()
    changed[2, 4] += 1.0

    def decoded(values):
        arguments = (tf.constant(values), 0, 0, True)
        return checkerboard.settle(published_mini2.networks, features, *arguments).values.numpy()

    moved = np.any(decoded(symbols) != decoded(changed), axis=-1)
    rows, columns = np.nonzero(moved)
    assert moved[2, 4]
    others = [(r, c) for r, c in zip(rows, columns) if (r, c) != (2, 4)]
    assert others
    assert all((r + c) % 2 == 1 and max(abs(r - 2), abs(c - 4)) <= 2 for r, c in others)


def test_rows_that_are_decoded_already_count_as_they_are(published_mini2):
    import tensorflow as tf

    rng = np.random.default_rng(1)
    features = tf.constant(rng.normal(size=[8, 6, 16]), tf.float32)
    symbols = tf.constant(rng.integers(-2, 3, [8, 6, 32]), tf.float32)
    whole = checkerboard.settle(published_mini2.networks, features, symbols, 0, 0, True).values
    mixed = tf.concat([whole[:4], symbols[4:]], axis=0)
    again = checkerboard.settle(published_mini2.networks, features, mixed, 0, 4, True).values
    np.testing.assert_allclose(again[4:], whole[4:], atol=1e-5)
    # An odd first row has its halves the other way round.
    below = checkerboard.settle(
        published_mini2.networks, features[1:], mixed[1:], 1, 3, True
    ).values
    np.testing.assert_allclose(below[5:], whole[6:], atol=1e-5)


def test_a_saved_model_reads_its_own_files_and_is_of_format_3(
    published_mini2, codec, photo, tmp_path
):
    save_model(published_mini2, tmp_path)
    assert read_description(tmp_path)["format"] == 3
    loaded = load_model(tmp_path)
    assert loaded.fingerprint == published_mini2.fingerprint
    data = codec.compress(photo(70, 90))
    np.testing.assert_array_equal(HyperpriorCodec(loaded).decompress(data), codec.decompress(data))


def test_the_trainable_model_comes_back(published_mini2, photo):
    import tensorflow as tf

    model = HyperpriorCodec(published_mini2).model
    images = tf.constant(photo(64, 64)[None], tf.float32)
    picture, _, _ = model(images, tf.constant([5.0]))
    assert type(model).__name__ == "Mini2"
    assert picture.shape == images.shape


@pytest.mark.parametrize("name", NETWORKS)
def test_the_fingerprint_covers_what_means_depend_on(published_mini2, name):
    network = published_mini2.networks[name]
    weights = {key: value + np.float32(0.5) for key, value in network.weights.items()}
    networks = {**published_mini2.networks, name: Network(network.layers, weights)}
    assert (
        dataclasses.replace(published_mini2, networks=networks).fingerprint
        != published_mini2.fingerprint
    )


def test_a_decoder_of_its_own_keeps_the_fingerprint(published_mini2):
    network = published_mini2.networks["synthesis"]
    weights = {key: value + np.float32(0.5) for key, value in network.weights.items()}
    networks = {**published_mini2.networks, "synthesis": Network(network.layers, weights)}
    assert (
        dataclasses.replace(published_mini2, networks=networks).fingerprint
        == published_mini2.fingerprint
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_without_one_of_the_networks_is_refused(published_mini2, name):
    networks = {key: value for key, value in published_mini2.networks.items() if key != name}
    with pytest.raises(ModelError, match="networks"):
        dataclasses.replace(published_mini2, networks=networks)


def test_a_cut_or_changed_file_is_refused(codec, photo):
    data = codec.compress(photo(64, 64))
    for damaged in (data[:-1], data[:20] + bytes([data[20] ^ 1]) + data[21:], b""):
        with pytest.raises(BitstreamError):
            codec.decompress(damaged)


@pytest.mark.parametrize("shape", [(2, 2, 8), (3, 5, 8), (33, 33, 8)])
def test_depthwise_kernels_are_odd_and_square(shape):
    layers = [{"op": "depthwise_conv", "name": "a"}]
    with pytest.raises(ModelError, match="odd side up to 31"):
        Network(layers, {"a/kernel": np.zeros(shape, "f4"), "a/bias": np.zeros([8], "f4")})


def test_depthwise_layers_fold_to_what_keras_computes():
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.publishing.fold import fold

    layer = keras.layers.DepthwiseConv2D(5, padding="same", bias_initializer="ones")
    x = tf.constant(np.random.default_rng(0).normal(size=[1, 7, 9, 6]), tf.float32)
    expected = layer(x)
    np.testing.assert_allclose(fold(keras.Sequential([layer]), "a")(x), expected, atol=1e-6)


def test_the_graph_writes_and_reads_the_same_files(published_mini2, codec, photo, monkeypatch):
    import tensorflow as tf

    from tfhific.serving.graph.coders import CoreCoder
    from tfhific.serving.graph.hyperprior import GraphHyperprior

    monkeypatch.setattr(codec_module, "BAND_LATENTS", 11 * 32 * 8)
    graph = GraphHyperprior(published_mini2, CoreCoder, 1 << 20)
    nothing = tf.constant("")

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def encode(pixels):
        code = container.quality_code(4.0)
        return graph.encode(pixels, tf.constant(code), nothing, nothing, nothing)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
    def decode(data):
        decoded = graph.decode(data)
        return decoded.error, decoded.pixels

    for size in ((170, 300), (40, 64)):
        picture = photo(*size, seed=3)
        data = codec.compress(picture, 4.0)
        written = encode(tf.constant(picture)).numpy()
        np.testing.assert_array_equal(codec.decode_latents(written).y, codec.decode_latents(data).y)
        error, pixels = decode(tf.constant(data))
        assert error.numpy() == b""
        np.testing.assert_array_equal(pixels.numpy(), codec.decompress(data))
