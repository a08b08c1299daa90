"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Union

from tfhific.errors import OutputError

STANDARD_STREAM = "-"


Data = Union[bytes, Sequence[Union[bytes, memoryview]]]
"""A file's bytes, or its parts in order."""


def write_atomically(
    destination: str | os.PathLike[str], data: Data, overwrite: bool = False
) -> None:
    """Writes `data` so that no reader ever sees a part of it under the destination's name.

    The bytes go to a temporary file in the destination's folder, which is flushed to the disk
    and then given its name in one step. Where the system has files without a name, it is one of
    those, and a process killed at any moment leaves nothing behind. The file's permissions follow
    the process's umask. A symbolic link is followed: what it points to is replaced, the link stays.
    Devices and pipes (`/dev/null`, a FIFO) are written to directly, since a rename would replace
    them.

    Args:
      destination: path, or "-" for standard output.
      data: the whole content, or its parts in order; large ones are not joined in memory.
      overwrite: whether a file that is already there may be replaced. When false, a file that
        another process creates in the meantime is kept too.

    Raises:
      OutputError: the destination exists and `overwrite` is false, is a directory, lies in a
        missing folder, or the system refused the write (permissions, full disk, closed pipe).
    """
    name = os.fspath(destination)
    if name == STANDARD_STREAM:
        _write_standard_output(data)
        return
    with _system_errors_of(name):
        target = os.path.realpath(name)
        kind = _kind(target)
        if kind is not None and stat.S_ISDIR(kind):
            raise OutputError(
                f"cannot write {name!r}: expected a file name, received a directory; "
                "name a file inside it"
            )
        if kind is not None and not stat.S_ISREG(kind):
            with open(target, "wb", buffering=0) as stream:
                _write_all(stream.fileno(), data)
            return
        if kind is not None and not overwrite:
            raise _exists(name)
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):
            raise OutputError(
                f"cannot write {name!r}: expected an existing folder {folder!r}, found none; "
                "create it first"
            )
        _write_beside_and_move(target, folder, name, data, overwrite)


def _write_beside_and_move(
    target: str, folder: str, name: str, data: Data, overwrite: bool
) -> None:
    # The name is short and independent of the target's, which may use all 255 bytes allowed.
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    if _write_nameless(temporary, target, folder, name, data, overwrite):
        _flush_folder(folder)
        return
    # os.open applies the umask to the mode itself; reading the umask would mean setting it,
    # which other threads would see.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if overwrite:
            os.replace(temporary, target)
        else:
            _move_unless_taken(temporary, target, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _write_nameless(
    temporary: str, target: str, folder: str, name: str, data: Data, overwrite: bool
) -> bool:
    """Writes through a file without a name (Linux); False where there is no such thing."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o666)
    except OSError:
        return False
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
        if not overwrite:
            try:
                _name(descriptor, target)
            except FileExistsError as error:
                raise _exists(name) from error
            except OSError:
                return False
            return True
        # Only a rename replaces, and it needs a name to start from: by now a whole file's.
        try:
            _name(descriptor, temporary)
        except OSError:
            return False
        try:
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return True
    finally:
        os.close(descriptor)


def _name(descriptor: int, path: str) -> None:
    # With a folder's descriptor given, though an absolute path does not need it, Python calls
    # linkat and has it follow the link that /proc shows; without one it calls link, which does not.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


def _move_unless_taken(temporary: str, target: str, name: str) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise _exists(name) from error
    except (OSError, NotImplementedError, AttributeError):
        # No hard links here (FAT, some network file systems). Creating the name exclusively
        # settles who owns it; replacing our own empty file then cannot take anyone else's.
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError as error:
            raise _exists(name) from error
        try:
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise
        return
    os.unlink(temporary)


def refuse_terminal() -> None:
    """Fails where standard output is a terminal: a file's bytes would only garble it.

    Raises:
      OutputError: it is one.
    """
    stream = sys.stdout
    if stream is not None and stream.isatty():
        raise OutputError(
            "cannot write standard output: it is a terminal, and these are no lines to read; "
            "send it into a file (> FILE) or a pipe, or name a file instead of -"
        )


def _write_standard_output(data: Data) -> None:
    refuse_terminal()
    with _system_errors_of("standard output"):
        if sys.stdout is None:
            raise OutputError("cannot write standard output: it is closed; name a file instead")
        try:
            sys.stdout.flush()
            descriptor = sys.stdout.fileno()
        except (AttributeError, ValueError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            descriptor = None
        if descriptor is None:  # replaced by an object without a descriptor, as tests do
            for part in _parts(data):
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        else:
            # Past Python's buffer: what a closed pipe leaves in it would raise again at exit.
            _write_all(descriptor, data)


def _parts(data: Data) -> Sequence:
    return [data] if isinstance(data, (bytes, bytearray, memoryview)) else data


def _write_all(descriptor: int, data: Data) -> None:
    for part in _parts(data):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _flush_folder(folder: str) -> None:
    # The new name itself reaches the disk with its folder. Not every system can open one, and
    # the file is complete either way.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _kind(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _exists(name: str) -> OutputError:
    return OutputError(
        f"cannot write {name!r}: it exists already; choose another name or allow overwriting"
    )


@contextlib.contextmanager
def _system_errors_of(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or str(error)
        shown = name if name == "standard output" else repr(name)
        raise OutputError(
            f"cannot write {shown}: {reason}; choose a place that can be written"
        ) from error
