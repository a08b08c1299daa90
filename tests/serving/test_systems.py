"""Graphs of other models, other coders, and pictures that are cut into tiles and bands."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfc_port import coding
from tfhific.codec import hyperprior as plain
from tfhific.codec import transforms
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.serving.graph.coders import CoreCoder
from tfhific.serving.graph.hyperprior import GraphHyperprior
from tfhific.serving.graph.transforms import GraphTransforms


def graph_functions(model, make_coder=CoreCoder):
    """Compression and decompression as functions of one element."""
    graph = GraphHyperprior(model, make_coder, 10_000_000)
    empty = tf.constant("")
    image = tf.TensorSpec([None, None, 3], tf.uint8)

    @tf.function(input_signature=[image, tf.TensorSpec([], tf.int32)], autograph=False)
    def encode(pixels, code):
        return graph.encode(pixels, code, empty, empty, empty)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(data):
        decoded = graph.decode(data)
        return decoded.error, decoded.pixels

    return encode, decode


def check(model, codec, image, make_coder=CoreCoder, code=4 * 4096, tolerance=0):
    encode, decode = graph_functions(model, make_coder)
    file = codec.compress(image)
    assert encode(image, code).numpy() == file
    error, pixels = decode(file)
    assert error.numpy() == b""
    difference = np.abs(pixels.numpy().astype(int) - codec.decompress(file))
    assert difference.max() <= tolerance
    assert decode(file[:-1])[0].numpy() != b""


def test_tiles_are_those_of_the_codec(tiny_published, photo, monkeypatch):
    monkeypatch.setattr(transforms, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(transforms, "DEFAULT_TILE", 64)
    image = photo(150, 210, 3)
    own, graph = transforms.Transforms(tiny_published), GraphTransforms(tiny_published)
    y = own.analyse(image, 8192)
    assert np.array_equal(graph.analyse(tf.constant(image), tf.constant(8192)), y)
    z = own.hyper_analyse(y)
    assert np.array_equal(graph.hyper_analyse(tf.constant(y)), z)
    band = tf.constant(4), tf.constant(10)
    indexes = own.indexes(z, slice(4, 10), y.shape[1])
    assert np.array_equal(graph.indexes(tf.constant(z), *band, tf.constant(y.shape[1])), indexes)
    decoded = y.copy()
    symbols = own.quantise(decoded, z, slice(4, 10))
    found = graph.settle(tf.constant(y), tf.constant(z), *band, tf.constant(indexes))
    assert np.array_equal(found[0], symbols)
    assert np.array_equal(found[1], decoded[4:10])
    picture = graph.synthesise(
        tf.constant(y), tf.constant(8192), tf.constant(150), tf.constant(210)
    )
    assert np.array_equal(picture, own.synthesise(y, 8192, (150, 210)))


def test_bands_are_those_of_the_codec(tiny_published, photo, monkeypatch):
    monkeypatch.setattr(plain, "BAND_LATENTS", 48 * 4 * 12)
    from tfhific.bitstream import container

    codec, image = HyperpriorCodec(tiny_published), photo(200, 180, 4)
    assert container.unpack(codec.compress(image)).band_rows == 4
    check(tiny_published, codec, image)


def test_the_native_coder_writes_and_reads_the_same_bytes(tiny_published, tiny_codec, photo):
    if "native" not in coding.available():
        pytest.skip("needs TFC's kernels")
    from tfhific.serving.graph.native import NativeCoder

    check(tiny_published, tiny_codec, photo(160, 200, 8), NativeCoder)


@pytest.mark.parametrize("variant", ["official", pytest.param("pytorch", marks=pytest.mark.slow)])
def test_hific_of_one_rate_gives_the_codecs_files(variant, photo):
    import dataclasses

    from tfhific.backend import keras
    from tfhific.models.hific import PRESETS, HiFiC
    from tfhific.publishing.hyperprior import publish

    keras.utils.set_random_seed(3)
    model = HiFiC(dataclasses.replace(PRESETS["hific-tiny"], variant=variant))
    model(tf.zeros([1, 64, 64, 3]))
    published = publish(model, "hific-test")
    # Files are the same; of the picture's network, a graph's optimiser fuses operations.
    check(published, HyperpriorCodec(published), photo(90, 121), code=0, tolerance=1)


@pytest.mark.slow
def test_a_picture_of_seven_million_pixels_is_the_command_lines(tiny_published, tiny_codec, photo):
    check(tiny_published, tiny_codec, np.tile(photo(1300, 1350, 1), [2, 2, 1]))
