"""Training runs: `fit` with checkpoints, exact resume, logs and a guard against divergence."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ImageError, TfhificError
from tfhific.models.system import TrainableSystem
from tfhific.training.interruption import Interruption
from tfhific.training.run import Run, RunOptions, read_config, write_config
from tfhific.training.schedule import Budget, Schedule

__all__ = [
    "Run",
    "RunOptions",
    "TrainingDiverged",
    "TrainingStopped",
    "WorkerLost",
    "fit",
    "read_config",
    "write_config",
]


class TrainingDiverged(TfhificError):
    """The loss or its gradient stopped being finite."""


class TrainingStopped(TfhificError):
    """A signal stopped the run before its end; what it had reached is saved.

    Attributes:
      step: that was reached.
      signal: number of the signal.
    """

    def __init__(self, message: str, step: int, signal: int) -> None:
        super().__init__(message)
        self.step, self.signal = step, signal

    def __reduce__(self):
        return type(self), (str(self), self.step, self.signal)


class WorkerLost(TfhificError):
    """Another of the machines that train together is gone, or can't be reached any more."""


class _Keeper(keras.callbacks.Callback):
    """Sets the learning rate, saves, logs, watches for divergence and ends the run."""

    def __init__(
        self,
        run: Run,
        schedule: Schedule,
        budget: Budget,
        say: Callable[[str], None],
        reconstructions: Callable[[], dict] | None,
        interruption: Interruption,
    ) -> None:
        super().__init__()
        self._interruption = interruption
        self._run, self._schedule, self._budget = run, schedule, budget
        self._say, self._reconstructions = say, reconstructions
        self._writer = tf.summary.create_file_writer(os.path.join(run.options.own_dir, "logs"))
        self._window: list[dict] = []
        self._before = float(run.seconds.numpy())
        self._step = run.step
        self._started = time.monotonic()
        self.done = False

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _save(self) -> None:
        self._run.seconds.assign(self._seconds())
        self._run.save()

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
                f"not finite. {self._way_on()}"
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
        self.done = self._budget.progress(self._step, self._seconds()) >= 1.0
        last = self.done or bool(self._interruption.signal)
        if last:
            self.model.stop_training = True
        if last or self._step % options.save_every == 0:
            self._save()

    def _way_on(self) -> str:
        latest = self._run.latest_checkpoint
        if latest is None:
            return (
                "There is no checkpoint yet: `resume` with a lower `learning_rate` begins at the "
                "first step again."
            )
        return f"The last checkpoint is {latest}: `resume` with a lower `learning_rate`."

    def stopped(self, number: int) -> TrainingStopped:
        """What is raised after a signal of that number."""
        budget, minutes = self._budget, self._seconds() / 60
        of = f" of {budget.steps}" if budget.steps > 0 else ""
        if not of:
            of = f", after {minutes:.1f} of {budget.minutes:g} minutes"
        message = f"stopped at step {self._step}{of}; `resume` continues"
        return TrainingStopped(message, self._step, number)

    def lost(self, reason: str) -> WorkerLost:
        """What is raised when another worker has ended in the middle of a step."""
        latest = self._run.latest_checkpoint
        kept = f"The last checkpoint is {latest}" if latest else "There is no checkpoint yet"
        return WorkerLost(
            f"Another worker was lost after step {self._step} ({reason}). {kept}: start all "
            "workers again with `resume`."
        )

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

    A second signal ends the process at once.

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
      TrainingStopped: after a signal, unless the budget was spent by then.
      WorkerLost: when another machine that trains with this one has ended.
      ImageError: when the data has nothing left that can be read.
      OutputError: when a checkpoint can't be written.
    """
    if budget.progress(run.step, float(run.seconds.numpy())) >= 1.0:
        return run.step
    with Interruption(say) as interruption:
        keeper = _Keeper(run, schedule, budget, say, reconstructions, interruption)
        try:
            run.model.fit(dataset, epochs=1, steps_per_epoch=None, verbose=0, callbacks=[keeper])
        except tf.errors.OpError as error:
            said = _said_by_data(error)
            reason = _said_of_workers(error)
            raise said or (keeper.lost(reason) if reason else error) from None
    if interruption.signal and not keeper.done:
        raise keeper.stopped(interruption.signal)
    return run.step


def _said_by_data(error: tf.errors.OpError) -> ImageError | None:
    """The `ImageError` that the data raised inside of TensorFlow, which wraps its text."""
    found = re.search(r"\bImageError: (.+)", str(error))
    return ImageError(found[1].strip()) if found else None


def _said_of_workers(error: tf.errors.OpError) -> str | None:
    """Why what workers compute together could not be, where that is what failed."""
    found = re.search(r"^Collective ops is aborted by: (.+)", str(error), re.MULTILINE)
    return found[1].strip()[:200] if found else None
