"""A training run's folder: configuration and checkpoints."""

from __future__ import annotations

import dataclasses
import json
import os

import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import OutputError, TfhificError
from tfhific.models.system import TrainableSystem
from tfhific.training.average import WeightAverage


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a run is kept.

    Attributes:
      run_dir: folder of the checkpoints, logs and the configuration.
      save_every: steps between checkpoints.
      log_every: steps between lines of the log and TensorBoard scalars.
      image_every: steps between reconstructions in TensorBoard; 0 for none.
      worker: of several machines, the number of this one. Only the first, 0, leaves checkpoints
        and logs in `run_dir`; what the others have to write goes to `run_dir/workers`.
    """

    run_dir: str
    save_every: int = 500
    log_every: int = 100
    image_every: int = 2000
    worker: int = 0

    @property
    def own_dir(self) -> str:
        """Where this process writes."""
        if self.worker == 0:
            return self.run_dir
        return os.path.join(self.run_dir, "workers", str(self.worker))


class Run:
    """A model with its optimisers, step, training time and averages, kept in a folder.

    The checkpoint holds `model` (the model that is published), `optimizer` or, where there are
    several, `optimizers`, `step`, `seconds`, and where the run has them `system` (what is trained
    but not published), `ema` and `loss_scale`.

    Attributes:
      model: a `TrainableSystem` with its training state, or any compiled Keras model.
      step_variable: int64, steps done.
      seconds: float64, training time.
      average: the moving average of the weights, or None.
    """

    def __init__(self, model: keras.Model, options: RunOptions, ema: float = 0.0) -> None:
        self.model = model
        self.options = options
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        state = model.training_state if isinstance(model, TrainableSystem) else None
        if state is None:
            optimizers, groups = {"main": model.optimizer}, {"main": model.trainable_variables}
            self.step_variable = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        else:
            optimizers, groups, self.step_variable = state.optimizers, state.groups, state.step
        for name, optimizer in optimizers.items():
            if groups.get(name):
                optimizer.build(groups[name])
        published = model.codec_model if isinstance(model, TrainableSystem) else model
        parts = {"model": published, "seconds": self.seconds, "step": self.step_variable}
        if published is not model:
            parts["system"] = model
        if list(optimizers) == ["main"]:
            parts["optimizer"] = optimizers["main"]
        else:
            parts["optimizers"] = tf.train.Checkpoint(**optimizers)
        if state is not None and state.loss_scale is not None:
            parts["loss_scale"] = state.loss_scale
        self.average = None
        if ema:
            followed = published.trainable_variables
            if isinstance(model, TrainableSystem):
                followed = model.averaged_variables(published)
            self.average = WeightAverage(followed, ema)
        if self.average:
            parts["ema"] = self.average
        self._parts, self._optimizers = parts, optimizers
        self.manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**parts),
            os.path.join(options.own_dir, "checkpoints"),
            max_to_keep=2,
        )

    @property
    def step(self) -> int:
        return int(self.step_variable.numpy())

    @property
    def latest_checkpoint(self) -> str | None:
        """Path of the run's last checkpoint, or None."""
        return find_checkpoint(self.options.run_dir)

    def restore(self) -> bool:
        """Restores the latest checkpoint; False where there is none.

        The model's variables must exist already.

        Raises:
          TfhificError: when the checkpoint is of another model or is damaged.
        """
        latest = self.latest_checkpoint
        if latest is None:
            return False
        stored = stored_parts(latest)
        # Older runs have no step of their own, and an average may be switched on later.
        optional = ("step", "ema", "loss_scale")
        wanted = {k: v for k, v in self._parts.items() if k in stored or k not in optional}
        restore_checked(latest, wanted)
        if "step" not in stored:
            self.step_variable.assign(next(iter(self._optimizers.values())).iterations)
        if self.average and "ema" not in stored:
            self.average.reset()
        return True

    def save(self) -> str:
        """Saves a checkpoint and returns its path.

        Raises:
          OutputError: when it can't be written; the one before stays.
        """
        try:
            return self.manager.save(checkpoint_number=self.step)
        except (tf.errors.OpError, OSError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            before = self.latest_checkpoint
            raise OutputError(
                f"The checkpoint of step {self.step} can't be written to "
                f"{self.options.own_dir!r} ({reason:.200}). "
                + (f"The last one is {before}; `resume` continues." if before else "There is none.")
            ) from None


def find_checkpoint(run_dir: str) -> str | None:
    """The path of a run's latest checkpoint; None where there is none."""
    return tf.train.latest_checkpoint(os.path.join(run_dir, "checkpoints"))


def stored_parts(checkpoint: str, parent: str = "") -> set[str]:
    """The names of what a checkpoint holds, such as "model" and "step".

    Args:
      checkpoint: its path.
      parent: one of those names, for the names below it.

    Raises:
      TfhificError: when it can't be read.
    """
    try:
        names = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TfhificError(f"The checkpoint {checkpoint!r} cannot be read: {reason}") from None
    below = f"{parent}/" if parent else ""
    return {name[len(below) :].split("/")[0] for name in names if name.startswith(below)}


def restore_checked(checkpoint: str, parts: dict, partly: bool = False) -> None:
    """Restores objects from a checkpoint: every variable that they have by now.

    Args:
      checkpoint: its path.
      parts: objects by the names that they have in the checkpoint.
      partly: accept that the checkpoint holds more.

    Raises:
      TfhificError: when something is missing there or has another shape.
    """
    try:
        status = tf.train.Checkpoint(**parts).restore(checkpoint)
        if partly:
            status = status.expect_partial()
        status.assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TfhificError(
            f"The checkpoint {checkpoint!r} does not fit this model; it is of another "
            f"configuration, or damaged: {reason}"
        ) from None


def write_config(run_dir: str, config: dict) -> None:
    """Writes `config.json` of a run, whole or not at all.

    Raises:
      OutputError: when it can't be written.
    """
    path = os.path.join(run_dir, "config.json")
    try:
        os.makedirs(run_dir, exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2, sort_keys=True)
            file.write("\n")
        os.replace(path + ".new", path)
    except OSError as error:
        raise OutputError(f"{path!r} can't be written: {error.strerror}.") from None


def read_config(run_dir: str) -> dict:
    """Reads `config.json` of a run.

    Raises:
      TfhificError: when the folder holds no run.
    """
    path = os.path.join(run_dir, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        raise TfhificError(
            f"{run_dir!r} holds no training run: expected {path!r}, as bin/train.py writes it."
        ) from None
    except ValueError as error:
        raise TfhificError(f"{path!r} is not readable as JSON: {error}.") from None
    if not isinstance(config, dict) or not {"system", "config"} <= set(config):
        raise TfhificError(f"{path!r} is not the configuration of a training run.")
    return config
