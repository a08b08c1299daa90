"""HiFiC as a codec: what is folded, tiled, stored and coded is what the Keras model computes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import tfhific
from tfhific.backend import keras
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError, ModelError
from tfhific.models.hific import PRESETS, HiFiC
from tfhific.published import tensor_file
from tfhific.published.hyperprior import NETWORKS
from tfhific.published.integer_branch import MAX_SUM_BITS, IntegerBranch
from tfhific.published.store import FILE_NAME, load_model, read_description, save_model
from tfhific.published.tables import TAIL_MASS, logistic_tables
from tfhific.publishing.hyperprior import publish
from tfhific.runtimes import tiling
from tfhific.runtimes.tiling import Geometry

FORMS = {
    "official": {"variant": "official"},
    "pytorch": {"variant": "pytorch", "likelihood": "logistic", "normalize_input": True},
}


def scaled(network, factor) -> None:
    last = network.layers[-1]
    last.kernel.assign(last.kernel * factor)
    last.bias.assign(last.bias * factor)


@pytest.fixture(scope="module", params=FORMS)
def trained(request, photo):
    """A tiny model whose latents have many scales and few escapes, as a trained one's."""
    keras.utils.set_random_seed(5)
    model = HiFiC(dataclasses.replace(PRESETS["hific-tiny"], **FORMS[request.param]))
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            variable.assign_add(rng.normal(0, 0.1, variable.shape))
    image = model.to_range(photo(256, 256, seed=99)[None].astype(np.float32))
    scaled(model.encoder, 6.0 / np.std(model.encoder(image)))
    y = model.encoder(image)
    scaled(model.hyper_analysis, 2.0 / np.std(model.hyper_analysis(y)))
    z = tf.round(model.hyper_analysis(y))
    scaled(model.hyper_synthesis_mean, 1.0 / np.std(model.hyper_synthesis_mean(z)))
    residual = np.std(y - model.hyper_synthesis_mean(z), (0, 1, 2))
    spread = 0.1 * residual.min() if model.config.likelihood == "gaussian" else 0.7
    scaled(model.hyper_synthesis_scale, spread / np.std(model.hyper_synthesis_scale(z)))
    bias = model.hyper_synthesis_scale.layers[-1].bias
    wanted = (1.1 if model.config.likelihood == "gaussian" else 0.6) * residual
    bias.assign_add(wanted - np.mean(model.hyper_synthesis_scale(z), (0, 1, 2)))
    return model


@pytest.fixture(scope="module")
def published(trained):
    return publish(trained, "small", {"system": "hific"})


@pytest.fixture(scope="module")
def folder(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("hific") / "small"
    save_model(published, path)
    return path


@pytest.fixture(scope="module")
def codec(folder):
    return tfhific.load(folder)


def test_litert_reads_and_writes_the_same_symbols(codec, folder, photo):
    pytest.importorskip("ai_edge_litert")
    light = tfhific.load(folder, runtime="litert")
    for size in ((1, 1), (40, 70), (150, 211)):
        for data in (light.compress(photo(*size)), codec.compress(photo(*size))):
            ours, theirs = light.decode_latents(data), codec.decode_latents(data)
            np.testing.assert_array_equal(ours.y, theirs.y)
            np.testing.assert_array_equal(ours.indexes, theirs.indexes)
            pixels = light.decompress(data).astype(int) - codec.decompress(data)
            assert np.abs(pixels).max() <= 1


INPUTS = {
    "analysis": [1, 64, 48, 3],
    "synthesis": [1, 5, 6, 12],
    "hyper_analysis": [1, 8, 12, 12],
    "hyper_synthesis_mean": [1, 2, 3, 8],
    "hyper_synthesis_scale": [1, 2, 3, 8],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_networks_compute_what_keras_computes(trained, name):
    from tfhific.publishing.fold import fold

    layer = getattr(trained, name)
    x = np.random.default_rng(3).normal(size=INPUTS[name]).astype(np.float32)
    expected, network = layer(x).numpy(), fold(layer, name)
    np.testing.assert_allclose(network(x), expected, atol=1e-5 * np.abs(expected).max())
    graph = tf.function(network.__call__).get_concrete_function(
        tf.TensorSpec([None, None, None, x.shape[-1]], tf.float32)
    )
    found = graph(tf.constant(x))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("tile", [2, 5])
def test_networks_in_tiles_give_what_they_give_on_the_whole(published, name, tile):
    network = published.networks[name]
    geometry = Geometry.of(network)
    side = 8 * geometry.down if geometry.down > 1 else 14
    shape = (side, side + geometry.down, INPUTS[name][-1])
    whole = np.random.default_rng(4).normal(size=shape).astype(np.float32)

    def run(values):
        return network(tf.constant(values)).numpy()

    expected = run(whole[None])[0]
    found = tiling.assemble(run, geometry, whole, tile * geometry.down)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_reach_of_the_full_size_networks():
    # 7x7, four of stride 2 that look two positions to the right, 3x3 at 1/16: 3 + 2 + 4 + 8 + 16
    # + 16 pixels, in whole latents. And 19 of 3x3, then 1/2 + 1/4 + 1/8 + 1/16 + 3/16 latents.
    from tfhific.models import hific_networks as networks
    from tfhific.publishing.fold import fold

    sizes = dataclasses.replace(PRESETS["hific-tiny"], variant="pytorch", residual_blocks=9)
    for make, channels, reach in ((networks.encoder, 3, 64), (networks.generator, 12, 21)):
        layer = make(sizes)
        layer.build((None, None, None, channels))
        assert Geometry.of(fold(layer, "n")).reach == reach


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (64, 64), (65, 130), (150, 211)])
def test_pictures_of_any_size_come_back_as_the_encoder_predicts(codec, size, photo):
    picture = photo(*size)
    coded = codec.encode(picture)
    decoded = codec.decompress(coded.data)
    assert decoded.shape == picture.shape
    np.testing.assert_array_equal(decoded, codec.reconstruct(coded))


