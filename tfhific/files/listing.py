"""The files of a folder that a command takes, and what it leaves there, by reason."""

from __future__ import annotations

import collections
import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence

from tfhific.files.file_kinds import extension

_SHOWN_KINDS = 6


@dataclasses.dataclass
class LeftOut:
    """What of a folder is not taken.

    Attributes:
      kinds: how many files of other kinds, by ending in lower case; "" for files without one.
      companions: how many `._*` files, which macOS puts beside files on foreign disks.
      special: how many pipes, sockets and devices; reading one may never end.
      linked_folders: how many symbolic links to folders. They may lead back to where they are, or
        to what is taken already.
      folders_below: how many folders that are not searched because only one was asked for.
      unreadable: folders that can't be read, with the system's reason.
    """

    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    companions: int = 0
    special: int = 0
    linked_folders: int = 0
    folders_below: int = 0
    unreadable: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def facts(self) -> dict:
        """What is not zero, as JSON values."""
        found = {
            "other_kinds": dict(sorted(self.kinds.items())),
            "macos_companions": self.companions,
            "pipes_and_devices": self.special,
            "linked_folders": self.linked_folders,
            "folders_below": self.folders_below,
            "unreadable_folders": [path for path, _ in self.unreadable],
        }
        return {name: value for name, value in found.items() if value}

    def line(self) -> str:
        """One line with every number and its reason; empty where nothing was left out."""
        kinds = self.kinds.most_common(_SHOWN_KINDS)
        listed = [f"{_shown(kind)} {count}" for kind, count in kinds]
        if len(self.kinds) > len(kinds):
            listed.append("...")
        others = sum(self.kinds.values())
        parts = [
            (others, "file", f" of kinds that are not taken ({', '.join(listed)})"),
            (self.companions, "companion", " of macOS (._*)"),
            (self.special, "pipe or device", ""),
            (self.linked_folders, "linked folder", ""),
            (self.folders_below, "folder", " below (not without `recursive`)"),
            (len(self.unreadable), "folder", " that can't be read"),
        ]
        return ", ".join(_many(count, what) + more for count, what, more in parts if count)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What is in a folder.

    Attributes:
      paths: files that are taken, each below the folder's own path, sorted.
      left_out: the others.
    """

    paths: tuple[str, ...]
    left_out: LeftOut


def list_folder(
    folder: str,
    extensions: Sequence[str],
    *,
    recursive: bool,
    ignored: Sequence[str] = (),
    ignored_folder: str | None = None,
) -> Listing:
    """Lists the regular files of a folder that have one of some endings.

    Links to files are followed, links to folders are not. A file that can't be looked at is taken
    all the same: who reads it will say why it can't be read.

    Args:
      folder: where to look. That it can't be read shows in `left_out`, as for any below it.
      extensions: endings of the files that are taken, in lower case, with the dot.
      recursive: also the folders below.
      ignored: endings of files that are not taken and not counted, such as a command's own outputs.
      ignored_folder: a folder that is not counted where folders below are.
    """
    left_out = LeftOut()
    paths = sorted(_walk(folder, tuple(extensions), recursive, tuple(ignored), left_out))
    if ignored_folder is not None and left_out.folders_below and _holds(folder, ignored_folder):
        left_out.folders_below -= 1
    return Listing(tuple(paths), left_out)


def _walk(
    top: str, extensions: tuple[str, ...], recursive: bool, ignored: tuple, left_out: LeftOut
) -> Iterator[str]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as scanned:
                entries = list(scanned)
        except OSError as error:
            left_out.unreadable.append((folder, error.strerror or str(error)))
            continue
        for entry in entries:
            if _is_folder(entry):
                if entry.is_symlink():
                    left_out.linked_folders += 1
                elif recursive:
                    waiting.append(entry.path)
                else:
                    left_out.folders_below += 1
            elif entry.name.startswith("._"):
                left_out.companions += 1
            elif _is_special(entry):
                left_out.special += 1
            elif entry.name.lower().endswith(extensions):
                yield entry.path
            elif not entry.name.lower().endswith(ignored or ("/",)):
                left_out.kinds[extension(entry.name)] += 1


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_special(entry: os.DirEntry) -> bool:
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link to nothing, or a folder whose files may not be looked at
        return False


def _holds(folder: str, below: str) -> bool:
    return os.path.realpath(os.path.dirname(os.path.abspath(below))) == os.path.realpath(folder)


def _many(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what.replace(' or ', 's or ')}s"


def _shown(kind: str) -> str:
    if not kind:
        return "no ending"
    return kind if kind.isprintable() and len(kind) <= 12 else "odd"
