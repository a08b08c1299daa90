"""Which files a command turns into which, and the loop over them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence

from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS
from tfhific.files.listing import LeftOut, list_folder
from tfhific.files.own_inputs import identity, own_input_message, refuse_own_input
from tfhific.files.pairing import Entry, Pair, output_names, pair

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


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to make.

    Attributes:
      source: path read, `-` for standard input.
      destination: path written, `-` for standard output.
      done: the destination stood there already when a folder was planned: left alone.
      problem: why it can't be made, in words for the user.
    """

    source: str
    destination: str
    done: bool = False
    problem: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a command is to do.

    Attributes:
      jobs: in the order of the sources' paths.
      folder: whether the input was a folder.
      left_out: what of it is not taken.
    """

    jobs: tuple[Job, ...]
    folder: bool
    left_out: LeftOut = dataclasses.field(default_factory=LeftOut)

    @property
    def problems(self) -> list[str]:
        """Why something can't be done, as it is known beforehand."""
        found = [folder_problem(*each) for each in self.left_out.unreadable]
        return found + [job.problem for job in self.jobs if job.problem is not None]

    @property
    def to_do(self) -> list[Job]:
        """The jobs that are to be worked on."""
        return [job for job in self.jobs if not job.done and job.problem is None]


def folder_problem(folder: str, reason: str) -> str:
    """Says that a folder can't be read."""
    return f"{folder}: this folder can't be read ({reason})."


@dataclasses.dataclass
class Tally:
    """How many files of a plan were made, were left as they are, and failed."""

    done: int = 0
    skipped: int = 0
    failed: int = 0


def plan(
    source: str,
    output: str | None,
    *,
    extensions: Sequence[str],
    suffix: str,
    recursive: bool = False,
    overwrite: bool = False,
    beside: Sequence[str | None] = (),
    check_name: Callable[[str], None] = lambda name: None,
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
      beside: files and folders that are read beside the source.
      check_name: is given the name of an output file, where that is not made up here, and raises
        OutputError.

    Raises:
      TfhificError: when the source is missing, or a folder without such files.
      OutputError: when the output can't be what the input asks for: it is there already, or is an
        input itself.
    """
    if source != "-" and os.path.isdir(source):
        return _plan_folder(
            source,
            output,
            extensions=extensions,
            suffix=suffix,
            recursive=recursive,
            overwrite=overwrite,
            beside=beside,
        )
    if source != "-" and not os.path.exists(source):
        raise TfhificError(f"{source}: no such file or folder.")
    named = output is not None
    if output is None:
        output = "-" if source == "-" else os.path.splitext(source)[0] + suffix
    elif source != "-" and (os.path.isdir(output) or output.endswith(("/", os.sep))):
        name = os.path.splitext(os.path.basename(source))[0] + suffix
        output = os.path.join(output, name)
    else:
        check_name(output)
    refuse_own_input(output, (source, *beside))
    if output != "-" and not overwrite and os.path.isfile(output):
        raise OutputError(_there_already(output, suffix, named))
    return Plan((Job(source, output),), folder=False)


def _there_already(output: str, suffix: str, named: bool) -> str:
    if suffix == CODED_EXTENSION:
        return f"{output}: is there already; name another output, or replace it with --overwrite."
    # What stands beside a .tfh file under its name is as likely the picture that it was made from.
    text = f"{output}: is there already, and may be the original; name another output"
    return f"{text}, or replace it with --overwrite." if named else f"{text}."


def _plan_folder(
    source: str,
    output: str | None,
    *,
    extensions: Sequence[str],
    suffix: str,
    recursive: bool,
    overwrite: bool,
    beside: Sequence[str | None],
) -> Plan:
    if output == "-":
        raise OutputError(f"{source} is a folder: its outputs can't all go to standard output.")
    if output is not None and os.path.exists(output) and not os.path.isdir(output):
        raise OutputError(f"{output}: expected a folder, because {source} is one; it is a file.")
    target = source if output is None else output
    ignored = (suffix,) if suffix == CODED_EXTENSION else IMAGE_EXTENSIONS
    listing = list_folder(
        source, extensions, recursive=recursive, ignored=ignored, ignored_folder=target
    )
    unreadable = dict(listing.left_out.unreadable)
    if source in unreadable:
        raise TfhificError(folder_problem(source, unreadable[source]))
    if not listing.paths:
        what = listing.left_out.line()
        hint = "" if recursive else " (folders below it are searched with --recursive)"
        raise TfhificError(
            f"{source}: no files that end in {', '.join(extensions)} in this folder{hint}"
            + (f"; it has {what}." if what else ".")
        )
    sources = [Entry(os.path.relpath(p, source), _modified(p)) for p in listing.paths]
    jobs = [
        _job(source, target, each, suffix, overwrite)
        for each in _pairs(sources, target, extensions, suffix, overwrite)
    ]
    return Plan(_without_own_inputs(jobs, beside), folder=True, left_out=listing.left_out)


def _pairs(
    sources: list[Entry], target: str, extensions: Sequence[str], suffix: str, overwrite: bool
) -> list[Pair]:
    paths = [entry.path for entry in sources]
    names = output_names(paths, extensions=extensions, suffix=suffix)
    places = {name: os.path.join(target, name) for name in names.values()}
    present = {name: _modified(at) for name, at in places.items() if os.path.exists(at)}
    return pair(sources, present, extensions=extensions, suffix=suffix, overwrite=overwrite)


def _job(source: str, target: str, each: Pair, suffix: str, overwrite: bool) -> Job:
    job = Job(os.path.join(source, each.source), os.path.join(target, each.output))
    if os.path.isdir(job.destination):
        problem = f"{job.source}: its output {job.destination} is a folder; move that away."
        return dataclasses.replace(job, problem=problem)
    if each.state == "outdated":
        if suffix != CODED_EXTENSION and os.path.realpath(source) == os.path.realpath(target):
            problem = (
                f"{job.source}: {job.destination} is there already, and may be the original; "
                "name another output folder."
            )
        else:
            problem = (
                f"{job.source}: was changed after {job.destination} was made; --overwrite makes "
                "it again."
            )
        return dataclasses.replace(job, problem=problem)
    return dataclasses.replace(job, done=each.state == "done")


def _without_own_inputs(jobs: list[Job], beside: Sequence[str | None]) -> tuple[Job, ...]:
    """The same jobs; those that would write over an input have that as their problem."""
    threatened = [job for job in jobs if not job.done and os.path.exists(job.destination)]
    if not threatened:
        return tuple(jobs)
    sources = {identity(job.source): job.source for job in jobs}
    problems = {}
    for job in threatened:
        written = identity(job.destination)
        if written is not None and written in sources:
            problems[job] = own_input_message(job.destination, sources[written])
        else:
            try:
                refuse_own_input(job.destination, beside)
            except OutputError as error:
                problems[job] = str(error)
    return tuple(
        dataclasses.replace(job, problem=problems[job]) if job in problems else job for job in jobs
    )


def _modified(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


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
