"""The generator to be inverted: sizes, losses, data, and that a step trains all three networks."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfhific.data.square import SquareData, domain_pictures, squared
from tfhific.errors import ModelError, TfhificError
from tfhific.models.draws import Draws
from tfhific.models.inversion import Inversion, InversionConfig
from tfhific.models.system import Training, TrainingOptions


@pytest.mark.parametrize("side", [8, 32, 128])
def test_sides_are_powers_of_two(side):
    model = Inversion(InversionConfig(side=side, width=2, latent=5, widest=8))
    model.build_variables()
    assert model(tf.zeros([2, 5])).shape == (2, side, side, 3)
    features, logits = model.discriminator(tf.zeros([2, side, side, 3]))
    assert features[-1].shape[1:3] == (4, 4)
    assert logits.shape == (2, 1)
    assert model.guess(tf.zeros([2, side, side, 3])).shape == (2, 5)


@pytest.mark.parametrize("settings", [{"side": 48}, {"side": 4}, {"channels": 2}, {"latent": 0}])
def test_impossible_sizes_are_refused(settings):
    with pytest.raises(ModelError, match="expected"):
        InversionConfig(**settings)


def test_a_step_trains_generator_discriminator_and_guess():
    options = TrainingOptions(batch_size=4, crop=8, clip_norm=0.0, learning_rate=1e-3)
    model = Inversion(InversionConfig(side=8, width=4, latent=5, channels=1))
    model.build_for(options)
    groups, optimizers = model.groups(options), model.build_optimizers(options)
    model.training_state = Training(options, optimizers, groups, tf.Variable(0, dtype=tf.int64))
    before = {name: [v.numpy() for v in variables] for name, variables in groups.items()}
    data = tf.constant(np.random.default_rng(0).integers(256, size=[4, 8, 8, 1]).astype(np.uint8))
    model.before_step(0, 0.0, 1e-3)
    assert float(optimizers["guess"].learning_rate) == pytest.approx(5e-3)
    report = model.train_step(data)
    assert all(np.isfinite(float(value)) for value in report.values())
    for name, variables in groups.items():
        assert any(np.any(a != b.numpy()) for a, b in zip(before[name], variables)), name
    for loss_of, name in (
        (model.generator_loss, "generator"),
        (model.discriminator_loss, "discriminator"),
        (model.guess_loss, "guess"),
    ):
        with tf.GradientTape() as tape:
            loss, _ = loss_of(data, Draws(0, 0))
        assert all(g is not None for g in tape.gradient(loss, groups[name]))


def test_squares_are_the_middle_of_the_picture():
    image = np.zeros([20, 60, 3], np.uint8)
    image[:, 20:40] = 200
    assert np.all(squared(image, 8, 3) == 200)
    assert squared(image, 8, 1).shape == (8, 8, 1)


def test_pictures_of_a_folder_become_squares(tmp_path, photo):
    for number in range(3):
        Image.fromarray(photo(20, 30, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no")
    data = SquareData(tmp_path, TrainingOptions(batch_size=5, crop=8), 8, 3)
    assert data.count == 3
    assert list(data.skipped) == [str(tmp_path / "broken.png")]
    batch = next(iter(data.batches(2))).numpy()
    assert batch.shape == (5, 8, 8, 3)
    np.testing.assert_array_equal(batch, data.batch(2))
    (tmp_path / "broken.png").unlink()
    assert len(domain_pictures(tmp_path, 2)) == 2


def test_digits_get_a_border(tmp_path):
    images = np.full([3, 6, 6], 255, np.uint8)
    for name, array in (("images-idx3", images), ("labels-idx1", np.zeros([3]))):
        head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        data = gzip.compress(head + array.astype(np.uint8).tobytes())
        (tmp_path / f"train-{name}-ubyte.gz").write_bytes(data)
    batch = SquareData(tmp_path, TrainingOptions(batch_size=2, crop=8), 8, 1).batch(0)
    assert batch.shape == (2, 8, 8, 1)
    assert batch[0, 1:-1, 1:-1].min() == 255
    assert batch[0].sum() == 255 * 36
    with pytest.raises(TfhificError, match="at most 4 pixels"):
        SquareData(tmp_path, TrainingOptions(batch_size=2, crop=8), 4, 1)
    assert len(domain_pictures(tmp_path, 2)) == 2
