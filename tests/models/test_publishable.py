"""What a model offers so that it can be published: declared, and told where it is missing."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ModelError
from tfhific.interface import lacking
from tfhific.models.hific import PRESETS, HiFiC
from tfhific.models.mini import Mini, MiniConfig
from tfhific.models.publishable import EvaluatedPrior, Publishable, PublishedParts, check_interface
from tfhific.publishing.hyperprior import publish
from tfhific.publishing.publishable import check_publishable, folded_parts

SMALL = MiniConfig(
    latent_channels=16, hyper_channels=8, fine_channels=4, coarse_channels=4, num_blocks=0
)


@pytest.fixture(scope="module")
def mini() -> Mini:
    model = Mini(SMALL)
    model.build_variables()
    return model


class OneRate(PublishedParts):
    """A model of one's own that is no `TrainableSystem`: the parts of another."""

    def __init__(self, model: Mini) -> None:
        self.config, self.z_prior = model.config, model.z_prior
        self.scale_gain, self.scale_centre = model.scale_gain, model.scale_centre
        for name in ("analysis", "synthesis", "hyper_analysis"):
            setattr(self, name, getattr(model, name))
        self.hyper_synthesis_mean = model.hyper_synthesis_mean
        self.hyper_synthesis_scale = model.hyper_synthesis_scale


def test_models_of_both_families_of_hyperpriors_are_publishable(mini):
    tiny = HiFiC(PRESETS["hific-tiny"])
    assert lacking(mini, Publishable) == lacking(tiny, Publishable) == []
    assert (tiny.log_gain, mini.log_gain.shape[0]) == (None, 8)
    assert isinstance(tiny.z_prior, EvaluatedPrior)
    assert not isinstance(mini.z_prior, EvaluatedPrior)
    assert len(folded_parts(tiny)) == len(folded_parts(mini)) == 5


def test_model_without_gains_is_published_with_one_rate(mini):
    assert publish(OneRate(mini), "one", {"system": "mini"}).single_rate
    assert not publish(mini, "eight").single_rate


def test_what_a_model_lacks_is_named(mini):
    class Bare(keras.Model):
        """Nothing of it is declared."""

    with pytest.raises(ModelError, match=r"Bare lacks FOLDED, build_variables, .*PublishedParts"):
        check_interface(Bare())
    without = OneRate(mini)
    del without.z_prior
    with pytest.raises(ModelError, match=r"OneRate lacks z_prior;"):
        publish(without, "one")
    without = OneRate(mini)
    del without.synthesis
    with pytest.raises(ModelError, match=r"OneRate lacks synthesis\."):
        publish(without, "one")


def test_model_that_is_never_published_has_nothing_to_fold():
    class Toy(PublishedParts):
        pass

    assert folded_parts(Toy()) == ()
    check_publishable(Toy())


def test_variables_of_a_default_model_are_made_by_a_call():
    class Layered(PublishedParts, keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = keras.layers.Dense(1)

        def call(self, images: tf.Tensor) -> tf.Tensor:
            return self.layer(images)

    model = Layered()
    model.build_variables()
    assert len(model.variables) == 2
