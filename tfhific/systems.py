"""Systems by name: their configurations, their models, and what trains them."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from tfhific.errors import TfhificError


@dataclasses.dataclass(frozen=True)
class System:
    """Where a system's classes are.

    Attributes:
      module: of the model and its configuration. A dict `PRESETS` in it names ready-made
        configurations.
      model: class of the model that is published, made as `Model(config)`.
      config: configuration dataclass.
      training: "module:class" of the `TrainableSystem`, made as `Class(config)`; empty where it is
        the model itself.
    """

    module: str
    model: str
    config: str
    training: str = ""


SYSTEMS = {
    "mini": System("tfhific.models.mini", "Mini", "MiniConfig"),
    "mini2": System("tfhific.models.mini2", "Mini2", "Mini2Config"),
    "gc": System("tfhific.models.extreme", "Extreme", "GCConfig"),
    "sc": System("tfhific.models.extreme", "Extreme", "SCConfig"),
    "inversion": System("tfhific.models.inversion", "Inversion", "InversionConfig"),
    "cgan": System("tfhific.models.cgan", "CGAN", "CGANConfig"),
    "hific": System(
        "tfhific.models.hific",
        "HiFiC",
        "HiFiCConfig",
        "tfhific.models.hific_training:HiFiCTraining",
    ),
    "labels": System("tfhific.models.labels", "LabelAutoencoder", "LabelConfig"),
}


def _system(name: str) -> System:
    if name not in SYSTEMS:
        raise TfhificError(f"Expected a system among {', '.join(SYSTEMS)}. Received: {name!r}.")
    return SYSTEMS[name]


def known_as(stored: str, training: dict | None = None) -> str:
    """The registry's name of the system that a published model says it is of.

    Models were published under their class's name, in lower case, until a class could be that of
    a system of another name; what they say of their training has the registry's.

    Args:
      stored: what the model says.
      training: how it came about, as far as it says.

    Returns:
      A system's name, or `stored` where it is of none.
    """
    if stored in SYSTEMS:
        return stored
    named = (training or {}).get("system")
    if named in SYSTEMS and SYSTEMS[named].model.lower() == stored:
        return named
    return next((name for name, s in SYSTEMS.items() if s.model.lower() == stored), stored)


def name_of(model) -> str:
    """The name of the first system that a model's class is of, or the class's where it has none."""
    kind = type(model)
    for name, system in SYSTEMS.items():
        if (system.module, system.model) == (kind.__module__, kind.__name__):
            return name
    return kind.__name__.lower()


def presets(name: str) -> dict:
    """A system's named configurations; empty where it has none.

    Raises:
      TfhificError: for an unknown system.
    """
    return dict(getattr(importlib.import_module(_system(name).module), "PRESETS", {}))


def configuration(name: str, settings: dict | None = None, preset: str | None = None):
    """The configuration dataclass of a system, with some settings replaced.

    Args:
      name: the system's.
      settings: values by the names of the configuration's fields.
      preset: one of `presets(name)` to start from; None or empty for the dataclass's defaults.

    Raises:
      TfhificError: for an unknown system, preset or setting, or a setting that makes no sense.
    """
    system = _system(name)
    config_type = getattr(importlib.import_module(system.module), system.config)
    ready = presets(name)
    if preset and preset not in ready:
        raise TfhificError(
            f"{name} has no configuration {preset!r}. It has: {', '.join(ready) or 'none by name'}."
        )
    known = {field.name for field in dataclasses.fields(config_type) if field.init}
    unknown = sorted(set(settings or {}) - known)
    if unknown:
        raise TfhificError(
            f"{name} has no setting {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    # JSON has lists where a frozen dataclass has tuples.
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in (settings or {}).items()}
    try:
        if preset:
            return dataclasses.replace(ready[preset], **settings)
        return config_type(**settings)
    except (TypeError, ValueError) as error:
        raise TfhificError(f"{name} can't be configured so: {error}") from None


def create(name: str, config, **kwargs):
    """A freshly initialised model of a system: the one that is published."""
    system = _system(name)
    return getattr(importlib.import_module(system.module), system.model)(config, **kwargs)


def training_class(name: str) -> Any:
    """The `TrainableSystem` class of a system."""
    system = _system(name)
    module, _, class_name = (system.training or f"{system.module}:{system.model}").partition(":")
    return getattr(importlib.import_module(module), class_name)


def create_trainable(name: str, config):
    """A freshly initialised `TrainableSystem`."""
    return training_class(name)(config)
