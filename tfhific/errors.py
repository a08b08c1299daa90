"""The errors a caller of tfhific is expected to catch.

Every message is one line: what was expected, what was received, what to do about it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class TfhificError(Exception):
    """Base of all errors that tfhific raises on purpose."""


class ArgumentError(TfhificError, ValueError):
    """An argument out of its range or of the wrong kind, as Python's own functions report it."""

    # TensorFlow traces a function again under the type of what it raised, but only where that type
    # takes a message as `Exception` does, and `ValueError` has an initialiser of its own.
    __init__ = Exception.__init__


class TfhificWarning(UserWarning):
    """Something that was passed over, and that the user may want to know."""


class ImageError(TfhificError):
    """A picture, from a file or as an array, that cannot be read, shown or written faithfully."""


class BitstreamError(TfhificError):
    """Compressed bytes that are cut, damaged, hostile, or made by another model."""


class ModelError(TfhificError):
    """A model that is missing, unreadable or inconsistent with itself."""


class PillowError(TfhificError, OSError):
    """What `tfhific.pillow` can't open, decode or save, as Pillow's own formats report it."""


class OutputError(TfhificError):
    """A destination that cannot be written."""


class PictureWarning(UserWarning):
    """A file is damaged, and its picture is not."""


@contextlib.contextmanager
def named(name: str, kind: type[TfhificError] = TfhificError) -> Iterator[None]:
    """Puts a file's name in front of what goes wrong with it.

    Args:
      name: of the file, as the user knows it.
      kind: of errors; others pass as they are.
    """
    try:
        yield
    except kind as error:
        raise type(error)(f"{name}: {error}") from None
