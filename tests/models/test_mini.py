"""`mini`: its transforms, gains and loss, and what a step does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.block_transform import block_transform
from tfhific.models.mini import Mini, MiniConfig
from tfhific.models.mini_config import NUM_QUALITIES


@pytest.mark.parametrize("count", [1, 48, 192, 768])
def test_block_transform_is_orthonormal(count):
    basis = block_transform(count)
    assert basis.shape == (count, 768)
    assert basis.dtype == np.float32
    np.testing.assert_allclose(basis @ basis.T, np.eye(count), atol=1e-5)


def test_block_transform_begins_with_the_mean_and_keeps_its_order():
    basis = block_transform(192)
    np.testing.assert_allclose(basis[0], 768**-0.5, rtol=1e-5)
    np.testing.assert_array_equal(block_transform(48), basis[:48])


@pytest.mark.parametrize("count", [0, 769, -1])
def test_number_of_basis_functions_is_checked(count):
    with pytest.raises(ValueError, match="1 to 768"):
        block_transform(count)


def test_lambda_is_geometric_from_end_to_end():
    config = MiniConfig()
    assert math.exp(config.log_lambda(1.0)) == pytest.approx(config.lambda_min)
    assert math.exp(config.log_lambda(8.0)) == pytest.approx(config.lambda_max)
    steps = np.diff(config.log_lambda(np.arange(1.0, 9.0)))
    np.testing.assert_allclose(steps, steps[0])


def test_scales_are_geometric_from_end_to_end():
    scales = MiniConfig(num_scales=5, scale_min=0.5, scale_max=8.0).scales()
    np.testing.assert_allclose(scales, [0.5, 1, 2, 4, 8])


def test_gains_are_the_trained_ones_and_geometric_between(tiny_model):
    table, inverse = tiny_model.log_gain.numpy(), tiny_model.log_inverse_gain.numpy()
    quality = tf.constant([1.0, 3.0, 8.0, 3.25, 0.0, 9.0])
    places = [(0, 0, 0), (2, 2, 0), (7, 7, 0), (2, 3, 0.25), (0, 0, 0), (7, 7, 0)]
    for gains, logs in zip(tiny_model.gains(quality), (table, inverse)):
        assert gains.shape == (6, 1, 1, logs.shape[1])
        for found, (low, high, share) in zip(gains.numpy()[:, 0, 0], places):
            expected = np.exp(logs[low] + share * (logs[high] - logs[low]))
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_untrained_model_is_a_transform_codec_already(tiny_config, photo):
    model = Mini(tiny_config)
    # 48 of 768 basis functions hold a smooth picture.
    small = photo(8, 8, seed=1)
    from PIL import Image

    image = np.asarray(Image.fromarray(small).resize((128, 128), Image.BICUBIC), np.float32)[None]
    gain, inverse = model.gains(tf.constant([8.0]))
    y = tf.round(model.analysis(image / 255.0 - 0.5) * gain)
    decoded = (model.synthesis(y * inverse) + 0.5) * 255.0
    mse = float(tf.reduce_mean((decoded - image) ** 2))
    assert 10 * math.log10(255**2 / mse) > 30


@pytest.fixture(scope="module")
def batch(photo):
    return np.stack([photo(64, 64, seed) for seed in (1, 2)]).astype(np.float32)


@pytest.fixture(scope="module")
def measured(tiny_model, batch):
    """Reconstruction and bits of the rounded latents at qualities 2 and 5.5."""
    return [part.numpy() for part in tiny_model(batch, tf.constant([2.0, 5.5]))]


def test_call_gives_pictures_and_bits_of_each(measured, batch):
    reconstruction, bits_y, bits_z = measured
    assert reconstruction.shape == batch.shape
    assert bits_y.shape == bits_z.shape == (2,)
    assert np.all(bits_y > 0)
    assert np.all(bits_z > 0)


def test_codec_codes_and_estimates_what_the_trained_model_says(measured, batch, tiny_codec):
    reconstruction, bits_y, bits_z = measured
    for number, quality in enumerate((2.0, 5.5)):
        image = batch[number].astype(np.uint8)
        # Published kernels have half precision: nearly the same, not quite.
        estimated = tiny_codec.estimate_bpp(image, quality) * 64 * 64
        assert estimated == pytest.approx(float(bits_y[number] + bits_z[number]), rel=0.01)
        decoded = tiny_codec.decompress(tiny_codec.compress(image, quality)).astype(np.float32)
        difference = decoded - np.clip(reconstruction[number], 0, 255)
        assert np.sqrt(np.mean(difference**2)) < 3


def test_loss_is_the_weighted_sum_of_its_parts(tiny_model, batch):
    quality = tf.constant([2.0, 7.0])
    parts = {name: v.numpy() for name, v in tiny_model.losses_of(batch, quality, False).items()}
    np.testing.assert_allclose(parts["bpp"], parts["bpp_y"] + parts["bpp_z"], rtol=1e-5)
    np.testing.assert_allclose(parts["psnr"], 10 * np.log10(255**2 / parts["mse"]), rtol=1e-5)
    log_lambda = tiny_model.config.log_lambda(np.array([2.0, 7.0]))
    weight = np.exp((tiny_model.config.log_lambda(4.5) - log_lambda) / 3)
    expected = np.mean(weight * (parts["bpp"] + np.exp(log_lambda) * parts["mse"]))
    assert parts["loss"] == pytest.approx(expected, rel=1e-5)


def test_every_weight_has_a_finite_gradient(tiny_model, batch):
    with tf.GradientTape() as tape:
        loss = tiny_model.losses_of(batch, tf.constant([2.0, 6.5]), True)["loss"]
    variables = tiny_model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert gradient is not None, variable.name
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.all(np.isfinite(gradient)), variable.name
        assert np.any(gradient != 0), variable.name


@pytest.fixture
def trainable(tiny_config):
    keras.utils.set_random_seed(3)
    model = Mini(tiny_config, clip_norm=1.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    model(tf.zeros([2, 64, 64, 3]))
    model.optimizer.build(model.trainable_variables)
    return model


def test_step_changes_weights_unless_its_gradient_is_not_finite(trainable, batch):
    def weights():
        return [variable.numpy() for variable in trainable.trainable_variables]

    first = weights()
    report = trainable.train_step(batch)
    assert all(np.isfinite(value) for value in report.values())
    assert trainable.optimizer.iterations.numpy() == 1
    second = weights()
    moved = [not np.array_equal(a, b) for a, b in zip(first, second)]
    # What stands before a layer that starts at zero moves from the second step on only.
    assert np.mean(moved) > 0.5

    broken = batch.copy()
    broken[0, 5, 5, 1] = np.nan
    report = trainable.train_step(broken)
    assert not np.isfinite(report["loss"])
    assert not np.isfinite(report["gradient_norm"])
    for before, after in zip(second, weights()):
        np.testing.assert_array_equal(before, after)
    assert trainable.optimizer.iterations.numpy() == 1
    assert np.isfinite(trainable.train_step(batch)["loss"])


def test_qualities_of_a_step_are_spread_over_the_range(trainable, batch, monkeypatch):
    drawn = []

    def losses_of(images, quality, training):
        drawn.append(quality.numpy())
        return {"loss": tf.reduce_sum(trainable.log_gain) * 0.0}

    monkeypatch.setattr(trainable, "losses_of", losses_of)
    for _ in range(20):
        trainable.train_step(np.zeros([4, 64, 64, 3], np.float32))
    drawn = np.array(drawn)
    edges = np.linspace(1, NUM_QUALITIES, 5)
    assert np.all(drawn >= edges[:-1])
    assert np.all(drawn <= edges[1:])
    assert np.all(np.ptp(drawn, axis=0) > 1)
