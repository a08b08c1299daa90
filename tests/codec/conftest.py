"""Fixtures that several files of these tests share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def trained_mini2():
    """A small `Mini2` whose weights are moved away from where they began."""
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.models.mini2 import Mini2, Mini2Config

    keras.utils.set_random_seed(3)
    config = Mini2Config(
        latent_channels=32,
        hyper_channels=12,
        width=24,
        encoder_blocks=1,
        decoder_blocks=1,
        fine_channels=8,
        context_channels=16,
    )
    model = Mini2(config)
    model(tf.zeros([1, 64, 64, 3]))
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        value = variable.numpy()
        size = 0.1 * float(np.abs(value).mean()) or 0.1 / np.sqrt(np.prod(value.shape[:-1]) or 1)
        size = 0.02 if "gain" in variable.name else size
        variable.assign_add(rng.normal(0.0, size, value.shape))
    return model


@pytest.fixture(scope="session")
def published_mini2(trained_mini2, photo):
    """The same, published, its tables fitted to a picture; in memory."""
    from tfhific.publishing.calibration import calibrate
    from tfhific.publishing.hyperprior import publish

    model = publish(trained_mini2, "tiny2", {"system": "mini2", "step": 0})
    return calibrate(model, [photo(192, 192, seed=9)], [1.0, 5.0, 8.0])
