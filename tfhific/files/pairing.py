"""Which outputs a folder's files have, and which of them are to be made: pure rules over lists.

Nothing here looks at a disk, so that one machine's list can be dealt out to several. Paths are
relative to a folder, of the sources or of the outputs.

**Names.** A file's output has its name with another ending: `a.jpg` gives `a.tfh`. Files that
would share an output keep their own ending in it, every one of them: `1.jpg` and `1.webp` give
`1.jpg.tfh` and `1.webp.tfh`, and these give `1.jpg.png` and `1.webp.png`. So does a file that is
called like such an output: `1.jpg.png` gives `1.jpg.png.tfh`. A name follows from the list of names
alone, not from their order or from what was made before; and a file that comes later never gets the
name of an output that was made without it. Upper and lower case count as equal, since they are on
many disks.

**Skipping.** An output that is there is not made again, unless its source was changed later.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of a folder.

    Attributes:
      path: relative to the folder.
      modified: when it was, nanoseconds since 1970; None where that is not known.
    """

    path: str
    modified: int | None = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source and its output.

    Attributes:
      source: path relative to the folder of the sources.
      output: path relative to the folder of the outputs.
      state: "new": to be made; "done": there already; "outdated": there, but made before the source
        was changed.
    """

    source: str
    output: str
    state: str


def output_names(paths: Sequence[str], *, extensions: Sequence[str], suffix: str) -> dict[str, str]:
    """The output of each file, no two alike.

    Args:
      paths: all files that are taken of a folder, relative to it.
      extensions: that they end in, in lower case, with the dot.
      suffix: of the outputs, with the dot.
    """
    stems = {path: os.path.splitext(path)[0] for path in paths}
    shared = collections.Counter(stem.casefold() for stem in stems.values())
    return {
        path: (path if _ambiguous(stem.casefold(), shared, extensions) else stem) + suffix
        for path, stem in stems.items()
    }


def _ambiguous(stem: str, shared: Mapping[str, int], extensions: Sequence[str]) -> bool:
    return shared[stem] > 1 or stem.endswith(tuple(extensions))


def pair(
    sources: Sequence[Entry],
    present: Mapping[str, int | None],
    *,
    extensions: Sequence[str],
    suffix: str,
    overwrite: bool = False,
) -> list[Pair]:
    """Pairs sources with outputs, in the order of their paths.

    Args:
      sources: all files that are taken of a folder. A part of them would do for the states, but not
        for the names.
      present: files that are in the folder of the outputs, relative to it, with the time at which
        each was modified.
      extensions: as for `output_names`.
      suffix: of the outputs, with the dot.
      overwrite: make again what is there.
    """
    paths = [entry.path for entry in sources]
    names = output_names(paths, extensions=extensions, suffix=suffix)
    return [
        Pair(entry.path, names[entry.path], _state(entry, names[entry.path], present, overwrite))
        for entry in sorted(sources, key=lambda entry: entry.path)
    ]


def _state(source: Entry, output: str, present: Mapping[str, int | None], overwrite: bool) -> str:
    if overwrite or output not in present:
        return "new"
    made = present[output]
    if source.modified is None or made is None:
        return "done"
    return "outdated" if source.modified > made else "done"
