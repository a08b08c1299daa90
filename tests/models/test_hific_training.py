"""HiFiC's losses, rate control and GAN steps, each by what it says."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.models.draws import Draws
from tfhific.models.hific import HiFiCConfig
from tfhific.models.hific_training import HiFiCTraining, rate_control
from tfhific.models.label_discriminator import label_discriminator_loss, label_generator_loss
from tfhific.models.labels import LabelAutoencoder, LabelConfig
from tfhific.models.system import TrainingOptions
from tfhific.systems import configuration
from tfhific.training.start import _training

CROP = 64


@pytest.fixture(scope="module")
def images(photo):
    return np.stack([photo(CROP, CROP, seed) for seed in range(6)])


def make(settings=None, preset="hific-tiny", labeller=None, **options) -> HiFiCTraining:
    config = configuration("hific", settings, preset)
    defaults = HiFiCTraining.defaults(config, options.get("stage", 1))
    options = TrainingOptions(**{**defaults, "batch_size": 3, "crop": CROP, **options})
    keras.utils.set_random_seed(3)
    system = HiFiCTraining(config)
    system.check_options(options)
    if labeller is not None:
        system.use_labels(labeller)
    system.build_for(options)
    system.training_state = _training(system, options)
    return system


@pytest.fixture(scope="module")
def untouched(small_lpips):
    """A function that gives a system to tests that leave its weights as they are.

    `untouched(normalize, stage)`; to make one takes longest.
    """

    @functools.cache
    def give(normalize: bool, stage: int) -> HiFiCTraining:
        return make({"normalize_input": normalize}, stage=stage, lpips=small_lpips)

    return give


def values(variables) -> list[np.ndarray]:
    return [v.numpy() for v in variables]


def moved(variables, before) -> list[bool]:
    return [not np.array_equal(v.numpy(), old) for v, old in zip(variables, before)]


@pytest.mark.parametrize(
    ("bpp", "step", "target", "weight"),
    [
        (0.15, 50_000, 0.14, 2.0),
        (0.13, 50_000, 0.14, 1 / 64),
        (0.14, 10**6, 0.14, 1 / 64),
        (0.21, 0, 0.20, 1.0),
        (0.19, 49_999, 0.20, 1 / 128),
    ],
)
def test_rate_weight_switches_at_the_target_and_both_are_warmed_up(bpp, step, target, weight):
    found = rate_control(HiFiCConfig(), tf.constant(bpp), tf.constant(step, tf.int64))
    np.testing.assert_allclose([float(x) for x in found], [target, weight], rtol=1e-6)


def test_warm_up_of_the_other_implementation_doubles_the_weights():
    config = configuration(
        "hific", {"rate_weight_below": 1 / 16, "warmup_rate_weight": 2.0}, "hific-mi"
    )
    for bpp, weight in ((0.9, 2.0), (0.1, 1 / 8)):
        assert float(rate_control(config, tf.constant(bpp), 0)[1]) == pytest.approx(weight)
    for bpp, weight in ((0.9, 1.0), (0.1, 1 / 16)):
        assert float(rate_control(config, tf.constant(bpp), 50_000)[1]) == pytest.approx(weight)


def test_weights_are_those_of_the_paper():
    config = HiFiCConfig()
    assert config.mse_weight == pytest.approx(0.00234375)
    assert (config.lpips_weight, config.adversarial_weight) == (1.0, 0.15)
    defaults = HiFiCTraining.defaults(config, 1)
    assert (defaults["learning_rate"], defaults["boundaries"]) == (1e-4, (500_000,))
    assert (defaults["batch_size"], defaults["crop"]) == (8, 256)


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("normalize", [False, True])
def test_loss_is_the_sum_of_its_parts(stage, normalize, images, untouched):
    system = untouched(normalize, stage)
    loss, report = system._compressor_loss(tf.constant(images), Draws(1, 2))
    report = {name: float(tf.reduce_mean(value)) for name, value in report.items()}
    parts = ["rate_loss", "mse_loss", "lpips_loss", *["generator_loss"] * (stage == 2)]
    assert float(loss) == report["loss"] == pytest.approx(sum(report[p] for p in parts), rel=1e-5)
    noisy = report["noisy_bpp_y"] + report["noisy_bpp_z"]
    assert report["rate_loss"] == pytest.approx(report["rate_weight"] * noisy, rel=1e-5)
    assert report["mse_loss"] == pytest.approx(0.00234375 * report["mse"], rel=1e-5)
    assert report["lambda"] == pytest.approx(0.1 * 2**-5 / report["rate_weight"], rel=1e-5)
    assert report["bpp"] == pytest.approx(report["bpp_y"] + report["bpp_z"], rel=1e-5)
    assert all(np.isfinite(value) for value in report.values())


def test_lpips_compares_pixels_in_its_own_range_whatever_the_networks_see(
    images, small_lpips, untouched
):
    from tfhific.losses.lpips import LPIPS

    for normalize in (False, True):
        system = untouched(normalize, 1)
        _, report = system._compressor_loss(tf.constant(images), Draws(1, 2))
        decoded = system.model.from_range(system._code(tf.constant(images), Draws(1, 2))[1])
        layer = LPIPS(small_lpips)
        expected = layer((images / np.float32(127.5) - 1.0, decoded / 127.5 - 1.0))
        assert float(report["lpips"]) == pytest.approx(np.mean(expected), rel=1e-4)


def test_losses_follow_from_seed_and_step(images, untouched):
    system = untouched(False, 1)

    def loss(step):
        return float(system._compressor_loss(tf.constant(images), Draws(1, step))[0])

    assert loss(4) == loss(4)
    assert loss(4) != loss(5)


def test_every_weight_but_the_discriminators_has_a_finite_gradient(images, untouched):
    system = untouched(False, 2)
    state = system.training_state
    variables = [*state.groups["networks"], *state.groups["z_prior"]]
    with tf.GradientTape() as tape:
        loss, _ = system._compressor_loss(tf.constant(images), Draws(1, 2))
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert gradient is not None, variable.name
        assert np.all(np.isfinite(gradient)), variable.name
    known = {id(v) for group in state.groups.values() for v in group}
    assert known == {id(v) for v in system.model.trainable_variables}


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_discriminator_sees_every_image_with_its_own_latents(batch, images, monkeypatch):
    system = make(stage=2)
    seen = []
    original = system.model.discriminator.layers_of

    def layers_of(pictures, latents, training=False):
        seen.append((pictures.numpy(), latents.numpy(), training))
        return original(pictures, latents, training)

    monkeypatch.setattr(system.model.discriminator, "layers_of", layers_of)
    chosen = tf.constant(images[:batch])
    system._discriminator_loss(chosen, Draws(1, 2))
    ((pictures, latents, training),) = seen
    coded, decoded = system._code(chosen, Draws(1, 2))
    assert training
    np.testing.assert_allclose(pictures, np.concatenate([images[:batch] / 255.0, decoded]), 1e-5)
    np.testing.assert_allclose(latents, np.concatenate([coded.y_hat] * 2), 1e-5)
    # And each image's logits are those that it would have by itself.
    together = original(tf.constant(pictures), tf.constant(latents))[-1].numpy()
    for place in range(2 * batch):
        alone = original(pictures[place : place + 1], latents[place : place + 1])[-1]
        np.testing.assert_allclose(together[place], alone[0], rtol=1e-3, atol=1e-5)


def test_steps_have_a_sub_batch_each_and_move_their_own_weights(images, monkeypatch):
    system = make(stage=2)
    assert system.crops_per_step(system.training_state.options) == 6
    batches = {}
    for name in ("_discriminator_loss", "_compressor_loss"):
        original = getattr(system, name)

        def record(batch, draws, name=name, original=original):
            batches[name] = batch.numpy()
            return original(batch, draws)

        monkeypatch.setattr(system, name, record)
    model = system.model
    parts = {name: (v, values(v)) for name, v in system.parts().items()}
    vectors = [v for v in model.discriminator.variables if v.name.split("/")[-1][0] in "uv"]
    assert vectors
    before = values(vectors)
    report = system.train_step(tf.constant(images))
    np.testing.assert_array_equal(batches["_discriminator_loss"], images[:3])
    np.testing.assert_array_equal(batches["_compressor_loss"], images[3:])
    for name, (variables, old) in parts.items():
        assert np.mean(moved(variables, old)) > 0.5, name
    assert any(moved(vectors, before))
    wanted = {"loss", "bpp", "bpp_y", "bpp_z", "noisy_bpp_y", "noisy_bpp_z", "target_bpp", "lambda"}
    wanted |= {"rate_weight", "rate_loss", "mse_loss", "generator_loss", "discriminator_loss"}
    wanted |= {"d_real", "d_fake", "gradient_norm", "discriminator_gradient_norm"}
    assert wanted <= set(report)
    for optimizer in system.training_state.optimizers.values():
        assert int(optimizer.iterations) == 1


def test_compressor_step_leaves_the_discriminator_and_the_other_way_round(images):
    system = make(stage=2)
    parts = system.parts()
    codec = [v for name in ("encoder", "decoder", "prior") for v in parts[name]]
    judge = system.model.discriminator.variables
    before = values(codec), values(judge)
    system.minimise(system._discriminator_loss, tf.constant(images), ["discriminator"])
    assert not any(moved(codec, before[0]))
    before = values(codec), values(judge)
    system.minimise(system._compressor_loss, tf.constant(images), ["networks", "z_prior"])
    assert not any(moved(judge, before[1]))
    assert any(moved(codec, before[0]))


def test_decoder_alone_is_trained_on_what_it_will_be_given(images):
    system = make(stage=2, freeze=("encoder", "prior"))
    assert list(system.training_state.optimizers) == ["networks", "discriminator"]
    data = tf.constant(images)
    before = {name: (v, values(v)) for name, v in system.parts().items()}
    bits = [x.numpy() for x in system.model(tf.cast(data, tf.float32))[1:]]
    coded, _ = system._code(data, Draws(1, 2))
    np.testing.assert_array_equal([coded.bits_y, coded.bits_z], bits)
    for _ in range(2):
        system.train_step(data)
    for name, (variables, old) in before.items():
        assert any(moved(variables, old)) == (name in ("decoder", "discriminator")), name
    after = [x.numpy() for x in system.model(tf.cast(data, tf.float32))[1:]]
    np.testing.assert_array_equal(after, bits)


def test_feature_matching_is_one_more_part(images):
    system = make({"feature_matching_weight": 10.0}, stage=2)
    loss, report = system._compressor_loss(tf.constant(images), Draws(1, 2))
    parts = ["rate_loss", "mse_loss", "generator_loss", "feature_matching_loss"]
    assert float(report["feature_matching_loss"]) > 0
    assert float(loss) == pytest.approx(sum(float(report[p]) for p in parts), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "preset", "said"),
    [
        ({"stage": 2}, "hific-mse-lpips-lo", "no discriminator"),
        ({"stage": 3}, "hific-tiny", "`stage`"),
        ({"stage": 1, "adversary": "patch"}, "hific-tiny", "`stage=2`"),
        ({"stage": 2, "adversary": "illm"}, "hific-tiny", "`labels=RUN`"),
        ({"stage": 2, "adversary": "least"}, "hific-tiny", "`adversary`"),
        ({"crop": 96}, "hific-tiny", "`crop`"),
        ({"labels": "run"}, "hific-tiny", "`adversary=illm`"),
    ],
)
def test_what_does_not_go_together_is_told(options, preset, said):
    config = configuration("hific", {"channels": (8, 10, 12, 14, 16)}, preset)
    with pytest.raises(TfhificError, match=said):
        HiFiCTraining(config).check_options(TrainingOptions(**{"crop": 64, **options}))


@pytest.fixture(scope="module")
def labeller():
    keras.utils.set_random_seed(1)
    model = LabelAutoencoder(LabelConfig(16, 4, (8, 8, 16), 1))
    model(tf.zeros([1, CROP, CROP, 3]))
    return model


def test_label_losses_are_cross_entropies():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=[2, 2, 3, 4, 6]).astype(np.float32)
    labels = rng.integers(0, 5, [2, 3, 4]).astype(np.int32)

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    told = np.take_along_axis(log_softmax(real), labels[..., None] + 1, -1)
    loss, report = label_discriminator_loss(real, fake, labels)
    expected = -np.mean(told) - np.mean(log_softmax(fake)[..., 0])
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    right = np.mean(real.argmax(-1) == labels + 1)
    assert float(tf.reduce_mean(report["labels_right"])) == pytest.approx(right)
    expected = -np.mean(np.take_along_axis(log_softmax(fake), labels[..., None] + 1, -1))
    assert float(label_generator_loss(fake, labels)) == pytest.approx(expected, rel=1e-5)


def test_label_discriminator_is_trained_with_the_originals_labels(images, labeller):
    system = make(stage=2, adversary="illm", labels="run", labeller=labeller)
    assert system.codec_model.discriminator is not None
    logits = system.label_discriminator(
        tf.zeros([1, CROP, CROP, 3]), tf.zeros([1, 4, 4, system.config.latent_channels])
    )
    assert logits.shape == (1, 8, 8, 17)
    frozen = values(labeller.variables)
    patch = values(system.model.discriminator.variables)
    losses = []
    for _ in range(4):
        system.before_step(0, 0.0, 2e-3)
        losses.append(float(system.train_step(tf.constant(images))["discriminator_loss"]))
    assert losses[-1] < losses[0]
    assert not any(moved(labeller.variables, frozen))
    assert not any(moved(system.model.discriminator.variables, patch))


def test_labels_are_those_of_the_place(labeller, images):
    labels = labeller.label(tf.constant(images)).numpy()
    assert labels.shape == (6, 8, 8)
    assert labels.min() >= 0
    assert labels.max() < 16
    decoded, loss, again = labeller(tf.constant(images, tf.float32))
    np.testing.assert_array_equal(again, labels)
    assert decoded.shape == images.shape
    assert float(loss) > 0


def test_label_autoencoder_learns_and_its_labels_do_not_collapse(images):
    keras.utils.set_random_seed(2)
    model = LabelAutoencoder(LabelConfig(16, 4, (8, 8, 16), 1))
    options = TrainingOptions(crop=CROP, learning_rate=3e-3)
    model.build_for(options)
    model.training_state = _training(model, options)
    step = tf.function(lambda: model.train_step(tf.constant(images)))
    reports = [{k: float(v) for k, v in step().items()} for _ in range(80)]
    assert reports[-1]["mse"] < 0.5 * reports[0]["mse"]
    assert reports[-1]["labels_in_use"] > 4
