"""Beginning a run with weights that are there already: another run's, or a published model's."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from tfhific import systems, zoo
from tfhific.errors import ModelError, TfhificError
from tfhific.models.system import TrainableSystem
from tfhific.published.store import FILE_NAME, load_hyperprior, read_description
from tfhific.training.restore import latest_checkpoint, restore_weights
from tfhific.training.run import Run, read_config


def is_published(folder: str) -> bool:
    """Whether a folder holds a published or imported model, rather than a run."""
    return not os.path.exists(os.path.join(folder, "config.json")) and os.path.exists(
        os.path.join(folder, FILE_NAME)
    )


def find_source(name: str) -> str:
    """The folder of a run or of a model, or of a model that is known by its name, such as `mini`.

    Raises:
      TfhificError: when there is neither.
    """
    if os.path.exists(os.path.join(name, "config.json")):
        return name
    try:
        return zoo.find_by_name(name)
    except ModelError as error:
        if os.path.isdir(name):
            # The folder is what was meant: say what it lacks.
            read_config(name)
        raise TfhificError(f"`init_from`: expected a run or a model. {error}") from None


def check_source(folder: str, system: str, config) -> None:
    """Refuses what a run of a system can't begin with.

    Args:
      folder: of a run or of a published model.
      system: the new run's.
      config: the new run's configuration.

    Raises:
      TfhificError: when there is neither, or of another system, or of networks that compute
        something else than the new run's.
    """
    published = is_published(folder)
    if published:
        stored = read_description(folder)
        training = stored.get("training") or {}
        settings = stored.get("config") or training.get("config")
        theirs = systems.known_as(stored["system"], training)
    else:
        stored = read_config(folder)
        settings, theirs = stored["config"], stored["system"]
    if theirs != system:
        kind = "model" if published else "run"
        raise TfhificError(
            f"`init_from`: expected a run or a model of {system}. "
            f"Received: a {kind} of {theirs}, {folder!r}."
        )
    if not published:
        latest_checkpoint(folder)
    elif not systems.can_be_trained(system):
        raise TfhificError(
            f"`init_from`: expected a run of {system}; its published models can't be trained "
            f"further. Received: {folder!r}."
        )
    _check_settings(folder, settings, system, config)


def _check_settings(folder: str, settings: dict | None, system: str, config) -> None:
    if not isinstance(settings, dict):
        raise TfhificError(
            f"`init_from`: {folder!r} does not say how it was configured, so it can't be trained."
        )
    names = systems.training_class(system).WEIGHT_SETTINGS
    theirs = systems.configuration(system, settings)
    other = {
        name: getattr(theirs, name)
        for name in names
        if getattr(theirs, name) != getattr(config, name)
    }
    if other:
        ours = {name: getattr(config, name) for name in other}
        raise TfhificError(
            f"`init_from`: the weights of {folder!r} are of another configuration. This run has "
            f"{json.dumps(ours)}; to begin with them, add `settings`='{json.dumps(other)}'."
        )


def warm_start(run: Run, folder: str) -> list[str]:
    """Gives a new run's model the weights of another run or of a published model.

    Args:
      run: with its variables made.
      folder: see `check_source`.

    Returns:
      A line for each group of trained variables for which there were none: they begin anew.

    Raises:
      TfhificError: when they can't be read or don't fit.
    """
    model, system = run.model.codec_model, type(run.model)
    if is_published(folder):
        given = _give_published(model, folder, system)
    else:
        given = restore_weights(model, folder, system, partly=True)
    if run.average:
        run.average.reset()
    identities = {id(variable) for variable in given}
    state = run.model.training_state
    return [
        f"`init_from`: {folder} has no weights for the {name}, which begins anew"
        for name, variables in state.groups.items()
        if variables and not any(id(variable) in identities for variable in variables)
    ]


def _give_published(model, folder: str, system: type[TrainableSystem]) -> list:
    """Sets what a published model has for a Keras model, and returns those variables."""
    published = load_hyperprior(folder)
    source = systems.trainable(published)
    stored = {name for name, part in vars(source).items() if isinstance(part, tf.Module)}
    for name in source.extra_variables():
        if name not in published.extras:
            stored.discard(name.split("/")[0])
    chosen = system.warm_start(model, stored)
    pairs = [(getattr(source, name), part) for name, part in chosen.items()] or [(source, model)]
    given = []
    for theirs, ours in pairs:
        shapes = [[tuple(v.shape) for v in part.variables] for part in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise TfhificError(
                f"`init_from`: the weights of {folder!r} do not fit this configuration: "
                f"{ours.name} has other shapes."
            )
        for value, variable in zip(theirs.variables, ours.variables):
            variable.assign(value.read_value())
            given.append(variable)
    return given
