"""A tiny HiFiC through both stages: it learns, keeps its rate, resumes, and is published."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific.errors import TfhificError
from tfhific.training import start, trainer
from tfhific.training.schedule import Budget, make_schedule

SETTINGS = {
    "normalize_input": True,
    "warmup_steps": 0,
    "rate_weight_below": 1 / 1024,
    "residual_blocks": 1,
}
OPTIONS = {"batch_size": 4, "crop": 64, "learning_rate": 4e-3}


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("images")
    # As large as the crops: every step sees the same four, so that its losses compare.
    for seed in range(4):
        Image.fromarray(photo(64, 64, seed)).save(folder / f"{seed}.png")
    return folder


class Log(list):
    """The lines that a run said, as numbers by step."""

    def __call__(self, line: str) -> None:
        numbers = {m[1]: float(m[2]) for m in re.finditer(r"(\w+) (-?[\d.e+-]+)(?:  |$)", line)}
        self.append({**numbers, "step": int(re.match(r"step (\d+)", line)[1])})

    def mean(self, name: str, last: int) -> float:
        return float(np.mean([entry[name] for entry in self[-last:]]))


def train(run_dir, images, steps, *, settings=None, init_from="", loud=1.0, resume=False, **more):
    options = {**OPTIONS, **more}
    log = more.pop("log", None)
    options.pop("log", None)
    log = Log() if log is None else log
    save_every = options.pop("save_every", 1000)
    plan = start.new_plan(
        "hific",
        {**SETTINGS, **(settings or {})},
        "hific-tiny",
        options,
        data=str(images),
        steps=steps,
        init_from=str(init_from),
    )
    keep = trainer.RunOptions(str(run_dir), save_every, 1, 0)
    session = start.begin(plan, keep, resume=resume)
    if loud != 1.0:
        # Latents that begin well above a quantisation step: a short run has no time to get there.
        kernel = session.run.model.model.encoder.layers[-1].kernel
        kernel.assign(loud * kernel)
    dataset, schedule = session.dataset(), make_schedule(plan.options)
    trainer.fit(session.run, dataset, schedule, Budget(steps), say=log)
    return session, log


@pytest.fixture(scope="module")
def first_stage(images, tmp_path_factory):
    """A run of stage one with a target of .15 bits per pixel, and what it said."""
    run_dir = tmp_path_factory.mktemp("runs") / "one"
    _, log = train(run_dir, images, 100, settings={"target_bpp": 0.15}, loud=6.0)
    return run_dir, log


def test_stage_one_lowers_its_loss(first_stage):
    _, log = first_stage
    assert [entry["step"] for entry in log] == list(range(1, 101))
    assert log.mean("mse", 20) < 0.6 * np.mean([entry["mse"] for entry in log[20:40]])
    assert log.mean("loss", 20) < 0.6 * np.mean([entry["loss"] for entry in log[20:40]])


def test_rate_settles_at_its_target_and_moves_with_it(first_stage, images, tmp_path):
    run_dir, log = first_stage
    assert log.mean("bpp", 40) == pytest.approx(0.15, rel=0.1)
    _, log = train(tmp_path / "run", images, 80, settings={"target_bpp": 0.1}, init_from=run_dir)
    assert log[0]["bpp"] > 0.13
    assert log.mean("bpp", 20) == pytest.approx(0.1, rel=0.1)


def test_stage_two_begins_where_stage_one_ended_and_holds(first_stage, images, tmp_path):
    run_dir, before = first_stage
    _, log = train(
        tmp_path / "run",
        images,
        60,
        settings={"target_bpp": 0.15},
        init_from=run_dir,
        stage=2,
        learning_rate=1e-3,
    )
    # The first step's numbers are those of stage one's last weights.
    assert log[0]["mse"] < 1.5 * before.mean("mse", 20)
    assert log.mean("mse", 20) < 1.5 * before.mean("mse", 20)
    assert 0.05 < log.mean("d_fake", 20) < log.mean("d_real", 20) < 0.95
    assert all(np.isfinite(list(entry.values())).all() for entry in log)


class Killed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_killed_run_goes_on_to_the_same_losses(stage, images, tmp_path):
    class KillingLog(Log):
        def __call__(self, line):
            super().__call__(line)
            # Before anything of this step is saved.
            if self[-1]["step"] == 10:
                raise Killed

    options = {"stage": stage, "save_every": 6, "settings": {"warmup_steps": 8}, "ema": 0.9}
    whole = KillingLog()
    with pytest.raises(Killed):
        train(tmp_path, images, 11, log=whole, **options)
    session, rest = train(tmp_path, images, 11, resume=True, **options)
    assert session.restored
    assert [entry["step"] for entry in rest] == [7, 8, 9, 10, 11]
    for ours, theirs in zip(rest, whole[6:]):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3), name


def test_run_is_published_compresses_and_decompresses(
    first_stage, images, call_script, tmp_path, photo
):
    run_dir, _ = first_stage
    done = call_script("publish", run_dir, "mine", f"--out={tmp_path}", f"--data={images}")
    assert done.code == 0, done.err
    picture = tmp_path / "picture.png"
    Image.fromarray(photo(90, 70, 3)).save(picture)
    model = f"--model={tmp_path / 'mine'}"
    done = call_script("compress", picture, tmp_path / "a.tfh", model)
    assert done.code == 0, done.err
    done = call_script("decompress", tmp_path / "a.tfh", tmp_path / "a.png", model)
    assert done.code == 0, done.err
    decoded = np.asarray(Image.open(tmp_path / "a.png"))
    assert decoded.shape == (90, 70, 3)
    codec = tfhific.load(tmp_path / "mine")
    np.testing.assert_array_equal(decoded, codec.decompress((tmp_path / "a.tfh").read_bytes()))
    # What so short a training reaches is not the property: that it is this picture is.
    own, *others = (
        np.mean((decoded - photo(90, 70, seed).astype(float)) ** 2) for seed in (3, 4, 5, 6)
    )
    assert own < np.mean(others)
    training = codec.published.training
    assert training["step"] == 100
    assert training["config"]["target_bpp"] == 0.15
    assert str(images) not in str(training)


@pytest.mark.slow
def test_decoder_trained_alone_reads_the_files_of_the_model_that_it_began_with(
    first_stage, images, call_script, tmp_path, photo
):
    run_dir, _ = first_stage
    frozen = {"stage": 2, "freeze": ("encoder", "prior"), "init_from": run_dir}
    train(tmp_path / "run", images, 5, settings={"target_bpp": 0.15}, **frozen)
    tables = {"faithful": f"--data={images}", "realistic": f"--stream_of={tmp_path / 'faithful'}"}
    for source, name in ((run_dir, "faithful"), (tmp_path / "run", "realistic")):
        done = call_script("publish", source, name, f"--out={tmp_path}", tables[name])
        assert done.code == 0, done.err
    faithful, realistic = (tfhific.load(tmp_path / name) for name in ("faithful", "realistic"))
    assert faithful.fingerprint == realistic.fingerprint
    Image.fromarray(photo(90, 70, 3)).save(tmp_path / "a.png")
    model = f"--model={tmp_path / 'faithful'}"
    assert call_script("compress", tmp_path / "a.png", tmp_path / "a.tfh", model).code == 0
    pictures = []
    for name, which in (("one.png", model), ("two.png", f"--decoder={tmp_path / 'realistic'}")):
        done = call_script("decompress", tmp_path / "a.tfh", tmp_path / name, which)
        assert done.code == 0, done.err
        pictures.append(np.asarray(Image.open(tmp_path / name)))
    assert pictures[0].shape == pictures[1].shape == (90, 70, 3)
    assert not np.array_equal(*pictures)


def test_beginning_with_another_systems_run_is_told(tmp_path, images):
    trainer.write_config(str(tmp_path / "other"), {"system": "mini", "config": {}, "seed": 0})
    trainer.write_config(str(tmp_path / "empty"), {"system": "hific", "config": {}, "seed": 0})
    for name, said in (
        ("other", "a run of mini"),
        ("empty", "no checkpoint yet"),
        ("none", "expected a run or a model"),
    ):
        with pytest.raises(TfhificError, match=said):
            train(tmp_path / "run", images, 5, init_from=tmp_path / name)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_stage_two_trains_for_hundreds_of_steps_without_collapse(first_stage, images, tmp_path):
    run_dir, before = first_stage
    _, log = train(
        tmp_path / "run",
        images,
        400,
        settings={"target_bpp": 0.15},
        init_from=run_dir,
        stage=2,
        learning_rate=1e-3,
    )
    assert log.mean("mse", 50) < before.mean("mse", 20)
    # Above the target the rate is held down; below it nothing but distortion drives it up again.
    assert 0.3 * 0.15 < log.mean("bpp", 50) < 1.1 * 0.15
    # Neither side has won.
    assert 0.02 < log.mean("d_fake", 50) < 0.98
    assert 0.02 < log.mean("d_real", 50) < 0.98
    assert log.mean("generator_loss", 50) < 0.15 * 4
    assert os.listdir(tmp_path / "run" / "checkpoints")
