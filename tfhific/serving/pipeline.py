"""Batches of files through a SavedModel, with reading and writing meanwhile."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterator, Sequence

from tfhific.errors import ModelError, TfhificError
from tfhific.files.atomic import write_atomically
from tfhific.files.jobs import Job, Made, ensure_folder, read_bytes
from tfhific.serving.limits import TOO_MUCH


def find_saved_model(folder: str) -> str:
    """The folder of a SavedModel: the given one, or its version with the largest number.

    Raises:
      ModelError: when there is none.
    """

    def is_model(path: str) -> bool:
        return os.path.isfile(os.path.join(path, "saved_model.pb"))

    if is_model(folder):
        return folder
    names = os.listdir(folder) if os.path.isdir(folder) else []
    versions = [n for n in names if n.isdecimal() and is_model(os.path.join(folder, n))]
    if not versions:
        raise ModelError(
            f"{folder}: expected a SavedModel or a folder of numbered ones, as bin/export.py makes."
        )
    return os.path.join(folder, max(versions, key=int))


class SavedModel:
    """A loaded SavedModel; calls take and give lists of bytes."""

    def __init__(self, folder: str) -> None:
        """Loads it.

        Raises:
          ModelError: when the folder holds none, or one of something else.
        """
        import tensorflow as tf

        path = find_saved_model(folder)
        try:
            self._loaded = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{path}: can't be loaded ({reason}).") from None
        if not {"compress", "compress_at", "decompress"} <= set(self._loaded.signatures):
            raise ModelError(f"{path}: has not the signatures of a model that bin/export.py wrote.")

    def compress(
        self, images: Sequence[bytes], quality: float | None = None
    ) -> list[tuple[bytes, str]]:
        """Files and errors of encoded images; at the model's quality where None is given."""
        import tensorflow as tf

        def call(batch):
            inputs = {"image_bytes": tf.constant(list(batch), tf.string)}
            if quality is not None:
                inputs["quality"] = tf.fill([len(batch)], float(quality))
            name = "compress" if quality is None else "compress_at"
            return _pairs(self._loaded.signatures[name](**inputs), "compressed_bytes")

        return _in_requests(call, images)

    def decompress(self, files: Sequence[bytes]) -> list[tuple[bytes, str]]:
        """PNG files and errors of `.tfh` files."""
        import tensorflow as tf

        def call(batch):
            inputs = tf.constant(list(batch), tf.string)
            out = self._loaded.signatures["decompress"](compressed_bytes=inputs)
            return _pairs(out, "image_bytes")

        return _in_requests(call, files)


def _in_requests(
    call: Callable[[Sequence[bytes]], list[tuple[bytes, str]]], batch: Sequence[bytes]
) -> list[tuple[bytes, str]]:
    """A call's results; elements that were too much for it are sent again, in another one."""
    results = call(batch)
    left = [place for place, (_, error) in enumerate(results) if TOO_MUCH in error]
    if left and len(batch) > 1:
        for place, result in zip(left, _in_requests(call, [batch[place] for place in left])):
            results[place] = result
    return results


def _pairs(outputs: dict, name: str) -> list[tuple[bytes, str]]:
    errors = [error.decode() for error in outputs["error"].numpy()]
    return list(zip(outputs[name].numpy().tolist(), errors))


def run(
    jobs: Sequence[Job],
    work: Callable[[Sequence[bytes]], list[tuple[bytes, str]]],
    *,
    batch_size: int = 8,
    overwrite: bool = False,
    threads: int = 4,
) -> Iterator[dict]:
    """Does jobs in batches.

    While a batch is worked on, the next one is read and the one before written. What fails has its
    error told, and the rest is still done.

    Args:
      jobs: files to make.
      work: results and errors of a batch.
      batch_size: most elements of a batch.
      overwrite: whether files that are there already are replaced.
      threads: that read and write.

    Yields:
      For each job, in their order, `input`, `output`, and `bytes` or `error`.
    """
    made, lock = Made(), threading.Lock()
    batches = [jobs[at : at + batch_size] for at in range(0, len(jobs), batch_size)]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        reading: collections.deque = collections.deque()
        writing: collections.deque = collections.deque()
        upcoming = iter(batches)

        def read_next() -> None:
            batch = next(upcoming, None)
            if batch is not None:
                reading.append((batch, [pool.submit(_read, job) for job in batch]))

        read_next()
        while reading:
            batch, reads = reading.popleft()
            read_next()
            contents = [read.result() for read in reads]
            fine = [data for data, error in contents if not error]
            results = iter(work(fine) if fine else [])
            writes = []
            for job, (_, error) in zip(batch, contents):
                data, problem = (b"", error) if error else next(results)
                writes.append(pool.submit(_write, job, data, problem, overwrite, made, lock))
            writing.append(writes)
            if len(writing) > 1:
                yield from (write.result() for write in writing.popleft())
        for writes in writing:
            yield from (write.result() for write in writes)


def _read(job: Job) -> tuple[bytes, str]:
    try:
        return read_bytes(job.source), ""
    except TfhificError as error:
        return b"", str(error)


def _write(
    job: Job, data: bytes, error: str, overwrite: bool, made: Made, lock: threading.Lock
) -> dict:
    facts = {"input": job.source, "output": job.destination}
    try:
        if error:
            raise TfhificError(error if job.source in error else f"{job.source}: {error}")
        folder = os.path.dirname(job.destination)
        if folder:
            ensure_folder(folder)
        with lock:  # whether another job made this output is known when that one is written
            made.refuse_again(job)
            write_atomically(job.destination, data, overwrite=overwrite)
            made.note(job)
    except TfhificError as problem:
        return {**facts, "error": str(problem)}
    return {**facts, "bytes": len(data)}
