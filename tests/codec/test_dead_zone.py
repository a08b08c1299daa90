"""Encoders that move a latent towards zero before they round it, and decoders that don't know."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from tfhific.bitstream import container
from tfhific.codec import hyperprior as codec_module
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import ModelError
from tfhific.published.store import load_model, read_description, save_model
from tfhific.publishing.calibration import EXTRA_ROWS, calibrate, count_symbols
from tfhific.publishing.dead_zone import dead_zone
from tfhific.runtimes.symbols import rounded, to_symbols

KINDS = ("means", "checkerboard")


@pytest.fixture(params=KINDS)
def plain(request, tiny_published):
    """A model without a dead zone: one with means alone, and one with a checkerboard."""
    found = {"means": "tiny_published", "checkerboard": "published_mini2"}[request.param]
    return request.getfixturevalue(found)


@pytest.fixture
def lowering(plain):
    """The same with one that is wider than any that pays, so that many symbols change."""
    width = np.linspace(0.45, 0.05, len(plain.scales)).astype(np.float32)
    return dataclasses.replace(plain, dead_zone=width)


def test_a_row_of_little_spread_has_the_wider_dead_zone():
    found = dead_zone("gaussian", np.geomspace(0.11, 256, 64), 1 / 90)
    assert found.dtype == np.float32
    assert np.all(np.diff(found) <= 0)
    assert 0.2 < found[0] < 0.25
    assert 0 < found[-1] < 1e-4
    # Between 0 and 1 with a deviation of 1/2: log2 of the masses 0.6827 and 0.1573.
    assert dead_zone("gaussian", np.array([0.5]), 0.1)[0] == pytest.approx(0.2118, abs=1e-3)
    assert np.all(dead_zone("logistic", np.array([0.01, 0.1]), 1.0) == 0.5)
    assert dead_zone("gaussian", np.ones(3), 0.0) is None
    with pytest.raises(ModelError, match=r"dead_zone.*-1"):
        dead_zone("gaussian", np.ones(3), -1.0)


def test_values_move_towards_zero_and_not_beyond():
    import tensorflow as tf

    values = np.array([-1.7, -0.8, -0.7, 0.0, 0.3, 0.74, 0.76, 2.0], np.float32)
    zone = np.full(8, 0.25, np.float32)
    expected = [-1, -1, 0, 0, 0, 0, 1, 2]
    np.testing.assert_array_equal(to_symbols(values, zone), expected)
    np.testing.assert_array_equal(rounded(tf.constant(values), tf.constant(zone)), expected)
    np.testing.assert_array_equal(to_symbols(np.array([0.2], np.float32), zone[:1] + 0.25), [0])


def test_symbols_are_those_of_latents_moved_by_their_rows_dead_zone(plain, lowering, photo):
    picture = photo(96, 130, 3)
    whole, without = HyperpriorCodec(lowering), HyperpriorCodec(plain)
    moved, kept = (c.decode_latents(c.compress(picture, 6.0)) for c in (whole, without))
    np.testing.assert_array_equal(moved.z, kept.z)
    np.testing.assert_array_equal(moved.indexes, kept.indexes)
    y, z = whole.analysed(picture, container.quality_code(6.0))
    if plain.checkerboard:
        # The first half; the other's means follow from it.
        from tfhific.published.checkerboard import FEATURES, FIRST
        from tfhific.published.functional import mean_and_step

        features = plain.networks[FEATURES](z[None].astype(np.float32))
        height, width = y.shape[:2]
        mean, step = mean_and_step(plain.networks[FIRST](features)[0][:height, :width])
        values, mean = y / step.numpy() - mean.numpy(), None
        chosen = np.add.outer(np.arange(y.shape[0]), np.arange(y.shape[1])) % 2 == 0
    else:
        values, chosen = y - (kept.y_hat - kept.y), np.ones(y.shape[:2], bool)
    zone = lowering.dead_zone[kept.indexes]
    expected = np.sign(values) * np.rint(np.maximum(np.abs(values) - zone, 0))
    assert np.mean(expected[chosen] != moved.y[chosen]) < 1e-3
    assert np.mean(moved.y[chosen] != kept.y[chosen]) > 0.01
    assert np.all(np.abs(moved.y[chosen]) <= np.abs(kept.y[chosen]))


def test_a_model_without_it_reads_the_files_of_one_with_it(plain, lowering, photo):
    picture = photo(70, 90)
    assert plain.fingerprint == lowering.fingerprint
    ours, theirs = HyperpriorCodec(lowering), HyperpriorCodec(plain)
    coded = ours.encode(picture, 5.0)
    assert len(coded.data) < len(theirs.compress(picture, 5.0))
    np.testing.assert_array_equal(theirs.decompress(coded.data), ours.reconstruct(coded))


def test_bands_and_tiles_choose_the_same_symbols(lowering, photo, monkeypatch):
    codec, picture = HyperpriorCodec(lowering), photo(300, 170, 8)
    whole = codec.decode_latents(codec.compress(picture))
    channels = lowering.log_gain.shape[-1]
    monkeypatch.setattr(codec_module, "BAND_LATENTS", 11 * channels * 4)
    data = HyperpriorCodec(lowering, tile=64).compress(picture)
    assert container.unpack(data).band_rows == 4
    cut = codec.decode_latents(data)
    np.testing.assert_array_equal(whole.z, cut.z)
    assert np.mean(whole.y != cut.y) < 1e-3


def test_litert_and_a_graph_choose_the_same_symbols(lowering, photo):
    from tests.serving.test_systems import graph_functions

    codec, picture = HyperpriorCodec(lowering), photo(66, 81, 2)
    own = codec.decode_latents(codec.compress(picture, 5.0))
    encode, decode = graph_functions(lowering)
    file = encode(picture, 4 * 4096).numpy()
    np.testing.assert_array_equal(codec.decode_latents(file).y, own.y)
    error, pixels = decode(file)
    assert error.numpy() == b""
    assert np.abs(pixels.numpy().astype(int) - codec.decompress(file)).max() <= 1
    pytest.importorskip("ai_edge_litert")
    light = HyperpriorCodec(lowering, runtime="litert")
    np.testing.assert_array_equal(codec.decode_latents(light.compress(picture, 5.0)).y, own.y)


def test_the_javascript_module_chooses_the_same_symbols(lowering, photo, tmp_path):
    from tests.clients.test_web import WEB, node

    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    codec, pixels = HyperpriorCodec(lowering), photo(66, 81, 2)
    save_model(lowering, tmp_path)
    np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]).tofile(tmp_path / "in.rgba")
    arguments = (tmp_path / "in.rgba", 81, 66, 5.0, tmp_path / "out.tfh")
    done = node(WEB / "test" / "encode.js", tmp_path / "model.safetensors", *arguments)
    assert done.returncode == 0, done.stderr
    own = codec.decode_latents(codec.compress(pixels, 5.0))
    found = codec.decode_latents((tmp_path / "out.tfh").read_bytes())
    # A latent at the edge between two symbols may fall to either side of it.
    assert np.mean(found.y != own.y) < 0.005


def test_symbols_chosen_by_what_they_cost_are_not_moved_again(lowering, photo):
    codec, picture = HyperpriorCodec(lowering), photo(64, 80, 5)
    code = container.quality_code(4.0)
    y, z = codec.analysed(picture, code)
    nearest = codec.coded(picture.shape[:2], code, y.copy(), z, nearest=True)
    symbols = codec.decode_latents(nearest.data)
    again = codec.coded(picture.shape[:2], code, symbols.y_hat.copy(), z, nearest=True)
    assert again.data == nearest.data
    assert codec.coded(picture.shape[:2], code, y.copy(), z).data != nearest.data


def test_a_model_with_it_is_of_format_4_and_keeps_it(lowering, tmp_path):
    save_model(lowering, tmp_path)
    assert read_description(tmp_path)["format"] == 4
    np.testing.assert_array_equal(load_model(tmp_path).dead_zone, lowering.dead_zone)


@pytest.mark.parametrize("wrong", [np.full(3, 0.1), np.inf, np.nan, -0.1, 0.6])
def test_one_that_does_not_fit_is_refused(tiny_published, wrong):
    width = np.zeros(len(tiny_published.scales), np.float32)
    width = wrong.astype(np.float32) if isinstance(wrong, np.ndarray) else width + np.float32(wrong)
    with pytest.raises(ModelError, match="dead zone"):
        dataclasses.replace(tiny_published, dead_zone=width)


def test_tables_are_fitted_to_the_symbols_that_it_leaves(tiny_model, photo):
    from tfhific.publishing.hyperprior import publish

    images = [photo(128, 128, seed) for seed in range(2)]
    models = [
        calibrate(
            publish(tiny_model, "tiny", {"system": "mini"}, dead_zone=strength),
            images,
            [3.0, 7.0],
            dead_zone=strength,
        )
        for strength in (0.0, 0.05)
    ]
    plain, lowering = models
    assert plain.dead_zone is None
    assert lowering.dead_zone.shape == lowering.scales.shape
    assert np.all(np.diff(lowering.dead_zone[EXTRA_ROWS:]) <= 0)
    counts = [count_symbols(model, images, [3.0, 7.0]) for model in models]
    np.testing.assert_array_equal(counts[0].sum(1), counts[1].sum(1))
    assert counts[1][:, 0].sum() > 1.01 * counts[0][:, 0].sum()
    often = int(np.argmax(counts[1].sum(1)))

    def chance_of_zero(model) -> float:
        cdf, first = model.y_tables.cdf(often), model.y_tables.minimum[often]
        return (cdf[1 - first] - cdf[-first]) / cdf[-1]

    assert chance_of_zero(lowering) > chance_of_zero(plain)
