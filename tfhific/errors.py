"""The errors a caller of tfhific is expected to catch.

Every message is one line: what was expected, what was received, what to do about it.
"""

from __future__ import annotations


class TfhificError(Exception):
    """Base of all errors that tfhific raises on purpose."""


class ImageError(TfhificError):
    """A picture, from a file or as an array, that cannot be read, shown or written faithfully."""


class BitstreamError(TfhificError):
    """Compressed bytes that are cut, damaged, hostile, or made by another model."""


class ModelError(TfhificError):
    """A model that is missing, unreadable or inconsistent with itself."""


class OutputError(TfhificError):
    """A destination that cannot be written."""


class PictureWarning(UserWarning):
    """A file is damaged, and its picture is not."""
