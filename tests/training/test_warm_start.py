"""A run begins with the weights of a published or an imported model."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.models.hific import PRESETS, HiFiC
from tfhific.published.store import save_model
from tfhific.publishing.hyperprior import publish
from tfhific.training import start, trainer

PARTS = ("encoder", "generator", "hyper_analysis", "hyper_synthesis_mean", "z_prior")


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("images")
    for seed in range(2):
        Image.fromarray(photo(140, 130, seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Published models of other seeds: with a discriminator and without, in both forms."""
    folder = tmp_path_factory.mktemp("models")
    for number, (name, changes) in enumerate(
        {
            "gan": {},
            "plain": {"adversary": "none"},
            "pytorch": {"variant": "pytorch", "normalize_input": True},
        }.items()
    ):
        keras.utils.set_random_seed(100 + number)
        model = HiFiC(dataclasses.replace(PRESETS["hific-tiny"], **changes))
        save_model(publish(model, name, {"system": "hific"}), folder / name)
    return folder


def begin(folder, images, run_dir, stage, settings=None, system="hific", **options):
    options = {"batch_size": 1, "crop": 64, "stage": stage, **options}
    preset = "hific-tiny" if system == "hific" else ""
    plan = start.new_plan(
        system, settings or {}, preset, options, data=str(images), steps=1, init_from=str(folder)
    )
    return start.begin(plan, trainer.RunOptions(str(run_dir), 10, 1, 0), resume=False)


def same(ours, theirs) -> bool:
    pairs = list(zip(ours.variables, theirs.variables))
    assert len(pairs) == len(ours.variables) == len(theirs.variables) > 0
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


@pytest.mark.parametrize("stage", [1, 2])
def test_run_begins_with_every_weight_of_a_published_model(stage, models, images, tmp_path):
    session = begin(models / "gan", images, tmp_path, stage, ema=0.9)
    ours, theirs = session.run.model.codec_model, tfhific.load(models / "gan").model
    for part in (*PARTS, "discriminator"):
        assert same(getattr(ours, part), getattr(theirs, part)), part
    shadows = session.run.average.shadows
    followed = type(session.run.model).averaged_variables(ours)
    assert all(np.array_equal(s.numpy(), v.numpy()) for s, v in zip(shadows, followed))
    assert not any("begins anew" in line for line in session.notices)


def test_discriminator_begins_anew_where_the_model_has_none_and_that_is_said(
    models, images, tmp_path
):
    session = begin(models / "plain", images, tmp_path / "one", 2)
    ours, theirs = session.run.model.codec_model, tfhific.load(models / "plain").model
    for part in PARTS:
        assert same(getattr(ours, part), getattr(theirs, part)), part
    assert any(
        "discriminator" in line and "begins anew" in line and "plain" in line
        for line in session.notices
    )
    # Stage one has no use for a discriminator, and says nothing of it.
    session = begin(models / "plain", images, tmp_path / "two", 1)
    assert not any("anew" in line for line in session.notices)


@pytest.mark.slow
def test_imported_model_is_trained_further_by_the_scripts(models, images, tmp_path, call_script):
    # Written as the PyTorch implementation's checkpoint, and imported.
    assert call_script("export_torch", models / "pytorch", tmp_path / "back.pt").code == 0
    assert call_script("import_torch", tmp_path / "back.pt", tmp_path / "imported").code == 0
    arguments = ["train", "--model=hific", "--config=hific-tiny", "--stage=2", "--crop=128"]
    arguments += [f"--data={images}", "--batch_size=1", f"--init_from={tmp_path / 'imported'}"]
    arguments += ["--steps=2", "--log_every=1", f"--run_dir={tmp_path / 'run'}"]
    done = call_script(*arguments)
    assert done.code == 1
    assert not (tmp_path / "run").exists()
    # What to add is in the message.
    settings = re.search(r"--settings='(.*)'", done.err)[1]
    assert json.loads(settings) == {"variant": "pytorch", "normalize_input": True}
    done = call_script(*arguments, f"--settings={settings}", "--learning_rate=0.0001")
    assert done.code == 0, done.err
    assert "step 2: " in done.err
    assert "anew" not in done.err
    # Two steps of Adam move a weight by no more than two learning rates.
    done = call_script("publish", tmp_path / "run", "tuned", f"--out={tmp_path}")
    assert done.code == 0, done.err
    tuned, first = (tfhific.load(tmp_path / name).model for name in ("tuned", "imported"))
    for part in ("encoder", "generator", "discriminator"):
        for a, b in zip(getattr(tuned, part).variables, getattr(first, part).variables):
            if a.name.startswith(("u:", "v:")) or "/u:" in a.name or "/v:" in a.name:
                continue
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=4e-4, rtol=2e-3)
    assert not same(tuned.generator, first.generator)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("gan", {"variant": "pytorch"}, '"variant": "official"'),
        ("gan", {"likelihood": "logistic"}, '"likelihood": "gaussian"'),
        ("gan", {"channels": (8, 10, 12, 14, 18)}, '"channels": \\[8, 10, 12, 14, 16\\]'),
        ("gan", {"context_channels": 5}, "discriminator has other shapes"),
        ("mini", {}, "a model of mini"),
        ("nothing", {}, "expected a run or a model"),
    ],
)
def test_model_that_does_not_fit_is_told(
    name, settings, said, models, tiny_model_folder, images, tmp_path
):
    folder = tiny_model_folder if name == "mini" else models / name
    with pytest.raises(TfhificError, match=said):
        begin(folder, images, tmp_path / "run", 2, settings, crop=128)
    assert not (tmp_path / "run" / "config.json").exists()


def test_run_of_other_networks_is_told(images, tmp_path):
    session = begin("", images, tmp_path / "first", 1)
    session.run.save()
    with pytest.raises(TfhificError, match='"normalize_input": false'):
        begin(tmp_path / "first", images, tmp_path / "second", 1, {"normalize_input": True})
    assert not (tmp_path / "second").exists()


def test_published_mini_is_trained_further(tiny_model_folder, tiny_config, images, tmp_path):
    settings = dataclasses.asdict(tiny_config)
    # The fixture's model does not say how it was configured.
    with pytest.raises(TfhificError, match="does not say how it was configured"):
        begin(tiny_model_folder, images, tmp_path / "run", 1, settings, "mini")
    published = tfhific.load(tiny_model_folder).published
    whole = dataclasses.replace(published, training={"system": "mini", "config": settings})
    save_model(whole, tmp_path / "mini")
    session = begin(tmp_path / "mini", images, tmp_path / "run", 1, settings, "mini")
    theirs = tfhific.load(tmp_path / "mini").model
    assert same(session.run.model.codec_model, theirs)
    settings["coarse_channels"] += 8
    with pytest.raises(TfhificError, match="has other shapes"):
        begin(tmp_path / "mini", images, tmp_path / "other", 1, settings, "mini")


def test_published_models_that_keep_no_training_state_are_told(
    whole_models_folder, images, tmp_path
):
    with pytest.raises(TfhificError, match="expected a run of gc"):
        begin(whole_models_folder / "gc", images, tmp_path, 1, system="gc", crop=64)
