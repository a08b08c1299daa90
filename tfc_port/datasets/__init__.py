"""Data sets of video frames."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

__all__ = sorted(_names.DATASETS)
__getattr__, __dir__ = lazy_attributes(__name__, _names.DATASETS)
