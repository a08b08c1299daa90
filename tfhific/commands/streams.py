"""Standard input, output and error of a command, whatever the shell made of them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


class Lines:
    """A text stream that a command goes on without when nobody takes its lines any more.

    The files that a command makes matter more than the lines that tell of them.

    Attributes:
      error: the first failure; what came after it was dropped. None while all is well.
    """

    def __init__(self, stream) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Writes, or drops, a text; returns its length."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self.error = error
        return len(text)

    def flush(self) -> None:
        """Hands on what is held back; a failure is kept in `error`."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def secure() -> None:
    """Makes the standard streams of this process safe to use; called first of all.

    Descriptors that were closed lead to nowhere: the next file that is opened would otherwise take
    the number of one, and receive what native libraries print. Names that the terminal's encoding
    has no letters for are shown with escapes.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for good)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            with contextlib.suppress(AttributeError, OSError):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, Lines(stream))


def finish() -> OSError | None:
    """Hands on what is left in the streams, and keeps Python from complaining at its end.

    Returns:
      Why lines of standard output are lost, None where none is or where their reader left.
    """
    lost = None
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, Lines):
            continue
        stream.flush()
        if stream.error is None:
            continue
        if stream is sys.stdout and not isinstance(stream.error, BrokenPipeError):
            lost = stream.error
        # What is left in Python's own buffer would fail once more.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return lost


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Keeps back what native libraries print on standard error; shows it if the block fails."""
    try:
        descriptor = sys.stderr.fileno()
        held = _held()
    except (AttributeError, ValueError, OSError):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(descriptor)
    os.dup2(held, descriptor)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.lseek(held, 0, os.SEEK_SET)
            while data := os.read(held, 1 << 16):
                os.write(kept, data)
        raise
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(held)


def _held() -> int:
    """A descriptor of an empty file that takes no room on a disk, where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("held")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
