"""A trained model back from its run."""

from __future__ import annotations

import tensorflow as tf

from tfhific import systems
from tfhific.errors import ModelError
from tfhific.models.system import TrainableSystem
from tfhific.training.average import WeightAverage
from tfhific.training.run import find_checkpoint, read_config, restore_checked, stored_parts


def latest_checkpoint(run_dir: str) -> str:
    """The path of a run's latest checkpoint.

    Raises:
      ModelError: when there is none yet.
    """
    latest = find_checkpoint(run_dir)
    if latest is None:
        raise ModelError(f"The run {run_dir!r} has no checkpoint yet.")
    return latest


def restore_weights(
    model,
    run_dir: str,
    system: type[TrainableSystem],
    average: bool = True,
    partly: bool = False,
) -> list:
    """Gives a model, whose variables exist, the weights that a run has for it.

    Args:
      model: of the run's system and sizes.
      run_dir: the run's folder.
      system: what trained it.
      average: take the moving average where the run keeps one.
      partly: only what another stage of the system begins with (`TrainableSystem.warm_start`).

    Returns:
      The variables that were set.

    Raises:
      TfhificError: when there is no checkpoint, or it is of another model.
    """
    checkpoint = latest_checkpoint(run_dir)
    restored = model
    if partly:
        chosen = system.warm_start(model, stored_parts(checkpoint, "model"))
        restored = tf.train.Checkpoint(**chosen) if chosen else model
    given = list(model.variables)
    if restored is not model:
        given = [variable for part in chosen.values() for variable in part.variables]
    parts, shadow = {"model": restored}, None
    if average and "ema" in stored_parts(checkpoint):
        shadow = parts["ema"] = WeightAverage(system.averaged_variables(model), 0.5)
    restore_checked(checkpoint, parts, partly=True)
    if shadow:
        shadow.give()
    return given


def restore_trained(run_dir: str, average: bool = True):
    """The Keras model of a run at its latest checkpoint.

    Args:
      run_dir: the run's folder.
      average: take the moving average of the weights where the run keeps one.

    Returns:
      The model, and a dict of how it was trained: system, configuration, step, minutes and what
      else `config.json` of the run says, but for the places of files and how the run was kept.

    Raises:
      TfhificError: when the folder holds no run.
      ModelError: when the run has no checkpoint yet.
    """
    stored = read_config(run_dir)
    config = systems.configuration(stored["system"], stored["config"])
    checkpoint = latest_checkpoint(run_dir)
    model = systems.create(stored["system"], config)
    model.build_variables()
    restore_weights(model, run_dir, systems.training_class(stored["system"]), average)
    reader = tf.train.load_checkpoint(checkpoint)
    names = ("step", "optimizer/_iterations")
    values = "/.ATTRIBUTES/VARIABLE_VALUE"
    step = next(reader.get_tensor(n + values) for n in names if reader.has_tensor(n + values))
    seconds = float(reader.get_tensor("seconds" + values))
    training = {k: v for k, v in stored.items() if k not in ("data", "init_from", "keeping")}
    options = {k: v for k, v in training.pop("options", {}).items() if k != "lpips"}
    if options:
        training["options"] = options
    return model, {**training, "step": int(step), "minutes": seconds / 60}
