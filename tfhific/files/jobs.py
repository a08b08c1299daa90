"""The loop over a plan's files, and what is done around the work on each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import sys
from collections.abc import Callable, Iterator

from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import IMAGE_EXTENSIONS
from tfhific.files.own_inputs import identity
from tfhific.files.planning import Job, Plan, folder_problem, plan

__all__ = [
    "IMAGE_EXTENSIONS",
    "Job",
    "Plan",
    "Tally",
    "ensure_folder",
    "not_older",
    "plan",
    "read_bytes",
    "run",
    "unchanged",
]


@dataclasses.dataclass
class Tally:
    """How many files of a plan were made, were left as they are, and failed."""

    done: int = 0
    skipped: int = 0
    failed: int = 0


def run(
    planned: Plan,
    work: Callable[[Job], dict],
    *,
    report: Callable[[dict], None],
    complain: Callable[[str], None],
    progress: bool,
) -> Tally:
    """Does every job; one that fails is reported and the rest still done.

    A folder below that can't be read counts as a failure: what is in it did not go through.

    Args:
      planned: the plan.
      work: makes one file and returns its facts; raises TfhificError.
      report: takes the facts of each file, or `input`, `output` and `error` or `skipped`.
      complain: takes a message for each failure.
      progress: show a progress bar on standard error.
    """
    from tqdm import tqdm

    tally = Tally()
    made = Made()
    for folder, reason in planned.left_out.unreadable:
        tally.failed += 1
        complain(folder_problem(folder, reason))
    bar = tqdm(planned.jobs, unit="file", disable=not progress, leave=False)
    for job in bar:
        facts = {"input": job.source, "output": job.destination}
        try:
            if job.problem is not None:
                raise OutputError(job.problem)
            if job.done:
                tally.skipped += 1
                facts["skipped"] = "the output is there already"
            else:
                folder = os.path.dirname(job.destination)
                if planned.folder and folder:
                    ensure_folder(folder)
                made.refuse_again(job)
                facts.update(work(job))
                made.note(job)
                tally.done += 1
        except TfhificError as error:
            tally.failed += 1
            facts["error"] = str(error)
            with tqdm.external_write_mode():
                complain(str(error))
        with tqdm.external_write_mode():
            report(facts)
    return tally


class Made:
    """The outputs that a command has made so far.

    Two names may be one file: on a disk that does not tell upper from lower case, or by a link.
    """

    def __init__(self) -> None:
        self._by_identity: dict = {}

    def refuse_again(self, job: Job) -> None:
        """Fails where a job would replace what another one made.

        Raises:
          OutputError: its destination is that of a job before.
        """
        before = self._by_identity.get(identity(job.destination, standard_stream=1))
        if before is not None:
            raise OutputError(
                f"{job.source}: its output {job.destination} is, in this folder, that of {before} "
                "too; rename one of them."
            )

    def note(self, job: Job) -> None:
        """Remembers a job that was done, and makes its output no older than its source."""
        not_older(job.source, job.destination)
        written = None if job.destination == "-" else identity(job.destination)
        if written is not None:
            self._by_identity[written] = job.source


def not_older(source: str, destination: str) -> None:
    """Gives an output its source's time where that is later than its own.

    A source may be dated in the future, and the clock of the outputs' disk may be behind or coarse;
    such a source would count as changed after its output was made, for ever.
    """
    if "-" in (source, destination):
        return
    with contextlib.suppress(OSError):
        wanted, found = os.stat(source), os.stat(destination)
        # Some disks keep seconds, FAT even ones: what is cut off there is added.
        for time in (wanted.st_mtime_ns, wanted.st_mtime_ns + 2 * 10**9):
            regular = stat.S_ISREG(wanted.st_mode) and stat.S_ISREG(found.st_mode)
            if not regular or found.st_mtime_ns >= wanted.st_mtime_ns:
                return
            os.utime(destination, ns=(found.st_atime_ns, time))
            found = os.stat(destination)


@contextlib.contextmanager
def unchanged(source: str) -> Iterator[None]:
    """Watches an input while it is read and worked on; a pipe can't be watched.

    Raises:
      TfhificError: at the end, when the file was changed meanwhile.
    """

    def state() -> tuple | None:
        try:
            found = os.stat(source)
        except OSError:
            return None
        # A pipe changes as it is read.
        if not stat.S_ISREG(found.st_mode):
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
