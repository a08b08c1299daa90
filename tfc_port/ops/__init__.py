"""Operations: bounds, rounding, padding, tables and the range coder."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

__all__ = sorted(_names.OPS)
__getattr__, __dir__ = lazy_attributes(__name__, _names.OPS, _names.LEFT_OUT)
