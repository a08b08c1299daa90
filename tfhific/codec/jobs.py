"""Which files a command turns into which, and the loop over them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from tfhific.errors import OutputError, TfhificError

IMAGE_EXTENSIONS = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Which files of a folder are taken for pictures."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to make.

    Attributes:
      source: path read, `-` for standard input.
      destination: path written, `-` for standard output.
      done: the destination stood there already when a folder was planned: left alone.
      outdated: it did, and the source has been changed since it was made.
      clash: another source has this destination; that source's path.
    """

    source: str
    destination: str
    done: bool = False
    clash: str | None = None
    outdated: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a command is to do.

    Attributes:
      jobs: in the order of the sources' paths.
      folder: whether the input was a folder.
    """

    jobs: tuple[Job, ...]
    folder: bool


def plan(
    source: str,
    output: str | None,
    *,
    extensions: Sequence[str],
    suffix: str,
    recursive: bool = False,
    overwrite: bool = False,
) -> Plan:
    """Pairs inputs with outputs.

    Args:
      source: a file, a folder, or `-`.
      output: a file, a folder (where `source` is one, or it exists), `-`, or None for the
        source's place with another suffix.
      extensions: in lower case, with the dot; which files of a folder are taken.
      suffix: of outputs whose name is not given.
      recursive: also the folders below; the outputs keep their relative places.
      overwrite: redo what is there already.

    Raises:
      TfhificError: when the source is missing, or a folder without such files.
      OutputError: when the output can't be what the input asks for.
    """
    if source == "-":
        return Plan((Job(source, output or "-"),), folder=False)
    if not os.path.isdir(source):
        if not os.path.exists(source):
            raise TfhificError(f"{source}: no such file or folder.")
        if output is None:
            output = os.path.splitext(source)[0] + suffix
        elif output != "-" and (os.path.isdir(output) or output.endswith(("/", os.sep))):
            name = os.path.splitext(os.path.basename(source))[0] + suffix
            output = os.path.join(output, name)
        return Plan((Job(source, output),), folder=False)
    if output == "-":
        raise OutputError(f"{source} is a folder: its outputs can't all go to standard output.")
    if output is not None and os.path.exists(output) and not os.path.isdir(output):
        raise OutputError(f"{output}: expected a folder, because {source} is one; it is a file.")
    found = sorted(_files(source, extensions, recursive))
    if not found:
        below = "" if recursive else " (folders below it are searched with --recursive)"
        raise TfhificError(
            f"{source}: no files that end in {', '.join(extensions)} in this folder{below}."
        )
    taken: dict[str, str] = {}
    jobs = []
    for path in found:
        relative = os.path.splitext(os.path.relpath(path, source))[0] + suffix
        destination = os.path.join(source if output is None else output, relative)
        clash = taken.get(destination)
        taken.setdefault(destination, path)
        done = os.path.exists(destination) and not overwrite
        jobs.append(
            Job(
                path,
                destination,
                done=done and clash is None,
                clash=clash,
                outdated=done and _newer(path, destination),
            )
        )
    return Plan(tuple(jobs), folder=True)


def _newer(source: str, destination: str) -> bool:
    try:
        return os.stat(source).st_mtime_ns > os.stat(destination).st_mtime_ns
    except OSError:
        return False


def _files(folder: str, extensions: Sequence[str], recursive: bool) -> Iterable[str]:
    for here, below, names in os.walk(folder):
        below.sort()
        for name in names:
            if name.lower().endswith(tuple(extensions)):
                yield os.path.join(here, name)
        if not recursive:
            break


def run(
    planned: Plan,
    work: Callable[[Job], dict],
    *,
    report: Callable[[dict], None],
    complain: Callable[[str], None],
    progress: bool,
) -> int:
    """Does every job; one that fails is reported and the rest still done.

    Args:
      planned: the plan.
      work: makes one file and returns its facts; raises TfhificError.
      report: takes the facts of each file, or `input`, `output` and `error` or `skipped`.
      complain: takes a message for each failure.
      progress: show a progress bar on standard error.

    Returns:
      How many failed.
    """
    from tqdm import tqdm

    failures = 0
    bar = tqdm(planned.jobs, unit="file", disable=not progress, leave=False)
    for job in bar:
        facts = {"input": job.source, "output": job.destination}
        try:
            if job.clash is not None:
                raise OutputError(
                    f"{job.source}: its output {job.destination} is that of {job.clash} too; "
                    "rename one of them."
                )
            if job.outdated:
                raise OutputError(
                    f"{job.source}: was changed after {job.destination} was made; --overwrite "
                    "makes it again."
                )
            if job.done:
                facts["skipped"] = "the output is there already"
            else:
                folder = os.path.dirname(job.destination)
                if planned.folder and folder:
                    ensure_folder(folder)
                facts.update(work(job))
        except TfhificError as error:
            failures += 1
            facts["error"] = str(error)
            with tqdm.external_write_mode():
                complain(str(error))
        with tqdm.external_write_mode():
            report(facts)
    return failures


@contextlib.contextmanager
def unchanged(source: str) -> Iterator[None]:
    """Watches an input while it is read and worked on.

    Raises:
      TfhificError: at the end, when the file was changed meanwhile.
    """

    def state() -> tuple | None:
        try:
            found = os.stat(source)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    before = None if source == "-" else state()
    yield
    if before is not None and state() != before:
        raise TfhificError(f"{source}: was changed while it was worked on; nothing was written.")


def ensure_folder(folder: str) -> None:
    """Makes a folder and those above it.

    Raises:
      OutputError: when that can't be done.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't make this folder ({error.strerror}). Name another output."
        ) from None


def read_bytes(source: str) -> bytes:
    """A file's bytes, or standard input's for `-`.

    Raises:
      TfhificError: when it can't be read.
    """
    import sys

    try:
        if source == "-":
            if sys.stdin is None:
                raise TfhificError(
                    "standard input is closed: name a file, or send one in (< FILE)."
                )
            return sys.stdin.buffer.read()
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        raise TfhificError(f"{source}: can't be read ({error.strerror}).") from None
