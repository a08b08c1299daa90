"""Runs tasks one after another, or several at once in processes of their own."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from tfhific.errors import TfhificError
from tfhific.evaluation.bench import Bench, Context, Failure, Task, run_in_worker
from tfhific.evaluation.results import Row


def run_tasks(context: Context, tasks: Sequence[Task], jobs: int = 1) -> Iterator[Row | Failure]:
    """Measures tasks, giving each outcome as it is there.

    Args:
      context: what they share.
      tasks: codec by codec, picture by picture: what was loaded last is used again.
      jobs: how many at once; 1 runs them in this process. Processes share the cores, TensorFlow's
        threads are divided among them.

    Raises:
      TfhificError: when a process dies.
    """
    if jobs <= 1 or len(tasks) <= 1:
        bench = Bench(context)
        yield from (bench.run(task) for task in tasks)
        return
    pool = concurrent.futures.ProcessPoolExecutor(
        max_workers=min(jobs, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(max(1, (os.cpu_count() or 1) // jobs),),
    )
    try:
        futures = [pool.submit(run_in_worker, context, task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise TfhificError(
            "A process that measures died, perhaps for want of memory. What was measured is "
            "kept: run the same again, with fewer `jobs`."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))


def _end_with_parent() -> None:
    """Ends this process when the one that asks is gone: its queue alone would never say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
