"""No command writes over what it reads, however the two are spelled."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable

from tfhific.errors import OutputError

Identity = tuple[int, int]
"""Device and number of a file: what hard links, symbolic links and other spellings share."""


def identity(path: str, *, standard_stream: int = 0) -> Identity | None:
    """Which regular file a path leads to; None where it leads to none.

    Args:
      path: of a file, or "-".
      standard_stream: descriptor that "-" stands for: 0 for an input, 1 for an output. It may be a
        file that the shell opened.
    """
    try:
        if path == "-":
            stream = sys.stdout if standard_stream else sys.stdin
            found = os.fstat(stream.fileno())
        else:
            found = os.stat(path)
    except (OSError, ValueError, AttributeError):
        return None
    # Two names of one terminal or pipe are no harm.
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def refuse_own_input(destination: str, inputs: Iterable[str | None]) -> None:
    """Fails where writing `destination` would replace something that the command reads.

    Args:
      destination: path of an output, or "-" for standard output.
      inputs: paths that are read, "-" for standard input, None for nothing. Of a folder, such as
        a model's, all files in it count.

    Raises:
      OutputError: one of them is the output too, by this or another name.
    """
    written = identity(destination, standard_stream=1)
    if written is None:
        return
    for source in inputs:
        for path in _files(source):
            if identity(path) == written:
                raise OutputError(own_input_message(destination, path))


def own_input_message(destination: str, source: str) -> str:
    """Says that an output is an input too."""
    shown = "standard output" if destination == "-" else destination
    name = "standard input" if source == "-" else source
    same = "the input itself" if shown == name else f"the input {name} by another name"
    return f"{shown}: is {same}, and would be lost. Name another output."


def _files(source: str | None) -> Iterable[str]:
    if not source:
        return []
    if source == "-" or not os.path.isdir(source):
        return [source]
    try:
        return [os.path.join(source, name) for name in os.listdir(source)]
    except OSError:
        return []
