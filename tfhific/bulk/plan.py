"""What a job is to do: the rules of one machine's commands, and what the manifest knows beside.

Names and what is skipped follow from `tfhific.files.pairing`, as for every command. The manifest
adds what a listing can't tell: that an input failed and was not changed since, and of which version
of the input an output was made, whatever the clocks say.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from tfhific.bulk.places import Found, Place
from tfhific.bulk.rows import DONE, FAILED, Row
from tfhific.errors import TfhificError
from tfhific.files.listing import LeftOut
from tfhific.files.pairing import Entry, Pair, pair
from tfhific.files.planning import folder_problem, job_of, without_own_inputs


@dataclasses.dataclass(frozen=True)
class Task:
    """A picture to be worked on.

    Attributes:
      source: path, relative to the sources.
      destination: path, relative to the destination.
      found: of the source, when it was listed.
      kept: the output is there already and only its row is missing.
      again: it was tried before, in this job, so that its output may be there already.
    """

    source: str
    destination: str
    found: Found
    kept: bool = False
    again: bool = False


@dataclasses.dataclass(frozen=True)
class BulkPlan:
    """What a job is to do.

    Attributes:
      tasks: in the order of the sources' paths.
      skipped: how many are done already.
      failed_before: how many failed in an earlier job, and were not changed since.
      problems: why something can't be done, as it is known beforehand.
      left_out: what of the sources is not taken.
    """

    tasks: tuple[Task, ...]
    skipped: int
    failed_before: int
    problems: tuple[str, ...]
    left_out: LeftOut


def plan(
    sources: Place,
    destination: Place,
    present: Mapping[str, Found],
    rows: Mapping[str, Row],
    *,
    extensions: Sequence[str],
    suffix: str,
    ignored: Sequence[str],
    recursive: bool = False,
    overwrite: bool = False,
    retry: bool = False,
    limit: int | None = None,
    beside: Sequence[str | None] = (),
) -> BulkPlan:
    """Pairs sources with outputs.

    Args:
      sources: where the inputs are.
      destination: where the outputs go.
      present: the files that are there.
      rows: of the manifest, by source.
      extensions: of the files that are taken, in lower case, with the dot.
      suffix: of the outputs, with the dot.
      ignored: endings of files that are neither taken nor counted.
      recursive: also the folders below.
      overwrite: make again what is there.
      retry: try again what failed.
      limit: most tasks.
      beside: files and folders that are read beside the sources.

    Raises:
      TfhificError: no sources, or none that are taken.
    """
    taken, left_out = sources.taken(extensions, recursive, ignored)
    unreadable = [folder_problem(*each) for each in left_out.unreadable]
    if not taken:
        missing = sources.nothing(extensions, recursive, left_out)
        raise TfhificError(unreadable[0] if unreadable else missing)
    strange = [path for path in taken if not is_plain(path)]
    problems = unreadable + [_strange(sources.shown(path)) for path in strange]
    entries = [Entry(path, taken[path].modified) for path in taken if is_plain(path)]
    times = {path: found.modified for path, found in present.items()}
    pairs = pair(entries, times, extensions=extensions, suffix=suffix, overwrite=overwrite)
    together = sources.name == destination.name
    judged = []
    for each in pairs:
        known = _by_the_manifest(
            each, taken[each.source], present.get(each.output), rows.get(each.source)
        )
        job = job_of(
            known,
            sources.shown(each.source),
            destination.shown(each.output),
            suffix=suffix,
            together=together,
            is_folder=destination.is_folder(each.output),
        )
        judged.append(job)
    tasks: list[Task] = []
    skipped = failed_before = 0
    for each, job in zip(pairs, without_own_inputs(judged, beside)):
        found, row = taken[each.source], rows.get(each.source)
        if job.problem is not None:
            problems.append(job.problem)
        elif job.done and row is not None and row.status == DONE:
            skipped += 1
        elif job.done or row is None or row.status != FAILED or not _same(row, found):
            tasks.append(Task(each.source, each.output, found, kept=job.done))
        elif retry or overwrite:
            tasks.append(Task(each.source, each.output, found))
        else:
            failed_before += 1
    chosen = tuple(itertools.islice(tasks, limit))
    return BulkPlan(chosen, skipped, failed_before, tuple(problems), left_out)


def is_plain(path: str) -> bool:
    """Whether a path leads to below where it begins, on every system.

    Keys of object stores and names in archives are any text.
    """
    parts = path.split("/")
    return (
        all(part not in ("", ".", "..") for part in parts)
        and not any(character in path for character in "\\\0\r\n")
        and ":" not in parts[0]
        and _is_text(path)
    )


def _is_text(path: str) -> bool:
    # A name on a disk is any bytes; the manifest's are texts.
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _strange(shown: str) -> str:
    if not _is_text(shown):
        return f"{shown!r}: expected a name in UTF-8; rename the file or its folder."
    return f"{shown!r}: expected the name of a file below the sources, with / between folders."


def _same(row: Row, found: Found) -> bool:
    return (row.source_bytes, row.source_modified) == (found.bytes, found.modified)


def _by_the_manifest(each: Pair, found: Found, made: Found | None, row: Row | None) -> Pair:
    """The pair with what its row knows better than the times of files."""
    if each.state == "new" or row is None or row.status != DONE or made is None:
        return each
    whole = made.bytes is None or row.bytes is None or made.bytes == row.bytes
    same = _same(row, found) and row.destination == each.output
    return dataclasses.replace(each, state="done" if same and whole else "outdated")
