"""A system and a layer kind of somebody's own go all the way, with one entry and two classes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfhific import systems
from tfhific.backend import keras
from tfhific.evaluation import EvaluationConfig, evaluate
from tfhific.models import mini
from tfhific.published import ops
from tfhific.published.ops import PerChannel
from tfhific.published.store import save_model
from tfhific.publishing import folding
from tfhific.publishing.folding import LayerFolding, folds
from tfhific.publishing.options import PublishOptions
from tfhific.serving.export import export
from tfhific.serving.pipeline import SavedModel
from tfhific.training import start, trainer
from tfhific.training.restore import restore_trained
from tfhific.training.schedule import Budget, StepSchedule

SMALL = {
    "latent_channels": 16,
    "hyper_channels": 8,
    "fine_channels": 4,
    "coarse_channels": 4,
    "num_blocks": 0,
}


class Softsign(keras.layers.Layer):
    """A layer that tfhific does not have: x / (s + |x|), s a channel."""

    def build(self, input_shape) -> None:
        self.softness = self.add_weight(
            name="softness",
            shape=(int(input_shape[-1]),),
            initializer=keras.initializers.Constant(4.0),
        )
        super().build(input_shape)

    def call(self, inputs):
        return inputs / (self.softness + tf.abs(inputs))


class Toy(mini.Mini):
    """`mini` with a layer of its own before the picture."""

    def __init__(self, config, **kwargs) -> None:
        super().__init__(config, **kwargs)
        self.synthesis = keras.Sequential([self.synthesis, Softsign()])


@pytest.fixture
def toy(monkeypatch):
    """The system `toy` and the layer kind `softsign`, known as long as a test runs."""

    @ops.register
    class SoftsignOp(PerChannel):
        kind = "softsign"
        ranks = {"softness": 1}  # noqa: RUF012 (as somebody would write it)

        def run(self, x, arrays):
            return x / (arrays(self.stored("softness"), x) + abs(x))

    @folds(Softsign)
    class SoftsignFolding(LayerFolding):
        variables = ("softness",)

        def entries(self, layer, prefix):
            return [SoftsignOp.entry(name=prefix)]

    entry = systems.System("tfhific.models.mini:MiniConfig", f"{__name__}:Toy")
    monkeypatch.setitem(systems.SYSTEMS, "toy", entry)
    yield "toy"
    del ops.KINDS["softsign"], folding.FOLDINGS[Softsign]


@pytest.mark.slow
def test_it_is_trained_published_coded_exported_and_evaluated(toy, photo, tmp_path, monkeypatch):
    pictures, run_dir, models = (tmp_path / name for name in ("pictures", "run", "models"))
    pictures.mkdir()
    for seed in range(2):
        Image.fromarray(photo(96, 128, seed)).save(pictures / f"{seed}.png")
    options = {"batch_size": 1, "crop": 64}
    plan = start.new_plan(toy, SMALL, "", options, data=str(pictures), steps=2)
    session = start.begin(plan, trainer.RunOptions(str(run_dir), 2, 1, 0), resume=False)
    trainer.fit(
        session.run, session.dataset(), StepSchedule(0.001), Budget(2), say=lambda line: None
    )
    session.run.save()

    model, training = restore_trained(str(run_dir))
    published = systems.publisher(toy)(model, "mine", training, PublishOptions())
    save_model(published, models / "mine")

    codec = systems.open_codec(models / "mine")
    assert codec.published.system == "toy"
    picture = photo(90, 77, 5)
    data = codec.compress(picture, 4.0)
    decoded = codec.decompress(data)
    assert decoded.shape == picture.shape

    served = SavedModel(export(codec.published, str(tmp_path / "served"), warmup=False))
    [(png, error)] = served.decompress([data])
    assert not error
    with Image.open(io.BytesIO(png)) as image:
        assert np.abs(np.asarray(image).astype(int) - decoded).max() <= 1

    monkeypatch.setenv("TFHIFIC_MODELS", str(models))
    config = EvaluationConfig(
        data=str(pictures),
        codecs=["mine", "jpeg"],
        ladders={"mine": [3.0], "jpeg": [30]},
        memory=False,
    )
    found = evaluate(config)
    assert not found.failures
    assert sorted(row.codec for row in found.rows) == ["jpeg", "jpeg", "mine", "mine"]
