"""The folder of a run: whether one can be there."""

from __future__ import annotations

import os

from tfhific.errors import OutputError


def check_run_folder(run_dir: str | os.PathLike) -> None:
    """Refuses a place where no run can be kept, before any work; makes nothing.

    Raises:
      OutputError: when it, or what it would lie in, is a file or can't be written to.
    """
    run_dir = os.fspath(run_dir)
    place = os.path.abspath(run_dir)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    where = "" if place == os.path.abspath(run_dir) else f" below {place!r}"
    if not os.path.isdir(place):
        raise OutputError(f"`run_dir`: expected a folder. Received: {run_dir!r}{where}, a file.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(
            f"`run_dir`: expected a folder that can be written to. Received: {run_dir!r}{where}."
        )
