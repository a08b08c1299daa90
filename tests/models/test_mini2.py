"""`mini2`: its checkerboard, its gradients, and what a step does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific import systems
from tfhific.backend import keras
from tfhific.models.mini2 import Mini2, Mini2Config

SMALL = Mini2Config(
    latent_channels=48,
    hyper_channels=6,
    width=12,
    encoder_blocks=1,
    decoder_blocks=1,
    fine_channels=4,
    context_channels=8,
)


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    model = Mini2(SMALL, clip_norm=1.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    model(tf.zeros([2, 64, 64, 3]))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def batch(photo):
    return np.stack([photo(64, 64, seed=n) for n in range(2)]).astype(np.float32)


def moved(model) -> None:
    """Moves every weight away from where it began, since some layers begin as nothing."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.02, variable.shape))


def test_untrained_model_is_a_transform_codec_already(model, batch):
    decoded, bits_y, bits_z = model(batch, tf.constant([8.0, 8.0]))
    assert decoded.shape == batch.shape
    assert np.sqrt(np.mean((decoded - batch) ** 2)) < 15
    assert np.all(bits_y.numpy() > 0)
    assert np.all(bits_z.numpy() > 0)


def test_every_weight_has_a_finite_gradient(model, batch):
    moved(model)
    with tf.GradientTape() as tape:
        loss = model.losses_of(batch, tf.constant([2.0, 6.5]), True)["loss"]
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert gradient is not None, variable.name
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.all(np.isfinite(gradient)), variable.name
        assert np.any(gradient != 0), variable.name


def test_steps_lower_the_loss(model, batch):
    def loss() -> float:
        return float(model.losses_of(batch, tf.constant([2.0, 6.5]), False)["loss"])

    before = loss()
    for _ in range(5):
        assert np.isfinite(model.train_step(batch)["loss"])
    assert loss() < before


def test_parts_are_all_of_the_weights_once(model):
    named = [id(v) for variables in model.parts().values() for v in variables]
    assert sorted(named) == sorted(id(v) for v in model.trainable_variables)


def test_the_system_is_registered():
    config = systems.configuration("mini2", {"width": 24})
    assert config == Mini2Config(width=24)
    assert systems.training_class("mini2") is Mini2
