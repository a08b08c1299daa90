"""Entropy models: rate estimation in training, coding afterwards."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

__all__ = sorted(_names.ENTROPY_MODELS)
__getattr__, __dir__ = lazy_attributes(__name__, _names.ENTROPY_MODELS, _names.LEFT_OUT)
