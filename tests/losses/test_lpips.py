"""LPIPS equals its definition, computed in NumPy; wrong files are told."""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ModelError
from tfhific.losses.lpips import LPIPS

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "data"
WEIGHTS = SHARED / "weights"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs the shared LPIPS weights")


def small_weights(backbone: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of a narrow backbone."""
    rng = np.random.default_rng(seed)
    arrays = {}

    def conv(name, size, inputs, outputs):
        scale = (2.0 / (size * size * inputs)) ** 0.5
        arrays[f"{name}/kernel"] = rng.normal(0, scale, [size, size, inputs, outputs])
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, [outputs])
        return outputs

    taps = []
    if backbone == "alex":
        width = conv("conv1", 11, 3, 5)
        taps.append(width)
        for number, size, out in ((2, 5, 6), (3, 3, 7), (4, 3, 4), (5, 3, 3)):
            width = conv(f"conv{number}", size, width, out)
            taps.append(width)
    elif backbone == "squeeze":
        width = conv("conv1", 3, 3, 6)
        taps.append(width)
        for number in range(2, 10):
            middle = conv(f"fire{number}/squeeze", 1, width, 3)
            one = conv(f"fire{number}/expand1x1", 1, middle, 4)
            width = one + conv(f"fire{number}/expand3x3", 3, middle, 3)
            if number not in (2, 4):
                taps.append(width)
    else:
        width = 3
        for block, depth in enumerate((2, 2, 3, 3, 3), 1):
            for place in range(1, depth + 1):
                width = conv(f"conv{block}_{place}", 3, width, 3 + block)
            taps.append(width)
    for number, width in enumerate(taps):
        arrays[f"lin{number}"] = rng.uniform(0, 1, [width])
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def np_conv(x, w, name, stride=1, pad=0):
    """A convolution and ReLU by its definition, x [height, width, channels]."""
    kernel, bias = w[f"{name}/kernel"].astype(np.float64), w[f"{name}/bias"]
    size = kernel.shape[0]
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))
    return np.maximum(np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel) + bias, 0)


def np_pool(x, size, ceil=False):
    length = [n - size for n in x.shape[:2]]
    count = [(-(-n // 2) if ceil else n // 2) + 1 for n in length]
    out = np.zeros([*count, x.shape[2]])
    for i in range(count[0]):
        for j in range(count[1]):
            out[i, j] = x[2 * i : 2 * i + size, 2 * j : 2 * j + size].max((0, 1))
    return out


def np_features(w, x):
    x = (x - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    taps = []
    if "conv1_1/kernel" in w:
        for block, depth in enumerate((2, 2, 3, 3, 3), 1):
            x = np_pool(x, 2) if block > 1 else x
            for place in range(1, depth + 1):
                x = np_conv(x, w, f"conv{block}_{place}", 1, 1)
            taps.append(x)
        return taps
    if "fire2/squeeze/kernel" in w:
        x = np_conv(x, w, "conv1", 2)
        taps.append(x)
        for number in range(2, 10):
            x = np_pool(x, 3, ceil=True) if number in (2, 4, 6) else x
            x = np_conv(x, w, f"fire{number}/squeeze")
            wide = np_conv(x, w, f"fire{number}/expand3x3", 1, 1)
            x = np.concatenate([np_conv(x, w, f"fire{number}/expand1x1"), wide], -1)
            if number not in (2, 4):
                taps.append(x)
        return taps
    for number, stride, pad in ((1, 4, 2), (2, 1, 2), (3, 1, 1), (4, 1, 1), (5, 1, 1)):
        x = np_pool(x, 3) if number in (2, 3) else x
        x = np_conv(x, w, f"conv{number}", stride, pad)
        taps.append(x)
    return taps


def np_lpips(w, first, second):
    total = 0.0
    for number, (a, b) in enumerate(zip(np_features(w, first), np_features(w, second))):
        a, b = (f / (np.sqrt((f**2).sum(-1, keepdims=True)) + 1e-10) for f in (a, b))
        total += np.mean(((a - b) ** 2) @ w[f"lin{number}"].astype(np.float64))
    return total


def pairs(height, width, batch=2, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, [2, batch, height, width, 3]).astype(np.float32)


@pytest.fixture
def stored(tmp_path):
    def store(arrays, name="weights.npz"):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return store


@pytest.mark.parametrize("size", [(64, 64), (47, 66), (35, 50)])
@pytest.mark.parametrize("backbone", ["alex", "squeeze", "vgg16"])
def test_distance_is_its_definition(backbone, size, stored):
    arrays = small_weights(backbone)
    layer = LPIPS(stored(arrays))
    assert layer.backbone == backbone
    assert layer.whole
    first, second = pairs(*size)
    distance = layer((first, second))
    assert distance.shape == (2,)
    assert distance.dtype == tf.float32
    expected = [np_lpips(arrays, *pair) for pair in zip(first, second)]
    np.testing.assert_allclose(distance, expected, rtol=1e-4)
    flexible = tf.function(layer, input_signature=[(tf.TensorSpec([None, None, None, 3]),) * 2])
    np.testing.assert_allclose(flexible((first, second)), expected, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["alex", "squeeze", "vgg16"])
def test_gradient_is_finite_and_zero_at_equal_images(backbone, stored):
    layer = LPIPS(stored(small_weights(backbone)))
    for images in (pairs(40, 40)[0], np.zeros([1, 40, 40, 3], np.float32)):
        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            distance = layer((tf.stop_gradient(images), images))
        # A convolution need not give two equal pictures of a batch the same last bits.
        np.testing.assert_allclose(distance, 0, atol=1e-9)
        np.testing.assert_allclose(tape.gradient(distance, images), 0, atol=1e-6)


def test_gradient_is_finite_where_every_feature_is_dead(stored):
    arrays = small_weights("alex")
    arrays["conv3/bias"] -= 1e3
    layer = LPIPS(stored(arrays))
    first, second = (tf.constant(images) for images in pairs(40, 40))
    with tf.GradientTape() as tape:
        tape.watch(second)
        distance = layer((first, second))
    gradient = tape.gradient(distance, second).numpy()
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient != 0)


def test_gradient_points_uphill(stored):
    layer = LPIPS(stored(small_weights("squeeze")))
    first, second = (tf.constant(images) for images in pairs(40, 40))
    with tf.GradientTape() as tape:
        tape.watch(second)
        distance = layer((first, second))
    gradient = tape.gradient(distance, second)
    closer = second - 0.05 * gradient / tf.norm(gradient)
    assert np.all(layer((first, closer)).numpy() < distance.numpy())


def test_weights_are_not_trainable_and_float32_under_mixed_precision(stored):
    path = stored(small_weights("alex"))
    before = keras.mixed_precision.global_policy()
    first, second = pairs(40, 40)
    expected = LPIPS(path)((first, second)).numpy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = LPIPS(path)
        distance = layer((first, second))
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert distance.dtype == tf.float32
    np.testing.assert_array_equal(distance, expected)
    assert layer.trainable_weights == []


def test_backbone_without_its_end_is_an_error_or_on_demand_a_loss(stored):
    arrays = {
        name: value
        for name, value in small_weights("vgg16").items()
        if name.startswith(("conv1", "conv2", "lin"))
    }
    path = stored(arrays)
    with pytest.raises(ModelError, match=r"'conv3_1/kernel' is missing.*first 2 taps"):
        LPIPS(path)
    layer = LPIPS(path, allow_partial=True)
    assert not layer.whole
    first, second = pairs(32, 32)
    assert np.all(layer((first, second)).numpy() > 0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("conv2/kernel", np.zeros([5, 5, 4, 6], np.float32), r"'conv2/kernel'.*\[5, 5, 5, any\]"),
        ("conv2/kernel", np.zeros([3, 3, 5, 6], np.float32), r"\[3, 3, 5, 6\]"),
        ("conv4/bias", np.zeros([9], np.float32), "'conv4/bias'"),
        ("lin2", np.zeros([1, 7], np.float32), "'lin2'"),
        ("lin2", np.zeros([7], np.float64), "float64"),
        ("conv1/bias", np.full([5], np.nan, np.float32), "not finite"),
        ("lin4", None, "'lin4' is missing"),
        ("conv5/kernel", None, "'conv5/kernel' is missing"),
        ("conv1/kernel", None, "'conv1/kernel' is missing"),
    ],
)
def test_arrays_that_do_not_fit_are_told(name, value, said, stored):
    arrays = small_weights("alex")
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    with pytest.raises(ModelError, match=said):
        LPIPS(stored(arrays))


def test_files_that_are_something_else_are_told(tmp_path, stored):
    with pytest.raises(ModelError, match="cannot be read"):
        LPIPS(tmp_path / "missing.npz")
    with pytest.raises(ModelError, match="cannot be read"):
        LPIPS(tmp_path)
    (tmp_path / "text.npz").write_text("not weights")
    with pytest.raises(ModelError, match="expected an npz"):
        LPIPS(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ModelError, match="expected an npz"):
        LPIPS(tmp_path / "one.npy")
    with pytest.raises(ModelError, match="Received arrays: a"):
        LPIPS(stored({"a": np.zeros(3, np.float32)}))
    with pytest.raises(ModelError, match="pickled"):
        LPIPS(stored({**small_weights("alex"), "conv2/kernel": np.array([{}], object)}))
    whole = stored(small_weights("alex")).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="expected an npz"):
        LPIPS(tmp_path / "cut.npz")


def test_file_that_unpacks_to_gigabytes_is_refused_unread(tmp_path, monkeypatch):
    from tfhific.losses import lpips_weights

    monkeypatch.setattr(lpips_weights, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conv2/kernel.npy", bytes(2 << 20))
    with pytest.raises(ModelError, match="at most"):
        LPIPS(tmp_path / "bomb.npz")


@pytest.mark.parametrize(("backbone", "side"), [("alex", 31), ("squeeze", 17), ("vgg16", 16)])
def test_images_too_small_for_the_backbone_are_told(backbone, side, stored):
    layer = LPIPS(stored(small_weights(backbone)))
    assert np.all(np.isfinite(layer(tuple(pairs(side, side)))))
    with pytest.raises(ValueError, match=f"{side} pixels or more"):
        layer(tuple(pairs(side, side - 1)))


@needs_weights
@pytest.mark.parametrize("name", ["lpips_alex_v0.1", "lpips_squeeze_v0.1"])
def test_published_weights_give_their_definition_and_rank_distortions(name, photo):
    path = WEIGHTS / f"{name}.npz"
    layer = LPIPS(path)
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    original = photo(64, 80).astype(np.float32) / 127.5 - 1
    noise = np.random.default_rng(0).normal(size=original.shape).astype(np.float32)
    little, much = (np.clip(original + s * noise, -1, 1) for s in (0.05, 0.4))
    distances = layer((np.stack([original] * 2), np.stack([little, much]))).numpy()
    expected = [np_lpips(arrays, original, other) for other in (little, much)]
    np.testing.assert_allclose(distances, expected, rtol=1e-4)
    assert 0 < distances[0] < 0.5 * distances[1]


@needs_weights
def test_first_convolutions_of_vgg16_serve_as_a_loss():
    path = WEIGHTS / "vgg16_conv1_conv2_torchvision.npz"
    with pytest.raises(ModelError, match="not whole"):
        LPIPS(path)
    first, second = pairs(32, 32)
    assert np.all(LPIPS(path, allow_partial=True)((first, second)).numpy() > 0)
