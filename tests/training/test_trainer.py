"""A run can be stopped anywhere and goes on as if it had not been; divergence stops it."""

from __future__ import annotations

import os
import re
import signal

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ImageError, OutputError, TfhificError
from tfhific.training import trainer
from tfhific.training.folder import check_run_folder
from tfhific.training.schedule import Budget, CosineSchedule
from tfhific.training.trainer import (
    Run,
    RunOptions,
    TrainingDiverged,
    TrainingStopped,
    WorkerLost,
)

SIDE = 8


class Sharpener(keras.Model):
    """The smallest model with the interface of the codecs: a 3x3 convolution, no randomness."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = keras.layers.Conv2D(3, 3, padding="same")

    def call(self, images):
        return self.layer(images)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(data) - tf.sqrt(data)) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss, "gradient_norm": tf.linalg.global_norm(gradients)}


def batch(step: int) -> np.ndarray:
    return np.random.default_rng(step).random([2, SIDE, SIDE, 3]).astype(np.float32)


def batches(first: int, broken: int | None = None) -> tf.data.Dataset:
    """Endless batches, each determined by its step; that of step `broken` holds a NaN."""

    def generate():
        step = first
        while True:
            data = batch(step)
            if step == broken:
                data[0, 0, 0, 0] = np.nan
            yield data
            step += 1

    signature = tf.TensorSpec([2, SIDE, SIDE, 3], tf.float32)
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def make_run(folder, **options) -> Run:
    keras.utils.set_random_seed(11)
    model = Sharpener()
    model.compile(optimizer=keras.optimizers.Adam(0.5))
    model(tf.zeros([1, SIDE, SIDE, 3]))
    options = {"save_every": 5, "log_every": 1, "image_every": 0, **options}
    return Run(model, RunOptions(str(folder), **options))


def fit(run: Run, steps=12, broken=None, say=lambda line: None, **options) -> int:
    schedule = CosineSchedule(peak=0.02, warmup_steps=4)
    return trainer.fit(
        run, batches(run.step, broken), schedule, Budget(steps=steps), say=say, **options
    )


def state(run: Run) -> list[np.ndarray]:
    """All of a run's weights and optimiser slots."""
    return [v.numpy() for v in [*run.model.variables, *run.model.optimizer.variables]]


class Killed(BaseException):
    """Stands for the end of the process."""


def until(step: int, lines: list | None = None, end=None):
    """Takes lines of progress; at a step's line does what ends the run."""

    def say(line):
        if lines is not None:
            lines.append(line)
        if line.startswith(f"step {step} "):
            end()

    return say


def killed():
    raise Killed


def rates(lines) -> list[str]:
    return [line.split("learning_rate ")[1] for line in lines]


