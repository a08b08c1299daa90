"""A system of one's own: the documented example, its name when published, its layers."""

from __future__ import annotations

import dataclasses
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfhific import systems
from tfhific.backend import keras
from tfhific.errors import ModelError, TfhificError
from tfhific.models import cgan, mini, system
from tfhific.models.inversion import Inversion, InversionConfig
from tfhific.published.store import load_model, save_model
from tfhific.publishing.hyperprior import publish
from tfhific.publishing.trainable import trainable
from tfhific.training import start, trainer
from tfhific.training.schedule import Budget, StepSchedule
from tfhific.training.warm_start import check_source

SMALL = {
    "latent_channels": 16,
    "hyper_channels": 8,
    "fine_channels": 4,
    "coarse_channels": 4,
    "num_blocks": 0,
}


class OwnMini(mini.Mini):
    """A system whose class has another name than its entry."""


class Smooth(mini.Mini):
    """A system with a layer that has no folded form."""

    def __init__(self, config, **kwargs) -> None:
        super().__init__(config, **kwargs)
        self.synthesis = keras.Sequential(
            [self.synthesis, keras.layers.Activation(tf.nn.gelu, name="gelu")]
        )


@pytest.fixture
def own_systems(monkeypatch):
    for name, model in (("own", "OwnMini"), ("smooth", "Smooth")):
        entry = systems.System("tfhific.models.mini:MiniConfig", f"{__name__}:{model}")
        monkeypatch.setitem(systems.SYSTEMS, name, entry)


@pytest.fixture
def images(tmp_path, photo):
    (tmp_path / "images").mkdir()
    for seed in range(2):
        Image.fromarray(photo(64, 64, seed)).save(tmp_path / "images" / f"{seed}.png")
    return tmp_path / "images"


def begin(name, images, run_dir, settings=SMALL, init_from=""):
    options = {"batch_size": 1, "crop": 64}
    plan = start.new_plan(
        name, settings, "", options, data=str(images), steps=1, init_from=str(init_from)
    )
    return start.begin(plan, trainer.RunOptions(str(run_dir), 10, 1, 0), resume=False)


def test_example_of_the_documentation_trains(tmp_path):
    text = system.__doc__
    code = text[text.index("    class Toy") : text.index("\nA GAN")]
    names = {"TrainableSystem": system.TrainableSystem, "keras": keras, "tf": tf}
    exec(textwrap.dedent(code), names)
    options = system.TrainingOptions(batch_size=2, crop=8)
    model = names["Toy"]()
    model.check_options(options)
    model.build_for(options)
    model.training_state = start._training(model, options)
    model.compile(optimizer=model.training_state.optimizers["main"])
    run = trainer.Run(model, trainer.RunOptions(str(tmp_path), 10, 1, 0))
    pictures = np.random.default_rng(0).integers(0, 256, [2, 8, 8, 3], dtype=np.uint8)
    before = [variable.numpy() for variable in model.variables]
    # Endless, as the trainer's data is, though nobody says so.
    data = tf.data.Dataset.from_tensors(pictures).repeat().filter(lambda _: True)
    assert trainer.fit(run, data, StepSchedule(0.01), Budget(3), say=lambda line: None) == 3
    assert all(np.any(v.numpy() != old) for v, old in zip(model.variables, before))


def test_published_model_has_its_systems_name_and_begins_another_run(own_systems, images, tmp_path):
    session = begin("own", images, tmp_path / "run")
    session.run.save()
    from tfhific.training.restore import restore_trained

    model, training = restore_trained(str(tmp_path / "run"))
    save_model(publish(model, "mine", training), tmp_path / "mine")
    assert load_model(tmp_path / "mine").system == "own"
    again = begin("own", images, tmp_path / "again", init_from=tmp_path / "mine")
    assert type(again.run.model).__name__ == "OwnMini"
    with pytest.raises(TfhificError, match="a model of own"):
        check_source(str(tmp_path / "mine"), "mini", mini.MiniConfig(**SMALL))


def test_model_published_under_its_classs_name_is_known_by_what_it_says_of_training(
    own_systems, images, tmp_path
):
    keras.utils.set_random_seed(0)
    model = OwnMini(mini.MiniConfig(**SMALL))
    model(tf.zeros([1, 64, 64, 3]))
    published = publish(model, "old", {"system": "own", "config": SMALL})
    published = dataclasses.replace(published, system="ownmini")
    save_model(published, tmp_path / "old")
    assert type(trainable(load_model(tmp_path / "old"))).__name__ == "OwnMini"
    check_source(str(tmp_path / "old"), "own", mini.MiniConfig(**SMALL))


def test_a_layer_that_can_not_be_folded_is_refused_before_the_first_step(
    own_systems, images, tmp_path
):
    with pytest.raises(ModelError, match=r"never published: .*gelu"):
        begin("smooth", images, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_scales_network_without_integer_form_is_refused_too(tiny_config):
    from tfhific.publishing.publishable import check_publishable

    model = mini.Mini(tiny_config)
    model.hyper_synthesis_scale = keras.Sequential(
        [*model.hyper_synthesis_scale.layers, keras.layers.ReLU()]
    )
    model(tf.zeros([1, 64, 64, 3]))
    with pytest.raises(ModelError, match="never published"):
        check_publishable(model)


@pytest.mark.parametrize(("system", "name"), [("mini", "mini-v1"), ("mini2", "mini-v3")])
def test_run_begins_with_a_model_that_ships_by_its_name(system, name, images, tmp_path):
    session = begin(system, images, tmp_path / "run", settings={}, init_from=name)
    import tfhific

    shipped = trainable(tfhific.load(name).published)
    for ours, theirs in zip(session.run.model.codec_model.variables, shipped.variables):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    with pytest.raises(TfhificError, match="`init_from`: expected a run or a model"):
        begin(system, images, tmp_path / "other", settings={}, init_from="minimal")


def test_options_that_whole_pictures_have_no_use_for_are_refused():
    small = Inversion(InversionConfig(side=16, channels=1, latent=8, width=4))
    digits = cgan.CGAN(cgan.CGANConfig())
    for model in (small, digits):
        own = {"batch_size": 2, **model.defaults(model.config, 1)}
        model.check_options(system.TrainingOptions(**own))
        for change in ({"crop": 128}, {"downscale_max": 0.5}, {"downscale_share": 0.1}):
            with pytest.raises(TfhificError, match="no use for it"):
                model.check_options(system.TrainingOptions(**{**own, **change}))
