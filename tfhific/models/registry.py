"""Trainable systems by name."""

from __future__ import annotations

import dataclasses
import importlib

from tfhific.errors import TfhificError

# Module, model class, configuration class.
SYSTEMS = {"mini": ("tfhific.models.mini", "Mini", "MiniConfig")}


def configuration(name: str, settings: dict | None = None):
    """The configuration dataclass of a system, with some settings replaced.

    Raises:
      TfhificError: for an unknown system or setting.
    """
    if name not in SYSTEMS:
        raise TfhificError(f"Expected a system among {', '.join(SYSTEMS)}. Received: {name!r}.")
    module, _, config_class = SYSTEMS[name]
    config_type = getattr(importlib.import_module(module), config_class)
    known = {field.name: field for field in dataclasses.fields(config_type)}
    unknown = sorted(set(settings or {}) - set(known))
    if unknown:
        raise TfhificError(
            f"{name} has no setting {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    return config_type(**(settings or {}))


def create(name: str, config, **kwargs):
    """A freshly initialised model of a system."""
    module, model_class, _ = SYSTEMS[name]
    return getattr(importlib.import_module(module), model_class)(config, **kwargs)