def test_killed_and_resumed_run_ends_like_one_that_was_not(tmp_path):
    whole, lines = make_run(tmp_path / "whole"), []
    assert fit(whole, say=lines.append) == 12

    first = make_run(tmp_path / "run")
    with pytest.raises(Killed):
        fit(first, say=until(7, end=killed))
    resumed, rest = make_run(tmp_path / "run"), []
    assert resumed.restore()
    assert resumed.step == 5
    assert fit(resumed, say=rest.append) == 12

    for ours, theirs in zip(state(resumed), state(whole)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert rates(rest) == rates(lines)[5:]
    assert [line.split("  ")[2:] for line in rest][-1][1] == lines[-1].split("  ")[3]
    assert resumed.seconds.numpy() > 0


def test_optimiser_slots_come_back(tmp_path):
    run = make_run(tmp_path)
    fit(run, steps=5)
    again = make_run(tmp_path)
    untrained = state(again)
    assert again.restore()
    for ours, theirs, before in zip(state(again), state(run), untrained):
        np.testing.assert_array_equal(ours, theirs)
        assert not np.array_equal(ours, before)


def test_run_from_before_steps_were_counted_apart_goes_on(tmp_path):
    run = make_run(tmp_path)
    fit(run, steps=5)
    old = make_run(tmp_path / "old")
    before = tf.train.Checkpoint(
        model=run.model, optimizer=run.model.optimizer, seconds=run.seconds
    )
    tf.train.CheckpointManager(before, str(tmp_path / "old" / "checkpoints"), 2).save(5)
    assert old.restore()
    assert old.step == 5
    for ours, theirs in zip(state(old), state(run)):
        np.testing.assert_array_equal(ours, theirs)
    assert fit(old, steps=7) == 7


def test_loss_falls(tmp_path):
    run, lines = make_run(tmp_path), []
    fit(run, steps=60, say=lines.append)
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_finished_run_is_left_alone(tmp_path):
    run = make_run(tmp_path)
    fit(run, steps=6)
    before = state(run)
    assert fit(run, steps=6) == 6
    for ours, theirs in zip(state(run), before):
        np.testing.assert_array_equal(ours, theirs)


def test_end_is_saved_whatever_the_interval(tmp_path):
    fit(make_run(tmp_path), steps=7)
    again = make_run(tmp_path)
    assert again.restore()
    assert again.step == 7


def test_nothing_to_restore_is_said(tmp_path):
    assert not make_run(tmp_path).restore()


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_stops_and_its_handler_comes_back(name, tmp_path):
    before = signal.getsignal(name)
    run = make_run(tmp_path, save_every=100)
    with pytest.raises(TrainingStopped, match=r"stopped at step \d+ of 50; `resume`") as caught:
        fit(run, steps=50, say=until(3, end=lambda: os.kill(os.getpid(), name)))
    assert caught.value.signal == name
    reached = caught.value.step
    assert 3 <= reached < 50
    assert signal.getsignal(name) is before
    again = make_run(tmp_path)
    assert again.restore()
    assert again.step == reached


def test_number_that_is_not_finite_stops_the_run_with_its_numbers(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(TrainingDiverged) as caught:
        fit(run, broken=7)
    message = str(caught.value)
    for part in ("step 8", "loss nan", "gradient_norm nan", "learning rate", "ckpt-5", "resume"):
        assert part in message
    assert "\n" not in message
    again = make_run(tmp_path)
    again.restore()
    assert again.step == 5
    assert all(np.all(np.isfinite(value)) for value in state(again))


def test_divergence_at_the_first_step_says_that_there_is_no_checkpoint(tmp_path):
    with pytest.raises(TrainingDiverged) as caught:
        fit(make_run(tmp_path), broken=0)
    assert "no checkpoint yet" in str(caught.value)
    assert "None" not in str(caught.value)


def test_signal_at_the_last_step_leaves_a_run_that_is_done(tmp_path):
    run = make_run(tmp_path)
    end = until(6, end=lambda: os.kill(os.getpid(), signal.SIGINT))
    assert fit(run, steps=6, say=end) == 6


def test_data_that_fails_halfway_ends_in_one_line(tmp_path):
    def cut(number):
        if number == 7:
            raise ImageError("None of the 3 images can be read.")
        return batch(int(number))

    def read(number):
        data = tf.numpy_function(cut, [number], tf.float32)
        return tf.ensure_shape(data, [2, SIDE, SIDE, 3])

    run = make_run(tmp_path, save_every=2)
    with pytest.raises(ImageError, match=r"^None of the 3 images can be read\.$"):
        trainer.fit(
            run,
            tf.data.Dataset.range(100).map(read),
            CosineSchedule(peak=0.02),
            Budget(steps=20),
            say=lambda line: None,
        )
    assert run.latest_checkpoint.endswith("ckpt-6")


def test_checkpoint_that_can_not_be_written_is_told_and_the_one_before_stays(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    fit(run, steps=5)

    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nwhile here")

    monkeypatch.setattr(run.manager, "save", full)
    with pytest.raises(OutputError, match=r"step 10 .*No space left.*ckpt-5: `resume`|resume") as e:
        fit(run, steps=12)
    assert "\n" not in str(e.value)
    assert run.latest_checkpoint.endswith("ckpt-5")


def test_place_where_no_run_can_be_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="`run_dir`: expected a folder"):
            check_run_folder(place)
        with pytest.raises(OutputError, match=r"can't be written"):
            trainer.write_config(str(place), {"system": "mini"})
    check_run_folder(tmp_path / "a" / "b")
    assert sorted(os.listdir(tmp_path)) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def events(folder) -> dict[str, list[tuple[int, tf.Tensor]]]:
    from tensorflow.core.util import event_pb2

    found = {}
    for name in sorted(os.listdir(folder)):
        for record in tf.data.TFRecordDataset(os.path.join(folder, name)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                tensor = tf.make_ndarray(value.tensor)
                found.setdefault(value.tag, []).append((event.step, tensor))
    return found


def test_scalars_and_reconstructions_go_to_tensorboard(tmp_path):
    run = make_run(tmp_path, log_every=3, image_every=4)
    picture = np.zeros([2, SIDE, SIDE, 3], np.float32)
    fit(run, steps=9, reconstructions=lambda: {"decoded": picture})
    found = events(tmp_path / "logs")
    for name in ("loss", "gradient_norm", "learning_rate", "minutes"):
        assert [step for step, _ in found[name]] == [3, 6, 9]
    assert [step for step, _ in found["decoded"]] == [4, 8]
    schedule = CosineSchedule(peak=0.02, warmup_steps=4)
    assert found["learning_rate"][0][1] == pytest.approx(schedule(2, 2 / 9))


@pytest.mark.parametrize("saved", [False, True])
def test_loss_of_another_worker_is_one_line_that_says_how_to_go_on(saved, tmp_path, monkeypatch):
    run = make_run(tmp_path)
    if saved:
        fit(run, steps=5)

    def lost(*arguments, **options):
        raise tf.errors.UnavailableError(
            None,
            None,
            "Graph execution error:\n\nDetected at node X\n\n"
            "Collective ops is aborted by: Connection reset by peer\nAdditional information",
        )

    monkeypatch.setattr(run.model, "fit", lost)
    with pytest.raises(WorkerLost) as caught:
        fit(run)
    last = re.escape(str(run.latest_checkpoint))
    kept = f"The last checkpoint is {last}" if saved else "There is no checkpoint yet"
    assert re.fullmatch(
        rf"Another worker was lost after step {5 if saved else 0} \(Connection reset by peer\)\. "
        rf"{kept}: start all workers again with `resume`\.",
        str(caught.value),
    )


def test_configuration_comes_back(tmp_path):
    config = {"system": "mini", "config": {"latent_channels": 48}, "seed": 3}
    trainer.write_config(str(tmp_path / "new"), config)
    assert trainer.read_config(str(tmp_path / "new")) == config
    assert os.listdir(tmp_path / "new") == ["config.json"]


def test_folder_that_holds_no_run_is_told(tmp_path):
    with pytest.raises(TfhificError, match="holds no training run"):
        trainer.read_config(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(TfhificError, match="not readable as JSON"):
        trainer.read_config(str(tmp_path))
