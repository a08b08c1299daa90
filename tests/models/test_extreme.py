"""GC and SC: shapes, losses, what each part sees, and that a step trains them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf

from tfhific import systems
from tfhific.backend import keras
from tfhific.errors import ModelError
from tfhific.models.draws import Draws
from tfhific.models.extreme import Extreme, GCConfig, SCConfig, split_batch
from tfhific.models.extreme_networks import MultiscaleDiscriminator, encoder, generator
from tfhific.models.quantizer import CollapseWatch
from tfhific.models.system import TrainableSystem, Training, TrainingOptions


@pytest.fixture(scope="module")
def batch(photo, label_picture):
    """uint8 [2, 64, 64, 5]: pictures, labels, kept."""
    items = []
    for seed in (1, 2):
        kept = np.zeros([64, 64, 1], np.uint8)
        kept[: 20 * seed, 5:30] = 1
        labels = label_picture(64, 64, 5, seed)[..., None]
        items.append(np.concatenate([photo(64, 64, seed), labels, kept], -1))
    return np.stack(items)


def _data(name, batch):
    return tf.constant(batch if name in ("sent", "sc") else batch[..., :3])


def _trainable(model: Extreme, **options) -> Extreme:
    options = TrainingOptions(batch_size=2, crop=64, clip_norm=0.0, **options)
    model.build_for(options)
    groups, optimizers = model.groups(options), model.build_optimizers(options)
    for name, optimizer in optimizers.items():
        optimizer.build(groups[name])
    model.training_state = Training(options, optimizers, groups, tf.Variable(0, dtype=tf.int64))
    return model


def test_layers_are_the_papers():
    """Kernels and channels of the table in the paper's appendix, at its width."""

    def shapes(network):
        return [tuple(v.shape) for v in network.trainable_variables if v.shape.rank == 4]

    network = encoder(60, 4)
    assert network(tf.zeros([1, 64, 64, 3])).shape == (1, 4, 4, 4)
    assert shapes(network) == [
        (7, 7, 3, 60),
        (3, 3, 60, 120),
        (3, 3, 120, 240),
        (3, 3, 240, 480),
        (3, 3, 480, 960),
        (3, 3, 960, 4),
    ]
    assert (GCConfig().width, GCConfig().blocks) == (60, 9)
    # At a fifth of its width, where it has 6 million weights and not 150.
    network = generator(12, 9)
    assert network(tf.zeros([1, 4, 4, 4])).shape == (1, 64, 64, 3)
    assert shapes(network) == [
        (3, 3, 4, 192),
        *[(3, 3, 192, 192)] * 18,
        (3, 3, 96, 192),
        (3, 3, 48, 96),
        (3, 3, 24, 48),
        (3, 3, 12, 24),
        (7, 7, 12, 3),
    ]
    network = MultiscaleDiscriminator(64)
    features, judged = network(tf.zeros([1, 128, 128, 3]))
    assert [len(scale) for scale in features] == [4, 4, 4]
    assert [tuple(f.shape[1:]) for f in features[0]] == [
        (64, 64, 64),
        (32, 32, 128),
        (16, 16, 256),
        (8, 8, 512),
    ]
    assert [j.shape[1] for j in judged] == [8, 4, 2]


def test_defaults_are_the_papers():
    config = GCConfig()
    assert (config.width, config.blocks, config.centres, config.scales) == (60, 9, 5, 3)
    assert (config.mse_weight, config.feature_weight) == (12.0, 10.0)
    defaults = Extreme.defaults(config, 1)
    assert (defaults["batch_size"], defaults["learning_rate"]) == (1, 2e-4)
    adam = Extreme(GCConfig(width=2, blocks=1)).build_optimizers(TrainingOptions())
    assert all(optimizer.beta_1 == 0.5 for optimizer in adam.values())


@pytest.mark.parametrize("bottleneck", [2, 4, 8, 16])
def test_bottleneck_sets_the_channels_of_the_code(bottleneck):
    model = Extreme(GCConfig(width=2, blocks=1, discriminator_width=2, bottleneck=bottleneck))
    model.build_variables()
    assert model.code(tf.zeros([1, 64, 96, 3]), None)[1].shape == (1, 4, 6, bottleneck)


@pytest.mark.parametrize("name", ["gc", "noisy", "sent", "sc"])
def test_pictures_of_any_multiple_of_sixteen_come_back_in_their_size(name, extreme_models):
    channels = 5 if name in ("sent", "sc") else 3
    made = extreme_models[name](tf.zeros([1, 80, 208, channels], tf.uint8))
    assert made.shape == (1, 80, 208, 3)
    assert float(tf.reduce_max(tf.abs(made))) <= 1.0


@pytest.mark.parametrize("name", ["gc", "noisy", "sent", "sc"])
def test_every_weight_has_a_finite_gradient(name, extreme_models, batch):
    model, data, draws = extreme_models[name], _data(name, batch), Draws(0, 0)
    parts = model.parts()
    judging = parts.pop("discriminator")
    for loss_of, variables in (
        (model.generator_loss, [v for part in parts.values() for v in part]),
        (model.discriminator_loss, judging),
    ):
        with tf.GradientTape() as tape:
            loss, _ = loss_of(data, draws)
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            assert gradient is not None, variable.name
            assert np.all(np.isfinite(gradient)), variable.name


