"""Where a job's files are: a folder of this machine, or anything that fsspec opens by its URL.

A place is known by a name and hands out files by paths relative to it, with `/` between folders.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import os
from collections.abc import Sequence

from tfhific.errors import OutputError, TfhificError
from tfhific.files import atomic, jobs
from tfhific.files.listing import LeftOut, list_folder
from tfhific.files.planning import nothing_to_do


@dataclasses.dataclass(frozen=True)
class Found:
    """A file of a place.

    Attributes:
      bytes: its size; None where that is not known.
      modified: when it was, nanoseconds since 1970; None where that is not known.
    """

    bytes: int | None = None
    modified: int | None = None


class Place(abc.ABC):
    """A tree of files. Instances can be sent to other processes."""

    name: str
    """As the user gave it; a folder with its whole path."""

    start_costs_all = False
    """Whether reading a file's beginning takes as long as reading it all."""

    @abc.abstractmethod
    def files(self) -> dict[str, Found]:
        """Everything that is in it; nothing where it is missing.

        Raises:
          TfhificError: it can't be looked at.
        """

    @abc.abstractmethod
    def taken(
        self, extensions: Sequence[str], recursive: bool, ignored: Sequence[str]
    ) -> tuple[dict[str, Found], LeftOut]:
        """The files that have one of some endings, and what else there is.

        Args:
          extensions: in lower case, with the dot.
          recursive: also the folders below.
          ignored: endings of files that are neither taken nor counted.

        Raises:
          TfhificError: it is missing or can't be looked at.
        """

    @abc.abstractmethod
    def read(self, path: str, start: int | None = None) -> bytes:
        """A file's bytes.

        Args:
          path: of the file.
          start: how many from its beginning; None for all.

        Raises:
          TfhificError: it can't be read.
        """

    @abc.abstractmethod
    def write(self, path: str, data: bytes, overwrite: bool) -> None:
        """Makes a file that is whole as soon as it is there.

        Args:
          path: of the file; folders above it are made.
          data: all of it.
          overwrite: replace what is there.

        Raises:
          OutputError: it is there already, or can't be written.
        """

    @abc.abstractmethod
    def remove(self, path: str) -> None:
        """Takes a file away where it is there, and a folder that held nothing else.

        Raises:
          TfhificError: it can't be.
        """

    @abc.abstractmethod
    def shown(self, path: str) -> str:
        """A file's name in messages."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder has a file's name, so that the file can't be written."""
        return False

    def nothing(self, extensions: Sequence[str], recursive: bool, left_out: LeftOut) -> str:
        """Says that `taken` gave no file; what it was called with, and what it left out."""
        return nothing_to_do(self.name, extensions, recursive, left_out)

    @abc.abstractmethod
    def settle(self, path: str, source: Place, source_path: str) -> None:
        """Called for a file that was made of another, once it is written."""


class Folder(Place):
    """A folder of this machine, or of a disk that all machines of a job see under one path."""

    def __init__(self, path: str) -> None:
        self.name = os.path.abspath(path)

    def files(self) -> dict[str, Found]:
        found = {}
        _refuse_below_a_file(self.name)
        if os.path.isdir(self.name):
            # Every file counts, whatever it is called: "" is the end of each name.
            listing = list_folder(self.name, ("",), recursive=True)
            _refuse_unreadable(listing.left_out)
            found = {self._relative(path): _stat(path) for path in listing.paths}
        return found

    def taken(
        self, extensions: Sequence[str], recursive: bool, ignored: Sequence[str]
    ) -> tuple[dict[str, Found], LeftOut]:
        if not os.path.isdir(self.name):
            if not os.path.exists(self.name):
                raise TfhificError(f"{self.name}: expected a folder; there is none.")
            raise TfhificError(
                f"{self.name}: expected a folder, or a .zip, .tar or .parquet file of pictures. "
                "Received a file of another kind: unpack other archives, and give single files to "
                "the commands for one machine."
            )
        listing = list_folder(self.name, extensions, recursive=recursive, ignored=ignored)
        return {self._relative(path): _stat(path) for path in listing.paths}, listing.left_out

    def read(self, path: str, start: int | None = None) -> bytes:
        if start is None:
            return jobs.read_bytes(self._whole(path))
        try:
            with open(self._whole(path), "rb") as file:
                return file.read(start)
        except OSError as error:
            raise TfhificError(f"{self.shown(path)}: can't be read ({error.strerror}).") from None

    def write(self, path: str, data: bytes, overwrite: bool) -> None:
        whole = self._whole(path)
        jobs.ensure_folder(os.path.dirname(whole))
        atomic.write_atomically(whole, data, overwrite)

    def remove(self, path: str) -> None:
        try:
            os.unlink(self._whole(path))
            with contextlib.suppress(OSError):  # others are in it
                os.rmdir(os.path.dirname(self._whole(path)))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise TfhificError(
                f"{self.shown(path)}: can't be removed ({error.strerror})."
            ) from None

    def shown(self, path: str) -> str:
        return self._whole(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(self._whole(path))

    def settle(self, path: str, source: Place, source_path: str) -> None:
        if isinstance(source, Folder):
            jobs.not_older(source.shown(source_path), self.shown(path))

    def _whole(self, path: str) -> str:
        return os.path.join(self.name, *path.split("/"))

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.name).replace(os.sep, "/")


def _refuse_below_a_file(folder: str) -> None:
    above = folder
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        what = "a file" if os.path.exists(above) else "a link to nothing"
        where = "" if above == folder else f" below {above}"
        raise OutputError(
            f"{folder}: expected a folder for the outputs. Received a name{where} that is {what}; "
            "name another."
        )


def _refuse_unreadable(left_out: LeftOut) -> None:
    for folder, reason in left_out.unreadable:
        raise OutputError(f"{folder}: this folder of outputs can't be read ({reason}).")


def _stat(path: str) -> Found:
    try:
        found = os.stat(path)
    except OSError:
        return Found()
    return Found(found.st_size, found.st_mtime_ns)


class ReadOnly(Place):
    """A file that pictures are read out of, as out of a folder."""

    what = "a file"
    """Of which kind it is, for messages."""

    def files(self) -> dict[str, Found]:
        raise OutputError(f"{self.name}: pictures are not written into {self.what}; name a folder.")

    def write(self, path: str, data: bytes, overwrite: bool) -> None:
        raise OutputError(f"{self.shown(path)}: nothing is written into {self.what}.")

    def remove(self, path: str) -> None:
        raise OutputError(f"{self.shown(path)}: nothing is removed from {self.what}.")

    def nothing(self, extensions: Sequence[str], recursive: bool, left_out: LeftOut) -> str:
        there = left_out.line()
        return f"{self.name}: expected pictures in {self.what}, found none of " + (
            f"{', '.join(extensions)}; it has {there}." if there else f"{', '.join(extensions)}."
        )

    def shown(self, path: str) -> str:
        return f"{self.name}/{path}"

    def settle(self, path: str, source: Place, source_path: str) -> None:
        """Nothing is written to it."""
