"""The one error of the entropy coder."""

from __future__ import annotations


class CodingError(ValueError):
    """Symbols, tables or a payload that the coder can't take; the message says which and why."""