def test_small_pictures_have_as_many_latents_as_the_networks_need(codec, photo):
    latents = codec.decode_latents(codec.compress(photo(3, 70)))
    least = codec.published.min_latents
    assert latents.y.shape[:2] == (least, 5)
    assert (least == 5) == (codec.published.config["variant"] == "pytorch")


def test_decoded_latents_are_those_of_the_keras_model(trained, codec, photo):
    picture = photo(128, 192)
    coded = codec.encode(picture)
    expected = trained.code(trained.encoder(trained.to_range(picture[None])))
    # Kernels were rounded to halves: some latents lie on the other side of a half.
    difference = np.abs(coded.code - expected.y_hat[0].numpy())
    assert np.mean(difference > 0.1) < 0.05
    estimate = codec.estimate_bpp(picture) * 128 * 192
    assert estimate == pytest.approx(float(expected.bits_y[0] + expected.bits_z[0]), rel=0.02)


@pytest.mark.parametrize("size", [(256, 256), (320, 480)])
def test_files_cost_little_over_the_estimate(codec, size, photo):
    picture = photo(*size, seed=1)
    estimate = codec.estimate_bpp(picture) * size[0] * size[1] / 8
    assert 0.9 * estimate < len(codec.compress(picture)) <= 1.01 * estimate + 64


def test_quality_is_refused_where_there_is_one_rate(codec, photo):
    assert codec.single_rate
    with pytest.raises(ValueError, match="one rate"):
        codec.compress(photo(80, 80), 7.3)


def test_a_model_of_many_rates_says_so(tiny_codec):
    assert not tiny_codec.single_rate


def test_tiles_and_precision_read_the_same_files(folder, codec, photo):
    picture = photo(330, 410, seed=4)
    data = codec.compress(picture)
    whole = codec.decompress(data).astype(int)
    tiled = tfhific.load(folder, tile=128)
    assert np.abs(tiled.decompress(data) - whole).max() <= 1
    for name in ("y", "z", "indexes"):
        np.testing.assert_array_equal(
            getattr(tiled.decode_latents(data), name), getattr(codec.decode_latents(data), name)
        )
    short = tfhific.load(folder, precision="bfloat16")
    coarse = short.decompress(data).astype(int)
    assert np.abs(coarse - whole).max() > 0
    assert np.mean(np.abs(coarse - whole)) < 2.5
    theirs = short.compress(picture)
    np.testing.assert_array_equal(codec.decode_latents(theirs).y, short.decode_latents(theirs).y)


def test_large_tensors_are_cut_into_tiles_by_themselves(codec, folder, photo, monkeypatch):
    from tfhific.codec import transforms

    picture = photo(200, 300, seed=4)
    data = codec.compress(picture)
    monkeypatch.setattr(transforms, "LARGEST_TENSOR", 40_000)
    small = tfhific.load(folder)
    seen = []
    original = tiling.Geometry.pieces

    def pieces(self, *arguments):
        found = list(original(self, *arguments))
        seen.append(len(found))
        return found

    monkeypatch.setattr(tiling.Geometry, "pieces", pieces)
    assert np.abs(small.decompress(data).astype(int) - codec.decompress(data)).max() <= 1
    assert max(seen) > 4


