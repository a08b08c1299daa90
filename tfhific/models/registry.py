"""Trainable systems by name."""

from __future__ import annotations

import dataclasses
import importlib

from tfhific.errors import TfhificError

# Module, model class, configuration class.
SYSTEMS = {
    "mini": ("tfhific.models.mini", "Mini", "MiniConfig"),
    "hific": ("tfhific.models.hific", "HiFiC", "HiFiCConfig"),
}


def presets(name: str) -> dict:
    """A system's named configurations; empty where it has none.

    Raises:
      TfhificError: for an unknown system.
    """
    _check(name)
    return dict(getattr(importlib.import_module(SYSTEMS[name][0]), "PRESETS", {}))


def configuration(name: str, settings: dict | None = None, preset: str | None = None):
    """The configuration dataclass of a system, with some settings replaced.

    Args:
      name: of the system.
      settings: by the names of the dataclass's fields.
      preset: one of `presets(name)` to start from; None for the dataclass's defaults.

    Raises:
      TfhificError: for an unknown system, preset or setting, or a setting out of range.
    """
    _check(name)
    module, _, config_class = SYSTEMS[name]
    config_type = getattr(importlib.import_module(module), config_class)
    known = {field.name: field for field in dataclasses.fields(config_type)}
    unknown = sorted(set(settings or {}) - set(known))
    if unknown:
        raise TfhificError(
            f"{name} has no setting {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    try:
        if preset is None:
            return config_type(**(settings or {}))
        known_presets = presets(name)
        if preset not in known_presets:
            raise TfhificError(
                f"{name} has no configuration {preset!r}. It has: "
                f"{', '.join(known_presets) or 'none by name'}."
            )
        return dataclasses.replace(known_presets[preset], **(settings or {}))
    except (TypeError, ValueError) as error:
        raise TfhificError(f"{name} can't be configured so: {error}") from None


def _check(name: str) -> None:
    if name not in SYSTEMS:
        raise TfhificError(f"Expected a system among {', '.join(SYSTEMS)}. Received: {name!r}.")


def create(name: str, config, **kwargs):
    """A freshly initialised model of a system."""
    module, model_class, _ = SYSTEMS[name]
    return getattr(importlib.import_module(module), model_class)(config, **kwargs)
