"""Networks in tiles, and latents in bands, against the whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfhific.bitstream import container
from tfhific.codec import hyperprior as codec_module
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError, ModelError
from tfhific.published.network import Network
from tfhific.runtimes import tiling
from tfhific.runtimes.tiling import Geometry

NETWORKS = (
    "analysis",
    "synthesis",
    "hyper_analysis",
    "hyper_synthesis_mean",
    "hyper_synthesis_scale",
)


def assembled(network, geometry: Geometry, array: np.ndarray, tile: int) -> np.ndarray:
    size = [side * geometry.up // geometry.down for side in array.shape[:2]]
    out = None
    for region, values in tiling.run(
        network, geometry, lambda down, across: array[down, across], array.shape[:2], tile
    ):
        if out is None:
            out = np.full([*size, values.shape[-1]], np.nan)
        assert np.isnan(out[region]).all(), "two pieces give the same place"
        out[region] = values
    return out


def input_of(network, geometry: Geometry, rng) -> np.ndarray:
    first = network.layers[0]
    while first["op"] == "sum":
        first = first["branches"][-1][0]
    if first["op"] == "space_to_depth":
        channels = 3
    else:
        kernel = network.weights[f"{first['name']}/kernel"]
        channels = kernel.shape[2] if first["op"] == "conv" else kernel.shape[3]
    side = 12 * geometry.down if geometry.down > 1 else 9
    return rng.normal(size=[side, side + geometry.down, channels]).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("tiles", [1, 2, 5])
def test_a_network_in_tiles_gives_what_it_gives_on_the_whole(tiny_published, name, tiles):
    import tensorflow as tf

    network = tiny_published.networks[name]
    geometry = Geometry.of(network)
    array = input_of(network, geometry, np.random.default_rng(3))

    def run(values):
        return network(tf.constant(values)).numpy()

    whole = run(array[None])[0]
    pieces = assembled(run, geometry, array, tiles * geometry.down)
    np.testing.assert_allclose(pieces, whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_without_the_overlap_the_tiles_would_differ(tiny_published, name):
    import tensorflow as tf

    network = tiny_published.networks[name]
    geometry = dataclasses.replace(Geometry.of(network), reach=0)
    array = input_of(network, geometry, np.random.default_rng(3))

    def run(values):
        return network(tf.constant(values)).numpy()

    whole = run(array[None])[0]
    pieces = assembled(run, geometry, array, 2 * geometry.down)
    assert np.abs(pieces - whole).max() > 1e-3 * np.abs(whole).max()


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_the_integer_branch_in_tiles_gives_the_same_indexes(tiny_published, tile):
    branch = tiny_published.branch
    rng = np.random.default_rng(5)
    z = rng.integers(-20, 21, [7, 5, tiny_published.z_tables.rows]).astype(np.int32)
    pieces = assembled(branch, Geometry.of(branch), z, tile)
    np.testing.assert_array_equal(pieces, branch(z[None])[0])


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(1, 50),
    reach=st.integers(0, 5),
    up=st.sampled_from([1, 4]),
    down=st.sampled_from([1, 4]),
)
def test_pieces_cover_the_output_once_and_hold_their_surroundings(
    height, width, tile, reach, up, down
):
    geometry = Geometry(down, up, reach * down)
    height, width = height * down, width * down
    covered = np.zeros([height * up // down, width * up // down], int)
    for source, kept, target in geometry.pieces(height, width, tile):
        covered[target] += 1
        for side, given_, cut, out in zip((height, width), source, kept, target):
            assert given_.start == max(out.start * down // up - geometry.reach, 0)
            assert given_.stop == min(out.stop * down // up + geometry.reach, side)
            assert cut.stop - cut.start == out.stop - out.start
    assert (covered == 1).all()


@given(size=st.integers(1, 70), multiple=st.sampled_from([4, 16]))
def test_an_axis_is_extended_by_reflection_or_its_edge(size, multiple):
    positions = tiling.extension(size, multiple)
    missing = -size % multiple
    assert len(positions) == size + missing
    assert positions[:size].tolist() == list(range(size))
    if missing < size:
        assert positions[size:].tolist() == [size - 2 - i for i in range(missing)]
    else:
        assert positions[size:].tolist() == [size - 1] * missing


def test_a_picture_in_tiles_decodes_to_the_whole_one_within_one_level(tiny_published, photo):
    picture = photo(203, 331, seed=4)
    whole, tiled = HyperpriorCodec(tiny_published), HyperpriorCodec(tiny_published, tile=64)
    data = whole.compress(picture, 6.0)
    decoded = whole.decompress(data).astype(int)
    assert np.abs(decoded - tiled.decompress(data)).max() <= 1
    again = whole.decompress(tiled.compress(picture, 6.0)).astype(int)
    assert np.mean(np.abs(decoded - again) > 1) < 1e-3


def test_tiles_do_not_change_a_symbol_of_a_file(tiny_published, photo):
    data = HyperpriorCodec(tiny_published).compress(photo(203, 331, seed=4), 6.0)
    whole = HyperpriorCodec(tiny_published).decode_latents(data)
    tiled = HyperpriorCodec(tiny_published, tile=64).decode_latents(data)
    for name in ("y", "z", "indexes"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(tiled, name))


def test_latents_in_bands_decode_to_the_same_picture(tiny_published, photo, monkeypatch):
    picture = photo(300, 170, seed=8)
    codec = HyperpriorCodec(tiny_published)
    whole = codec.encode(picture)
    monkeypatch.setattr(codec_module, "BAND_LATENTS", 11 * 48 * 8)
    banded = codec.encode(picture)
    contents = container.unpack(banded.data)
    assert contents.band_rows == 8
    assert len(container.split_bands(contents.y, 3)) == 3
    np.testing.assert_array_equal(codec.decompress(banded.data), codec.reconstruct(whole))
    np.testing.assert_array_equal(codec.decompress(banded.data), codec.reconstruct(banded))
    monkeypatch.undo()
    np.testing.assert_array_equal(codec.decompress(banded.data), codec.reconstruct(whole))


@pytest.mark.parametrize("rows", [1, 6, 1000])
def test_impossible_bands_are_refused(tiny_published, photo, rows):
    codec = HyperpriorCodec(tiny_published)
    contents = container.unpack(codec.compress(photo(300, 170, seed=8)))
    data = container.pack(dataclasses.replace(contents, band_rows=rows))
    with pytest.raises(BitstreamError, match=r"bands|length|latents"):
        codec.decompress(data)


def test_a_picture_too_large_for_its_bytes_is_refused_at_once(tiny_published, photo):
    codec = HyperpriorCodec(tiny_published)
    contents = container.unpack(codec.compress(photo(64, 64)))
    data = container.pack(dataclasses.replace(contents, height=13000, width=13000))
    with pytest.raises(BitstreamError, match="can't hold"):
        codec.decompress(data)


def test_tiles_smaller_than_one_hyperlatent_are_refused(tiny_published):
    with pytest.raises(ValueError, match="at least 64"):
        HyperpriorCodec(tiny_published, tile=32)


PLAIN = {
    "conv": {"op": "plain_conv", "name": "a", "stride": 2, "padding": "SAME"},
    "conv_of_large_strides": {"op": "plain_conv", "name": "a", "stride": 5, "padding": "VALID"},
    "deconv": {"op": "plain_deconv", "name": "a", "stride": 2},
    "depthwise": {"op": "depthwise_conv", "name": "b"},
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("tile", [1, 3])
def test_what_tensorflow_pads_gives_the_same_in_tiles(name, tile):
    rng = np.random.default_rng(7)
    weights = {
        "a/kernel": rng.normal(size=[4, 4, 2, 2]).astype(np.float32),
        "a/bias": rng.normal(size=[2]).astype(np.float32),
        "b/kernel": rng.normal(size=[5, 5, 2]).astype(np.float32),
        "b/bias": rng.normal(size=[2]).astype(np.float32),
    }
    network = Network([PLAIN[name], {"op": "tanh"}, PLAIN[name]], weights)
    geometry = Geometry.of(network)
    x = rng.normal(size=[8 * geometry.down, 9 * geometry.down, 2]).astype(np.float32)
    whole = network(x[None]).numpy()[0]
    pieces = assembled(lambda x: network(x).numpy(), geometry, x, tile * geometry.down)
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        {"op": "flatten"},
        {"op": "reshape", "shape": [4, 4, 3]},
        {"op": "reflect_pad", "size": 1},
        {"op": "instance_norm", "name": "n", "epsilon": 0.001},
        {"op": "residual", "branch": [{"op": "instance_norm", "name": "n", "epsilon": 0.001}]},
        {"op": "plain_conv", "name": "a", "stride": 1, "padding": "VALID"},
    ],
    ids=lambda layer: layer["op"],
)
def test_a_layer_that_sees_the_whole_picture_is_not_cut_into_tiles(layer):
    weights = {
        "n/gamma": np.ones([3], np.float32),
        "n/beta": np.ones([3], np.float32),
        "a/kernel": np.ones([3, 3, 3, 3], np.float32),
        "a/bias": np.ones([3], np.float32),
    }
    with pytest.raises(ModelError, match="can't run in tiles"):
        Geometry.of(Network([layer], weights))


def test_a_model_with_such_a_layer_is_refused_before_it_is_trained(tiny_config):
    import tensorflow as tf

    from tfhific.models.addons import instance_normalization
    from tfhific.models.mini import Mini
    from tfhific.publishing.publishable import check_publishable

    model = Mini(tiny_config)
    model(tf.zeros([1, 64, 64, 3]))
    check_publishable(model)
    model.hyper_analysis.add(instance_normalization())
    model(tf.zeros([1, 64, 64, 3]))
    with pytest.raises(ModelError, match=r"never published: .*can't run in tiles"):
        check_publishable(model)