def test_what_is_saved_comes_back(published, folder, tmp_path):
    loaded = load_model(folder)
    assert loaded.fingerprint == published.fingerprint
    facts = ("scale_kind", "likelihood", "pixel_range", "min_latents", "single_rate", "training")
    for name in facts:
        assert getattr(loaded, name) == getattr(published, name)
    assert json.loads(json.dumps(published.config)) == loaded.config
    np.testing.assert_array_equal(loaded.branch.thresholds, published.branch.thresholds)
    assert sorted(loaded.extras) == sorted(published.extras)
    save_model(loaded, tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == (folder / FILE_NAME).read_bytes()
    assert read_description(folder)["format"] == 2


def test_a_mapped_file_is_the_same_model_and_is_not_copied(folder, codec, photo, monkeypatch):
    monkeypatch.setattr(tensor_file, "_MAP_FROM", 0)
    mapped = tfhific.load(folder)
    picture = photo(64, 64)
    assert mapped.compress(picture) == codec.compress(picture)
    network = mapped.published.networks["synthesis"]
    name, value = max(network.weights.items(), key=lambda item: item[1].nbytes)
    assert value.ctypes.data % 64 == 0
    root = value
    while isinstance(root.base, np.ndarray):
        root = root.base
    assert isinstance(root, np.memmap)
    assert name.startswith("synthesis/")


def test_a_shared_tensor_is_the_array_itself():
    array = np.zeros(1 << 16, np.float32)
    start = (-array.ctypes.data % 64) // 4
    array = array[start : start + 4096]
    array.setflags(write=False)
    tensor = tensor_file.shared(array)
    assert np.asarray(memoryview(tensor)).ctypes.data == array.ctypes.data


def test_trainable_model_has_every_weight_of_the_published_one(trained, codec):
    model = codec.model
    assert model is codec.model
    assert model.config == trained.config
    for ours, theirs in zip(model.weights, trained.weights):
        tolerance = 6e-4 * np.abs(theirs.numpy()).max()
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=tolerance)
    for ours, theirs in zip(model.z_prior.weights, trained.z_prior.weights):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    for ours, theirs in zip(model.discriminator.weights, trained.discriminator.weights):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_trainable_mini_is_the_published_one(tiny_model, tiny_published, photo):
    config = dataclasses.asdict(tiny_model.config)
    codec = HyperpriorCodec(dataclasses.replace(tiny_published, training={"config": config}))
    picture = photo(64, 128)
    decoded, bits_y, bits_z = codec.model(picture[None].astype(np.float32))
    estimate = codec.estimate_bpp(picture) * 64 * 128
    assert float(bits_y[0] + bits_z[0]) == pytest.approx(estimate, rel=1e-3)
    expected = codec.decompress(codec.compress(picture)).astype(int)
    assert np.abs(np.clip(np.rint(decoded[0]), 0, 255) - expected).max() <= 1


def test_models_without_a_configuration_or_with_a_wrong_one_are_told(tiny_published, published):
    with pytest.raises(ModelError, match="how it was configured"):
        _ = HyperpriorCodec(tiny_published).model
    wrong = {**published.config, "latent_channels": 13}
    with pytest.raises(ModelError, match="own configuration"):
        _ = HyperpriorCodec(dataclasses.replace(published, config=wrong)).model


def test_indexes_are_those_of_the_nearest_scale_by_exact_thresholds(published):
    rng = np.random.default_rng(8)
    z = rng.integers(-6, 7, [1, 12, 12, 8]).astype(np.int32)
    branch = published.branch
    network = published.networks["hyper_synthesis_scale"]
    scale = np.maximum(network(z.astype(np.float64)).numpy(), 1e-9)
    nearest = np.interp(np.log(scale), np.log(published.scales), np.arange(64))
    found = branch(z)
    assert np.abs(found - nearest).max() < 0.6
    assert np.mean(found != np.rint(nearest)) < 0.02
    assert len(np.unique(found)) > 5


def test_a_sum_at_a_threshold_reaches_it_and_one_below_does_not():
    from tfhific.published.integer_branch import IntegerLayer

    layer = IntegerLayer("conv", 1, 0, np.full([1, 1, 1, 1], 3, np.int16), np.array([2]))
    branch = IntegerBranch((layer,), 4, np.array([-4, 5, 5], np.int64))
    z = np.array([-3, -2, 0, 1, 2], np.int32)
    sums = 3 * z + 2
    expected = (sums[:, None] >= branch.thresholds).sum(1)
    np.testing.assert_array_equal(branch(z[None, :, None, None])[0, :, 0, 0], expected)
    assert expected.tolist() == [0, 1, 1, 3, 3]


