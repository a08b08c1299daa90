"""Which files a command makes of which."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Sequence

from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS, extension
from tfhific.files.listing import LeftOut, list_folder
from tfhific.files.own_inputs import identity, own_input_message, refuse_own_input
from tfhific.files.pairing import Entry, Pair, output_names, pair


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
      folder: whether the outputs go to a folder, which is made where it is missing.
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


def nothing_to_do(
    source: str, extensions: Sequence[str], recursive: bool, left_out: LeftOut
) -> str:
    """Says that no file of a folder is taken.

    Args:
      source: the folder.
      extensions: that are taken.
      recursive: whether the folders below were searched.
      left_out: what is there instead.
    """
    what = left_out.line()
    hint = "" if recursive else " (folders below it are searched with `recursive`)"
    return f"{source}: no files that end in {', '.join(extensions)} in this folder{hint}" + (
        f"; it has {what}." if what else "."
    )


def folder_problem(folder: str, reason: str) -> str:
    """Says that a folder can't be read."""
    return f"{folder}: this folder can't be read ({reason})."


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
        return f"{output}: is there already; name another output, or replace it with `overwrite`."
    # What stands beside a .tfh file under its name is as likely the picture that it was made from.
    text = f"{output}: is there already, and may be the original; name another output"
    return f"{text}, or replace it with `overwrite`." if named else f"{text}."


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
        raise TfhificError(nothing_to_do(source, extensions, recursive, listing.left_out))
    sources = [Entry(os.path.relpath(p, source), _modified(p)) for p in listing.paths]
    jobs = [
        _job(os.path.join(source, each.source), os.path.join(target, each.output), each, suffix)
        for each in _pairs(sources, target, extensions, suffix, overwrite)
    ]
    return Plan(without_own_inputs(jobs, beside), folder=True, left_out=listing.left_out)


def takes_folder(sources: Sequence[str], output: str, endings: Sequence[str]) -> bool:
    """Whether files that go to an output that was named apart from them go into a folder.

    A shell's pattern may fit one file or many, and what it is to become must not depend on that. So
    an output is a folder not only where it is one already and where there are several inputs, but
    also where it ends in a slash, and where it is new and has no ending.

    Args:
      sources: what is read.
      output: as it was given.
      endings: of the files that the command reads and writes, in lower case, with the dot.

    Raises:
      OutputError: several inputs, and an output that is a file, or called like one.
    """
    if output == "-":
        if len(sources) > 1:
            raise OutputError(
                f"{len(sources)} inputs can't all go to standard output: `out=FOLDER/`"
            )
        return False
    if os.path.isdir(output) or output.endswith(("/", os.sep)):
        return True
    exists = os.path.lexists(output)
    if len(sources) > 1 and (exists or extension(output) in endings):
        what = "it is there, and no folder" if exists else "it is called like a file"
        raise OutputError(
            f"{output}: expected a folder, because there are {len(sources)} inputs; {what}. "
            "Name a folder: `out=FOLDER/`"
        )
    return len(sources) > 1 or (not exists and not extension(output))


def plan_several(
    sources: Sequence[str],
    folder: str,
    *,
    extensions: Sequence[str],
    suffix: str,
    overwrite: bool = False,
    beside: Sequence[str | None] = (),
) -> Plan:
    """Pairs files, from wherever they are, with outputs in one folder.

    Outputs are named as those of a folder that holds these files, and skipped likewise. A file that
    is named twice counts once.

    Args:
      sources: files; one that is missing, or a folder, is that job's problem alone.
      folder: of the outputs.
      extensions: that output names are told from, in lower case, with the dot.
      suffix: of the outputs.
      overwrite: redo what is there already.
      beside: files and folders that are read beside the sources.

    Raises:
      TfhificError: standard input among several, or two files of one name.
    """
    if "-" in sources:
        raise TfhificError(
            "- is standard input, which has no name: give it alone, with `out=FILE`."
        )
    by_place = {os.path.abspath(source): source for source in reversed(sources)}
    given = [source for source in dict.fromkeys(sources) if source in set(by_place.values())]
    named = collections.defaultdict(list)
    for source in given:
        named[os.path.basename(os.path.normpath(source))].append(source)
    for name, same in named.items():
        if len(same) > 1:
            raise TfhificError(
                f"{' and '.join(same)} are both called {name}, and would have one output in "
                f"{folder}: give them apart, with a folder for each."
            )
    files = {name: same[0] for name, same in named.items() if os.path.isfile(same[0])}
    entries = [Entry(name, _modified(source)) for name, source in files.items()]
    jobs = {
        files[each.source]: _job(
            files[each.source], os.path.join(folder, each.output), each, suffix
        )
        for each in _pairs(entries, folder, extensions, suffix, overwrite)
    }
    for source in given:
        if source not in jobs:
            jobs[source] = Job(source, folder, problem=_no_file(source))
    return Plan(without_own_inputs([jobs[source] for source in given], beside), folder=True)


def _no_file(source: str) -> str:
    if os.path.isdir(source):
        return f"{source}: expected a file, because several may be given; give a folder alone."
    if os.path.exists(source):
        return f"{source}: expected a regular file, whose name its output gets: `out=FILE`."
    return f"{source}: no such file or folder."


def _pairs(
    sources: list[Entry], target: str, extensions: Sequence[str], suffix: str, overwrite: bool
) -> list[Pair]:
    paths = [entry.path for entry in sources]
    names = output_names(paths, extensions=extensions, suffix=suffix)
    places = {name: os.path.join(target, name) for name in names.values()}
    present = {name: _modified(at) for name, at in places.items() if os.path.exists(at)}
    return pair(sources, present, extensions=extensions, suffix=suffix, overwrite=overwrite)


def job_of(
    each: Pair, source: str, destination: str, *, suffix: str, together: bool, is_folder: bool
) -> Job:
    """The job of a pair, with what keeps it from being done.

    Args:
      each: as `pair` made it.
      source: what is read, as messages name it.
      destination: what is written, likewise.
      suffix: of the outputs, with the dot.
      together: whether sources and outputs lie in one folder.
      is_folder: whether a folder has the output's name.
    """
    job = Job(source, destination)
    if is_folder:
        problem = f"{source}: its output {destination} is a folder; move that away."
        return dataclasses.replace(job, problem=problem)
    if each.state == "outdated":
        if suffix != CODED_EXTENSION and together:
            problem = (
                f"{source}: {destination} is there already, and may be the original; "
                "name another output folder."
            )
        else:
            problem = (
                f"{source}: was changed after {destination} was made; `overwrite` makes it again."
            )
        return dataclasses.replace(job, problem=problem)
    return dataclasses.replace(job, done=each.state == "done")


def _job(source: str, destination: str, each: Pair, suffix: str) -> Job:
    return job_of(
        each,
        source,
        destination,
        suffix=suffix,
        together=_beside(source, destination),
        is_folder=os.path.isdir(destination),
    )


def _beside(source: str, destination: str) -> bool:
    folders = (os.path.realpath(os.path.dirname(os.path.abspath(p))) for p in (source, destination))
    return len(set(folders)) == 1


def without_own_inputs(jobs: Sequence[Job], beside: Sequence[str | None]) -> tuple[Job, ...]:
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
