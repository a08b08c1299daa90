"""Training runs: `fit` with checkpoints, exact resume, logs and a guard against divergence."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import OutputError, TfhificError
from tfhific.models.system import TrainableSystem
from tfhific.training.run import Run, RunOptions, read_config, write_config
from tfhific.training.schedule import Budget, Schedule

__all__ = ["Run", "RunOptions", "TrainingDiverged", "fit", "read_config", "write_config"]


class TrainingDiverged(TfhificError):
    """The loss or its gradient stopped being finite."""


class _Keeper(keras.callbacks.Callback):
    """Sets the learning rate, saves, logs, watches for divergence and ends the run."""

    def __init__(
        self,
        run: Run,
        schedule: Schedule,
        budget: Budget,
        say: Callable[[str], None],
        reconstructions: Callable[[], dict] | None,
    ) -> None:
        super().__init__()
        self._run, self._schedule, self._budget = run, schedule, budget
        self._say, self._reconstructions = say, reconstructions
        self._writer = tf.summary.create_file_writer(os.path.join(run.options.own_dir, "logs"))
        self._window: list[dict] = []
        self._before = float(run.seconds.numpy())
        self._step = run.step
        self._started = time.monotonic()
        self.interrupted = False

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _save(self) -> None:
        self._run.seconds.assign(self._seconds())
        try:
            self._run.save()
        except (tf.errors.OpError, OSError) as error:
            # Not as it is: Keras takes one of TensorFlow's errors for the end of the data.
            reason = str(error).strip().splitlines()[0]
            raise OutputError(
                f"The checkpoint of step {self._step} can't be written ({reason:.200}). Make room, "
                "then --resume goes on from "
                f"{self._run.manager.latest_checkpoint or 'the beginning'}."
            ) from None

    def on_train_batch_begin(self, batch, logs=None) -> None:
        progress = self._budget.progress(self._step, self._seconds())
        self._rate = self._schedule(self._step, progress)
        if isinstance(self.model, TrainableSystem) and self.model.training_state:
            self.model.before_step(self._step, progress, self._rate)
        else:
            self.model.optimizer.learning_rate.assign(self._rate)

    def on_train_batch_end(self, batch, logs=None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in logs.values()):
            numbers = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
            raise TrainingDiverged(
                f"Training stopped at step {self._step + 1}: a number is not finite ({numbers}, "
                f"learning rate {self._rate:.3g}). No weight was changed by a gradient that is "
                f"not finite, and the last checkpoint is {self._run.manager.latest_checkpoint}; "
                "resume with a lower --learning_rate."
            )
        self._step += 1
        self._run.step_variable.assign(self._step)
        if self._run.average:
            self._run.average.update()
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

    def _learning_rates(self) -> dict[str, float]:
        """The optimisers' own rates where there are several."""
        state = self.model.training_state if isinstance(self.model, TrainableSystem) else None
        optimizers = state.optimizers if state else {}
        if len(optimizers) < 2:
            return {}
        return {
            f"learning_rate/{name}": float(optimizer.learning_rate.numpy())
            for name, optimizer in optimizers.items()
        }

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
            for name, value in self._learning_rates().items():
                tf.summary.scalar(name, value)
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
    schedule: Schedule,
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
      OutputError: when a checkpoint can't be written.
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
