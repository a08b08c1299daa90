"""Batches of pictures of like sizes, made a few at a time however long the list is."""

from __future__ import annotations

import concurrent.futures
import io
import itertools
import struct
from collections.abc import Iterable, Iterator

from tfhific.bitstream import container
from tfhific.bulk.places import Place
from tfhific.bulk.plan import Task
from tfhific.errors import TfhificError
from tfhific.pictures.header import PNG_SIGNATURE, read_header

WINDOW = 512
"""How many pictures are looked at and grouped together."""

_START_BYTES = 1 << 16
_LIKE = 64


def batches(
    tasks: Iterable[Task], sources: Place, *, files: int, pixels: int, threads: int = 8
) -> Iterator[list[Task]]:
    """Batches of tasks whose pictures have about one size.

    A worker's networks are set up for a shape when they first meet it, and are ready for the next
    picture of that shape. Each picture is coded by itself all the same: sums of a batch might come
    out in another order, and its file would be another than the one that `compress` writes.

    Args:
      tasks: in any order; as many as `WINDOW` are looked at before the first batch is given. Where
        looking at one costs as much as reading it, they stay in their order.
      sources: where their files are.
      files: most of a batch.
      pixels: after so many in all a batch is full.
      threads: that look at files.
    """
    waiting = iter(tasks)
    if sources.start_costs_all:
        while batch := list(itertools.islice(waiting, files)):
            yield batch
        return
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        while window := list(itertools.islice(waiting, WINDOW)):
            sizes = pool.map(lambda task: _look(task, sources), window)
            yield from _grouped(list(zip(window, sizes)), files, pixels)


def _grouped(
    window: list[tuple[Task, tuple[int, int] | None]], files: int, pixels: int
) -> Iterator[list[Task]]:
    def like(size: tuple[int, int] | None) -> tuple[int, int]:
        return (0, 0) if size is None else (-(-size[0] // _LIKE), -(-size[1] // _LIKE))

    window.sort(key=lambda each: (like(each[1]), each[0].source))
    for _, group in itertools.groupby(window, key=lambda each: like(each[1])):
        batch: list[Task] = []
        held = 0
        for task, size in group:
            batch.append(task)
            held += size[0] * size[1] if size else 0
            if len(batch) >= files or held >= pixels:
                yield batch
                batch, held = [], 0
        if batch:
            yield batch


def _look(task: Task, sources: Place) -> tuple[int, int] | None:
    try:
        return size_of(sources.read(task.source, _START_BYTES))
    except TfhificError:
        return None  # a worker will say why


def size_of(start: bytes) -> tuple[int, int] | None:
    """Width and height that a file claims, None where they can't be told.

    Nothing is decoded, and no library in C reads here: a file that breaks one is to break a worker,
    which can be replaced.

    Args:
      start: the first bytes of a picture or a `.tfh` file.
    """
    try:
        if start.startswith(container.MAGIC):
            height, width = container.read_fields(container.Reader(start, len(start))).size
            return width, height
        if start.startswith(PNG_SIGNATURE):
            width, height = struct.unpack_from(">II", start, 16)
            return width, height
        if start[:3] == b"\xff\xd8\xff" or start[8:12] == b"WEBP":
            return read_header(io.BytesIO(start)).size
    except Exception:
        # Only batches depend on it, and the worker reads the file again, with all care.
        return None
    return None
