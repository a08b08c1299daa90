"""What a worker does with a batch. Nothing here knows of Ray.

Each picture goes through the calls that `compress` and `decompress` make, and so gives their bytes.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import io
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfhific.bulk.places import Place
from tfhific.bulk.plan import Task
from tfhific.bulk.rows import DONE, FAILED, Row
from tfhific.errors import TfhificError, named

if TYPE_CHECKING:
    from tfhific.codec.base import Codec


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all workers of a job are told.

    Attributes:
      command: `compress` or `decompress`.
      sources: where the inputs are.
      destination: where the outputs go.
      model: name or folder; None for whichever fits, of `decompress`.
      quality: of `compress`; None for the model's own.
      options: of `tfhific.load`.
      overwrite: replace outputs that are there.
      strip: leave out the ICC profile and EXIF.
      verify: decode each output again and compare before it is written.
      variables: of the environment, set before anything is imported.
    """

    command: str
    sources: Place
    destination: Place
    model: str | None
    quality: float | None
    options: dict[str, Any]
    overwrite: bool = False
    strip: bool = False
    verify: bool = False
    variables: dict[str, str] = dataclasses.field(default_factory=dict)


class _Named(io.BytesIO):
    """A file's bytes under the name that messages are to call it by."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclasses.dataclass(frozen=True)
class _Made:
    """An output before it is written, and what its row says of it."""

    data: bytes
    facts: dict[str, Any]


class Work:
    """Holds the model and works on batches."""

    def __init__(self, settings: Settings) -> None:
        """Loads the model.

        Raises:
          TfhificError: there is none, or it can't be run.
        """
        os.environ.update(settings.variables)
        from tfhific.pillow import Codecs

        self._settings = settings
        self._max_pixels: int = settings.options["max_pixels"]
        self._codecs = Codecs(**settings.options)
        model = settings.model
        self._codec: Codec | None = None if model is None else self._codecs.named(model)

    @property
    def fingerprint(self) -> str:
        """The model's, in hexadecimal; empty where it is whichever fits."""
        return "" if self._codec is None else self._codec.fingerprint.hex()

    def batch(self, tasks: Sequence[Task]) -> list[Row]:
        """Works on pictures; what fails has a row that says why.

        The next input is read, and the output before written, meanwhile.
        """
        rows = []
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            reads = _ahead(pool, self._read, tasks)
            writing: concurrent.futures.Future[Row] | None = None
            for task, read in zip(tasks, reads):
                made = _tried(task, functools.partial(self._make, task, read))
                if writing is not None:
                    rows.append(writing.result())
                writing = pool.submit(self._finish, task, made)
            if writing is not None:
                rows.append(writing.result())
        return rows

    def _read(self, task: Task) -> bytes | Row:
        place, path = self._settings.sources, task.source
        if task.kept:
            place, path = self._settings.destination, task.destination
        else:
            most = 8 * self._max_pixels + (1 << 26)
            if task.found.bytes is not None and task.found.bytes > most:
                return failed(
                    task,
                    f"{place.shown(path)}: expected at most {most} bytes, received "
                    f"{task.found.bytes}; shrink the picture or raise `max_pixels`",
                )
        return _tried(task, lambda: place.read(path))

    def _make(self, task: Task, read: concurrent.futures.Future[bytes | Row]) -> _Made | Row:
        data = read.result()
        if isinstance(data, Row):
            return data
        if task.kept:
            return self._kept(task, data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started = time.perf_counter()
            if self._settings.command == "compress":
                output, facts = self._compress(task, data)
            else:
                output, facts = self._decompress(task, data)
        seconds = round(time.perf_counter() - started, 4)
        return _Made(output, {**facts, "seconds": seconds})

    def _compress(self, task: Task, data: bytes) -> tuple[bytes, dict[str, Any]]:
        from tfhific.pictures.images import read_picture

        shown, codec = self._settings.sources.shown(task.source), self._codec
        if codec is None:
            raise TfhificError("Expected a model to compress with.")
        picture = read_picture(_Named(data, shown), self._max_pixels)
        if self._settings.strip:
            picture = picture.stripped()
        with named(shown):
            output = codec.compress_picture(picture, self._settings.quality)
            if self._settings.verify:
                codec.verify(output, picture)
        return output, _facts_of(output, self._max_pixels, codec)

    def _decompress(self, task: Task, data: bytes) -> tuple[bytes, dict[str, Any]]:
        from tfhific.pictures.images import encode_png

        shown = self._settings.sources.shown(task.source)
        with named(shown):
            codec = self._codec or self._codecs.of_file(data)
            picture = codec.decompress_picture(data)
        output = encode_png(picture)
        if self._settings.verify:
            _verify_png(output, picture, shown)
        return output, _facts_of(data, self._max_pixels, codec)

    def _kept(self, task: Task, output: bytes) -> _Made:
        """What can be told of an output that was there; whether it is whole is looked at."""
        shown = self._settings.destination.shown(task.destination)
        if self._settings.command == "compress":
            with named(shown):
                return _Made(output, _facts_of(output, self._max_pixels))
        from tfhific.pictures.images import read_picture

        height, width = read_picture(_Named(output, shown), self._max_pixels).pixels.shape[:2]
        return _Made(output, {"width": width, "height": height})

    def _finish(self, task: Task, made: _Made | Row) -> Row:
        if isinstance(made, Row):
            return made
        return _tried(task, lambda: self._write(task, made))

    def _write(self, task: Task, made: _Made) -> Row:
        settings = self._settings
        if not task.kept:
            try:
                settings.destination.write(task.destination, made.data, settings.overwrite)
            except TfhificError:
                # A worker that died may have written it: these bytes, and no others.
                if not task.again or _read_or_none(settings, task) != made.data:
                    raise
            settings.destination.settle(task.destination, settings.sources, task.source)
        return Row(
            task.source,
            task.destination,
            DONE,
            task.found.bytes,
            task.found.modified,
            bytes=len(made.data),
            checksum=hashlib.sha256(made.data).hexdigest(),
            **made.facts,
        )


def _ahead(
    pool: concurrent.futures.Executor, read: Callable[[Task], Any], tasks: Sequence[Task]
) -> Iterator[concurrent.futures.Future[Any]]:
    """The results of reading, the next of which is begun when one is asked for."""
    upcoming = pool.submit(read, tasks[0]) if tasks else None
    for following in [*tasks[1:], None]:
        current = upcoming
        upcoming = None if following is None else pool.submit(read, following)
        if current is not None:
            yield current


def _tried(task: Task, work: Callable[[], Any]) -> Any:
    """What `work` gives, or a row that says why it failed."""
    try:
        return work()
    except TfhificError as error:
        return failed(task, str(error))
    except MemoryError:
        return failed(task, f"{task.source}: not enough memory")
    except Exception as error:
        # Whatever one picture meets, the others go on; the kind of error helps to find it.
        said = " ".join(str(error).split())[:300]
        return failed(task, f"{task.source}: {type(error).__name__}: {said}")


def failed(task: Task, reason: str) -> Row:
    """The row of a picture that could not be worked on.

    Args:
      task: the picture.
      reason: why, which is put on one line.
    """
    return Row(
        task.source,
        task.destination,
        FAILED,
        task.found.bytes,
        task.found.modified,
        error=" ".join(reason.split()) or "unknown",
    )


def _facts_of(coded: bytes, max_pixels: int, codec: Codec | None = None) -> dict[str, Any]:
    from tfhific.bitstream import container

    contents = container.unpack(coded, max_pixels)
    height, width = contents.size
    return {
        "width": width,
        "height": height,
        "bits_per_pixel": 8 * len(coded) / (width * height),
        "quality": contents.quality if codec is None else codec.quality_of(coded),
        "model": contents.fingerprint.hex(),
    }


def _verify_png(output: bytes, picture: Any, shown: str) -> None:
    import numpy as np

    from tfhific.pictures.images import read_picture

    if not np.array_equal(read_picture(output).pixels, picture.pixels):
        raise TfhificError(f"{shown}: the PNG does not hold what was decoded; not written.")


def _read_or_none(settings: Settings, task: Task) -> bytes | None:
    try:
        return settings.destination.read(task.destination)
    except TfhificError:
        return None