def test_distortion_of_sc_counts_in_the_kept_blocks_only(extreme_models, batch):
    model = extreme_models["sc"]
    images, maps, kept = split_batch(tf.constant(batch), model.config)
    code, symbols = model.code(images, kept)
    blocks = tf.nn.max_pool2d(kept, 16, 16, "VALID").numpy()
    assert not np.any(code.numpy() * (1.0 - blocks))
    assert np.any(symbols.numpy())
    made = model.generate(code, maps, Draws(0, 0), True).numpy()
    region = np.kron(blocks[..., 0], np.ones([1, 16, 16]))[..., None].astype(bool)
    expected = np.square(made - images)[np.repeat(region, 3, -1)].mean()
    _, report = model.generator_loss(tf.constant(batch), Draws(0, 0))
    assert float(report["mse"]) == pytest.approx(float(expected), rel=1e-4)


def test_discriminators_see_the_maps_where_there_are_any(extreme_models):
    for name, seen in (("gc", 3), ("sent", 8), ("sc", 8)):
        kernel = extreme_models[name].discriminator.trainable_variables[0]
        assert kernel.shape[2] == seen


def test_maps_for_the_discriminators_alone_need_none_in_the_codec(batch):
    from tfhific.publishing.centres import publish_extreme

    tiny = {"width": 2, "blocks": 1, "discriminator_width": 2}
    model = Extreme(GCConfig(maps="discriminator", classes=5, **tiny))
    model.build_variables()
    assert model.discriminator.trainable_variables[0].shape[2] == 8
    published = publish_extreme(model, "d")
    assert published.decoding["maps"] == "none"
    assert sorted(published.networks) == ["encoder", "generator"]


def test_a_batch_without_maps_says_what_is_missing(extreme_models, batch):
    with pytest.raises(ModelError, match="label maps"):
        extreme_models["sent"](tf.constant(batch[..., :3]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maps": "some"}, "one of none"),
        ({"maps": "sent"}, "2 to 255"),
        ({"maps": "sent", "classes": 3, "class_names": ("a",)}, "3 names"),
        ({"bottleneck": 0}, "bottleneck"),
        ({"centres": 1}, "centres"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ModelError, match=message):
        GCConfig(**settings)


@pytest.mark.parametrize("name", ["gc", "sc"])
def test_both_are_registered_with_what_trains_them(name):
    config = systems.configuration(name, {"bottleneck": 8})
    assert config.bottleneck == 8
    assert issubclass(systems.training_class(name), TrainableSystem)
    assert isinstance(config, SCConfig) == (name == "sc")


@pytest.mark.parametrize("spectral", [False, True])
def test_a_few_steps_bring_the_picture_nearer(spectral, batch):
    tiny = {"width": 4, "blocks": 1, "discriminator_width": 2, "spectral": spectral}
    keras.utils.set_random_seed(1)
    model = _trainable(Extreme(GCConfig(scales=1, **tiny)), learning_rate=4e-3)
    data = tf.constant(batch[..., :3])
    before = [v.numpy() for v in model.discriminator.trainable_variables]
    step = tf.function(model.train_step)
    errors = [float(step(data)["mse"]) for _ in range(16)]
    assert np.mean(errors[-3:]) < 0.9 * np.mean(errors[:2])
    moved = [np.any(a != b) for a, b in zip(before, model.discriminator.trainable_variables)]
    assert any(moved)
    np.testing.assert_allclose(model.shares.numpy().sum(1), 1.0, atol=1e-5)
    assert np.any(np.abs(model.shares.numpy() - 0.2) > 1e-3)


def test_without_discriminators_only_the_distortion_counts(batch):
    tiny = {"width": 2, "blocks": 1, "discriminator_width": 2, "adversarial": False}
    model = _trainable(Extreme(GCConfig(**tiny)))
    report = model.train_step(tf.constant(batch[..., :3]))
    assert set(report) == {"loss", "mse", "code_bits", "centre_gap", "gradient_norm"}
    assert float(report["loss"]) == pytest.approx(12.0 * float(report["mse"]), rel=1e-5)


def test_fit_watches_for_collapse(batch, monkeypatch):
    """A quantiser whose centres are all one is warned of while training."""
    tiny = {"width": 2, "blocks": 1, "discriminator_width": 2, "adversarial": False}
    model = _trainable(Extreme(GCConfig(learn_centres=True, **tiny)))
    model.quantizer.centres.assign(tf.zeros([5]))
    model.compile(optimizer=model.training_state.optimizers["generator"])
    monkeypatch.setattr(CollapseWatch.__init__, "__defaults__", (3, 0.05, 0.05, None))
    data = tf.data.Dataset.from_tensors(batch[..., :3]).repeat()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(data, steps_per_epoch=4, epochs=1, verbose=0)
    assert any("collapsed" in str(warning.message) for warning in caught)