@pytest.mark.parametrize(
    "thresholds",
    [
        np.array([1, 2], np.int64),
        np.array([3, 2, 1], np.int64),
        np.array([1, 2, 3], np.int32),
        np.array([1.0, 2.0, 3.0]),
        np.array([1, 2, 1 << MAX_SUM_BITS], np.int64),
        np.array([-(1 << 63), 2, 3], np.int64),
    ],
    ids=range(6),
)
def test_malformed_thresholds_are_refused(thresholds):
    from tfhific.published.integer_branch import IntegerLayer

    layer = IntegerLayer("conv", 1, 0, np.full([1, 1, 1, 1], 3, np.int16), np.array([2]))
    with pytest.raises(ModelError, match="malformed"):
        IntegerBranch((layer,), 4, thresholds)
    with pytest.raises(ModelError, match="malformed"):
        IntegerBranch((layer,), 4)


def test_logistic_tables_leave_at_most_the_tail_mass():
    scales = PRESETS["hific-tiny"].scales()
    tables = logistic_tables(scales)
    for row, scale in enumerate(scales):
        reach = -int(tables.minimum[row])
        assert tables.sizes[row] == 2 * reach + 1
        assert 2 / (1 + np.exp((reach + 0.5) / scale)) <= TAIL_MASS
        if reach:
            assert 2 / (1 + np.exp((reach - 0.5) / scale)) > TAIL_MASS
    share = np.diff(tables.cdf(30)) / 65536
    values = tables.minimum[30] + np.arange(len(share))
    mass = np.diff(1 / (1 + np.exp(-(np.append(values, values[-1] + 1) - 0.5) / scales[30])))
    np.testing.assert_allclose(share, mass, atol=2e-4)


@pytest.fixture(scope="module")
def other_decoder(published, folder):
    """The folder of a model with another synthesis transform for the same streams."""
    network = published.networks["synthesis"]
    weights = {key: value * np.float32(0.75) for key, value in network.weights.items()}
    networks = {**published.networks, "synthesis": dataclasses.replace(network, weights=weights)}
    changed = dataclasses.replace(published, name="realistic", networks=networks)
    assert changed.fingerprint == published.fingerprint
    save_model(changed, folder.parent / "realistic")
    return folder.parent / "realistic"


def test_another_decoder_reads_the_same_file(
    codec, folder, other_decoder, call_script, photo, tmp_path, tiny_model_folder
):
    from tfhific.pictures.images import read_picture

    data = codec.compress(photo(80, 90))
    (tmp_path / "a.tfh").write_bytes(data)
    pictures = []
    for number, flag in enumerate((f"--model={folder}", f"--decoder={other_decoder}")):
        target = tmp_path / f"{number}.png"
        done = call_script("decompress", tmp_path / "a.tfh", target, flag)
        assert done.code == 0, done.err
        pictures.append(read_picture(target).pixels)
    np.testing.assert_array_equal(pictures[0], codec.decompress(data))
    np.testing.assert_array_equal(pictures[1], tfhific.load(other_decoder).decompress(data))
    assert (pictures[0] != pictures[1]).any()
    target = tmp_path / "no.png"
    done = call_script("decompress", tmp_path / "a.tfh", target, f"--decoder={tiny_model_folder}")
    assert done.code == 1
    assert "no decoder for this file" in done.err
    assert not target.exists()


def test_scripts_know_that_there_is_one_rate(
    codec, folder, call_script, photo, tmp_path, monkeypatch
):
    from tfhific.pictures.images import write_png

    write_png(photo(80, 96), tmp_path / "a.png")
    model = f"--model={folder}"
    done = call_script("compress", tmp_path / "a.png", model, "--verify")
    assert done.code == 0, done.err
    assert "quality" not in done.out
    size = (tmp_path / "a.tfh").stat().st_size
    small = tmp_path / "small.tfh"
    done = call_script("compress", tmp_path / "a.png", small, model, f"--target_bytes={size - 1}")
    assert done.code == 1
    assert "one rate" in done.err
    done = call_script("compress", tmp_path / "a.png", small, model, f"--target_bytes={size}")
    assert done.code == 0
    monkeypatch.setenv("TFHIFIC_MODELS", str(folder.parent))
    done = call_script("info", small)
    assert "one rate" in done.out
    assert json.loads(call_script("info", small, "--json").out)["quality"] is None


def test_damaged_files_are_told(codec, photo):
    data = codec.compress(photo(80, 96))
    for place in range(12, len(data), max(len(data) // 40, 1)):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(BitstreamError):
            codec.decompress(bytes(damaged))
