"""Pictures out of a zip or tar file, shards of WebDataset among them, without unpacking it."""

from __future__ import annotations

import os
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from tfhific.bulk.places import Found, ReadOnly
from tfhific.errors import TfhificError
from tfhific.files.file_kinds import extension
from tfhific.files.listing import LeftOut

ENDINGS = (".zip", ".tar")
"""Of files that may be read as a folder is. A compressed tar has no places to jump to."""


class Archive(ReadOnly):
    """The regular files in an archive.

    Of members of one name the last counts, as when an archive is unpacked.
    """

    what = "an archive"

    def __init__(self, path: str) -> None:
        """Opens it.

        Args:
          path: of a file on a disk that all machines of a job see.

        Raises:
          TfhificError: it is damaged, or no such archive.
        """
        self.name = os.path.abspath(path)
        self._modified = 0
        self._opened: zipfile.ZipFile | None = None
        self._members: dict[str, Any] = {}
        self._special = 0
        self._open()

    def _open(self) -> None:
        try:
            self._modified = os.stat(self.name).st_mtime_ns
            if extension(self.name) == ".zip":
                self._opened = zipfile.ZipFile(self.name)
                for info in self._opened.infolist():
                    if not info.is_dir():
                        self._members[info.filename] = info
            else:
                self._read_tar()
        except (OSError, zipfile.BadZipFile, tarfile.TarError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TfhificError(
                f"{self.name}: expected a zip file or a tar without compression ({reason})."
            ) from None

    def _read_tar(self) -> None:
        with tarfile.open(self.name, "r:") as tar:
            for member in tar:
                # Links and devices lead out of the archive; holes would take more than bytes.
                if member.isreg() and not member.issparse():
                    place = member.offset_data, member.size
                    self._members[member.name.removeprefix("./")] = place
                elif not member.isdir():
                    self._special += 1

    # The index is as large as the archive is long: each process reads its own.

    def __getstate__(self) -> dict[str, str]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["name"])  # type: ignore[misc]

    def taken(
        self, extensions: Sequence[str], recursive: bool, ignored: Sequence[str]
    ) -> tuple[dict[str, Found], LeftOut]:
        # Whoever packed them chose them all: folders in an archive are searched in any case.
        found, left_out = {}, LeftOut(special=self._special)
        for path, member in sorted(self._members.items()):
            name = posixpath.basename(path).lower()
            if name.startswith("._"):
                left_out.companions += 1
            elif name.endswith(tuple(extensions)):
                size = member[1] if isinstance(member, tuple) else member.file_size
                found[path] = Found(size, self._modified)
            elif not name.endswith(tuple(ignored) or ("/",)):
                left_out.kinds[extension(name)] += 1
        return found, left_out

    def read(self, path: str, start: int | None = None) -> bytes:
        member = self._members.get(path)
        try:
            if member is None:
                raise OSError("no such member")
            if isinstance(member, tuple):
                offset, size = member
                with open(self.name, "rb") as file:
                    file.seek(offset)
                    data = file.read(size if start is None else min(size, start))
                if start is None and len(data) < size:
                    raise OSError("the archive is cut short")
                return data
            # Each opening has a position of its own, so that threads may read at once.
            assert self._opened is not None
            with self._opened.open(member) as stream:
                return stream.read(-1 if start is None else start)
        except (
            *(OSError, zipfile.BadZipFile, zlib.error, EOFError),
            *(RuntimeError, NotImplementedError, ValueError),
        ) as error:
            reason = " ".join(str(error).split())[:200]
            raise TfhificError(f"{self.shown(path)}: can't be read ({reason}).") from None


def is_archive(name: str) -> bool:
    """Whether a path is that of a file that is read as a folder is."""
    return extension(name) in ENDINGS and os.path.isfile(name)
