"""Training runs: `fit` with checkpoints, exact resume, logs and a guard against divergence."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.training.schedule import Budget, CosineSchedule


class TrainingDiverged(TfhificError):
    """The loss or its gradient stopped being finite."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a run is kept.

    Attributes:
      run_dir: folder of the checkpoints, logs and the configuration.
      save_every: steps between checkpoints.
      log_every: steps between lines of the log and TensorBoard scalars.
      image_every: steps between reconstructions in TensorBoard; 0 for none.
    """

    run_dir: str
    save_every: int = 500
    log_every: int = 100
    image_every: int = 2000


class Run:
    """A model with its optimiser, step and training time, kept in a folder."""

    def __init__(self, model: keras.Model, options: RunOptions) -> None:
        self.model = model
        self.options = options
        model.optimizer.build(model.trainable_variables)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        self.checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, seconds=self.seconds
        )
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, os.path.join(options.run_dir, "checkpoints"), max_to_keep=2
        )

    @property
    def step(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def restore(self) -> bool:
        """Restores the latest checkpoint; False where there is none.

        The model's variables must exist already.
        """
        latest = self.manager.latest_checkpoint
        if latest is None:
            return False
        self.checkpoint.restore(latest).assert_existing_objects_matched()
        return True

    def save(self) -> str:
        return self.manager.save(checkpoint_number=self.step)


class _Keeper(keras.callbacks.Callback):
    """Sets the learning rate, saves, logs, watches for divergence and ends the run."""

    def __init__(
        self,
        run: Run,
        schedule: CosineSchedule,
        budget: Budget,
        say: Callable[[str], None],
        reconstructions: Callable[[], dict] | None,
    ) -> None:
        super().__init__()
        self._run, self._schedule, self._budget = run, schedule, budget
        self._say, self._reconstructions = say, reconstructions
        self._writer = tf.summary.create_file_writer(os.path.join(run.options.run_dir, "logs"))
        self._window: list[dict] = []
        self._before = float(run.seconds.numpy())
        self._step = run.step
        self._started = time.monotonic()
        self.interrupted = False

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _save(self) -> None:
        self._run.seconds.assign(self._seconds())
        self._run.save()

    def on_train_batch_begin(self, batch, logs=None) -> None:
        progress = self._budget.progress(self._step, self._seconds())
        self._rate = self._schedule(self._step, progress)
        self.model.optimizer.learning_rate.assign(self._rate)

    def on_train_batch_end(self, batch, logs=None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in logs.values()):
            numbers = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
            raise TrainingDiverged(
                f"Training stopped at step {self._step + 1}: a number is not finite ({numbers}, "
                f"learning rate {self._rate:.3g}). The weights were not changed by this step and "
                f"the last checkpoint is {self._run.manager.latest_checkpoint}; resume with a "
                "lower --learning_rate."
            )
        self._step += 1
        self._window.append(logs)
        options = self._run.options
        if self._step % options.log_every == 0:
            self._log()
        if options.image_every and self._step % options.image_every == 0 and self._reconstructions:
            with self._writer.as_default(step=self._step):
                for name, images in self._reconstructions().items():
                    tf.summary.image(name, images)
        done = self._budget.progress(self._step, self._seconds()) >= 1.0
        if done or self.interrupted:
            self.model.stop_training = True
        if done or self.interrupted or self._step % options.save_every == 0:
            self._save()

    def _log(self) -> None:
        means = {
            name: float(np.mean([entry[name] for entry in self._window]))
            for name in self._window[0]
        }
        self._window.clear()
        with self._writer.as_default(step=self._step):
            for name, value in means.items():
                tf.summary.scalar(name, value)
            tf.summary.scalar("learning_rate", self._rate)
            tf.summary.scalar("minutes", self._seconds() / 60)
        progress = self._budget.progress(self._step, self._seconds())
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._say(
            f"step {self._step}  {100 * progress:.1f} %  {self._seconds() / 60:.1f} min  "
            f"{numbers}  learning_rate {self._rate:.3g}"
        )


def fit(
    run: Run,
    dataset: tf.data.Dataset,
    schedule: CosineSchedule,
    budget: Budget,
    *,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    reconstructions: Callable[[], dict] | None = None,
) -> int:
    """Trains until the budget is spent; SIGTERM and SIGINT save a checkpoint and stop.

    Args:
      run: the run, restored or fresh; its model compiled.
      dataset: endless batches, starting at the run's step.
      schedule: learning rate.
      budget: when to end.
      say: takes a line of progress.
      reconstructions: gives named image batches for TensorBoard.

    Returns:
      The step reached.

    Raises:
      TrainingDiverged: when a loss or the gradient's norm is not finite.
    """
    if budget.progress(run.step, float(run.seconds.numpy())) >= 1.0:
        return run.step
    keeper = _Keeper(run, schedule, budget, say, reconstructions)

    def interrupt(*_):
        keeper.interrupted = True

    previous = {}
    try:
        for name in (signal.SIGTERM, signal.SIGINT):
            previous[name] = signal.signal(name, interrupt)
    except ValueError:
        pass  # Not in the main thread: signals belong to the caller.
    try:
        run.model.fit(dataset, epochs=1, steps_per_epoch=None, verbose=0, callbacks=[keeper])
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
    return run.step


def write_config(run_dir: str, config: dict) -> None:
    """Writes `config.json` of a run, whole or not at all."""
    os.makedirs(run_dir, exist_ok=True)
    path = os.path.join(run_dir, "config.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(path + ".new", path)


def read_config(run_dir: str) -> dict:
    """Reads `config.json` of a run.

    Raises:
      TfhificError: when the folder holds no run.
    """
    path = os.path.join(run_dir, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise TfhificError(
            f"{run_dir!r} holds no training run: expected {path!r}, as bin/train.py writes it."
        ) from None
    except ValueError as error:
        raise TfhificError(f"{path!r} is not readable as JSON: {error}.") from None
