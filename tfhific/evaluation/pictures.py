"""The set of pictures that an evaluation runs over."""

from __future__ import annotations

import os

from tfhific.data.folders import list_images
from tfhific.errors import TfhificError
from tfhific.evaluation.bench import Failure, Image
from tfhific.evaluation.codecs import file_digest
from tfhific.pictures.images import read_picture

_WRITTEN = ("files", "plots")
"""Folders below the results' that get files of picture kinds."""


def list_pictures(
    data: str | os.PathLike, limit: int | None = None, out: str | None = None
) -> tuple[list[Image], list[Failure]]:
    """Reads every picture once, so that a bad one is known before anything is measured.

    Args:
      data: a folder, searched recursively, or a glob.
      limit: only the first so many.
      out: folder of the results: what an evaluation writes below it does not count.

    Returns:
      The pictures by name, and those that cannot be read.

    Raises:
      TfhificError: none there, or none readable.
    """
    written = [os.path.join(os.path.realpath(out), name, "") for name in _WRITTEN] if out else []
    paths = [p for p in list_images(data) if not os.path.realpath(p).startswith(tuple(written))]
    if not paths:
        raise TfhificError(
            f"No pictures in {os.fspath(data)!r} but an evaluation's own. Name another folder."
        )
    paths = paths[:limit]
    root = (
        os.fspath(data)
        if os.path.isdir(data)
        else os.path.commonpath([os.path.dirname(path) or "." for path in paths])
    )
    found, failures = [], []
    for path in paths:
        name = os.path.relpath(path, root).replace(os.sep, "/")
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            height, width = read_picture(path).pixels.shape[:2]
            found.append(Image(path, name, file_digest(path), width, height))
        except TfhificError as error:
            failures.append(Failure(name, "", "", str(error)))
    if not found:
        raise TfhificError(f"No picture of {len(paths)} can be read. First: {failures[0].message}")
    return found, failures


def set_name(data: str | os.PathLike) -> str:
    """What a set of pictures is called: its folder's name."""
    path = os.path.normpath(os.fspath(data))
    if not os.path.isdir(path):
        path = os.path.dirname(path)
    return os.path.basename(os.path.abspath(path)) or "pictures"
