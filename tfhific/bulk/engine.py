"""Batches over a Ray cluster: actors that hold the model, and what is done when one is lost.

Not `ray.data`: its blocks are tried again as a whole and a number of times that is the job's, not a
picture's, so that one picture that kills its worker ends the job or is dropped with its
neighbours. Here a batch's pictures are known to the driver until their rows are back.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tfhific.bulk.plan import Task
from tfhific.bulk.rows import Row
from tfhific.bulk.work import Settings, Work, failed
from tfhific.errors import TfhificError

LOCAL = "local"
_POLL_SECONDS = 2.0
_NODE_SECONDS = 30.0
"""How long a node may take to be known as lost, after its workers are."""
_FAILED_STARTS = 8


class Worker:
    """The actor: starts when it is told to, so that what goes wrong then can be told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work: Work | None = None

    def start(self) -> dict[str, str]:
        """Loads the model; gives where it is and which, or an `error`."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        try:
            self._work = Work(self._settings)
        except TfhificError as error:
            return {"node": node, "error": str(error)}
        return {"node": node, "fingerprint": self._work.fingerprint}

    def batch(self, tasks: list[Task]) -> list[Row]:
        """The rows of pictures, in their order."""
        assert self._work is not None, "a batch came before the start"
        return self._work.batch(tasks)


@dataclasses.dataclass(frozen=True)
class _Suspect:
    """A picture whose worker ended twice, the second time with nothing else on it.

    Attributes:
      task: the picture.
      node: that the worker was on, which may be what was lost.
      reason: what is known of the end.
      until: when the node would be known as lost, by the monotonic clock.
    """

    task: Task
    node: str
    reason: str
    until: float


@dataclasses.dataclass(eq=False)
class _Held:
    """An actor and what it was given."""

    actor: Any
    tasks: list[Task] | None = None
    node: str = ""


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Joins a cluster, or starts one on this machine, and leaves it at the end.

    Args:
      address: of a cluster, `auto` for the one that this machine is part of, or `local`.

    Raises:
      TfhificError: there is no such cluster.
    """
    import ray

    # Ray reports how it is used unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _check_reached(address)
    options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    if found := _import_paths():
        options["runtime_env"] = {"env_vars": found}
    # What it has to say of lost workers it prints among the command's own output, to the very end.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **options)
        except Exception as error:
            # Ray raises plain `Exception` for what it can't start, and many kinds for what it
            # can't reach.
            raise _unreached(address, error) from None
        try:
            yield
        finally:
            ray.shutdown()


def _check_reached(address: str) -> None:
    """Asks whether anyone listens there: Ray would go on trying, and say so each second."""
    named = re.fullmatch(r"([\w.-]+):(\d+)", address)
    if named:
        try:
            socket.create_connection((named[1], int(named[2])), timeout=20).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise _unreached(address, error) from None


def _unreached(address: str, error: Exception) -> TfhificError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return TfhificError(
        f"no Ray cluster at {address} ({reason}). Start one with Ray's own command, ray start, or "
        "use `address=local`."
    )


def _import_paths() -> dict[str, str]:
    """What lets workers import a checkout: Ray tells them of the script's folder alone."""
    root = pathlib.Path(__file__).resolve().parents[2]
    if root.name in ("site-packages", "dist-packages"):
        return {}
    # Ray puts a node's own variable in.
    return {"PYTHONPATH": f"{root}{os.pathsep}${{PYTHONPATH}}"}


def _said(error: Exception) -> str:
    """An error of Ray's in a line: what was raised in the worker, where it was."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    raised = re.findall(r"^\s*([\w.]+(?:Error|Exception): .+)$", text, re.MULTILINE)
    return " ".join((raised[-1] if raised else text).split())[:300]


def workers_of(cores: int, wanted: int | None = None, grows: bool = True) -> int:
    """How many workers there are to be.

    Args:
      cores: of a worker; all of one node.
      wanted: how many, at most; None for as many as the cluster has cores for.
      grows: whether nodes may come later, so that what is wanted can be waited for.

    Raises:
      TfhificError: there is no room for one.
    """
    if wanted is not None and grows:
        return wanted
    import ray

    found = [int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]]
    count = sum(each // cores for each in found)
    if not count:
        raise TfhificError(
            f"`cores={cores}`: expected at most {max(found, default=0)}, which is what the largest "
            "node of the cluster has."
        )
    return min(count, wanted or count)


class Engine:
    """Deals batches out and gathers rows."""

    def __init__(self, settings: Settings, *, cores: int, workers: int) -> None:
        """Starts workers.

        Args:
          settings: that they are given.
          cores: of each.
          workers: how many.
        """
        import ray

        self._ray = ray
        self._own_node = ray.get_runtime_context().get_node_id()
        self._settings = ray.put(settings)
        self._class = ray.remote(num_cpus=cores, max_restarts=0, max_task_retries=0)(Worker)
        self._starting: dict[Any, _Held] = {}
        self._working: dict[Any, _Held] = {}
        self._idle: list[_Held] = []
        self._alone: collections.deque[Task] = collections.deque()
        self._suspects: list[_Suspect] = []
        self._fingerprint: str | None = None
        self._failed_starts = 0
        for _ in range(workers):
            self._start_one()

    def run(
        self, batches: Iterator[list[Task]], on_wait: Callable[[], None] = lambda: None
    ) -> Iterator[Row]:
        """Gives a row for each task, in the order in which they are done.

        No more batches are asked for than there are workers that wait for one, so that neither
        their tasks nor their rows pile up.

        Args:
          batches: of tasks.
          on_wait: called at least every few seconds.

        Raises:
          TfhificError: the workers can't start or hold different models, or this process's own node
            is lost.
        """
        left = True
        while left or self._alone or self._working or self._suspects:
            while self._idle and (left or self._alone):
                batch = [self._alone.popleft()] if self._alone else next(batches, [])
                if batch:
                    self._give(self._idle.pop(), batch)
                else:
                    left = False
            yield from self._judged()
            waited = [*self._working, *self._starting]
            if not waited:
                time.sleep(_POLL_SECONDS if self._suspects else 0)
                continue
            if not (left or self._alone or self._working or self._suspects):
                break
            ready, _ = self._ray.wait(waited, num_returns=1, timeout=_POLL_SECONDS)
            on_wait()
            if not ready:
                self._check_own_node()
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                else:
                    yield from self._finished(reference)

    def _check_own_node(self) -> None:
        # Ray lets a process wait for ever that it has left without its node's part of the cluster.
        if self._own_node not in self._alive():
            raise TfhificError(
                "the cluster's process on this machine, which the job has joined it by, was lost. "
                "Start the job again: it goes on where it stopped."
            )

    def stop(self) -> None:
        """Ends the workers."""
        for held in [*self._idle, *self._starting.values(), *self._working.values()]:
            self._end(held)

    def _start_one(self) -> None:
        held = _Held(self._class.remote(self._settings))
        self._starting[held.actor.start.remote()] = held

    def _started(self, reference: Any) -> None:
        held = self._starting.pop(reference)
        try:
            facts = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise TfhificError(f"workers can't start: {_said(error)}") from None
            self._end(held)
            self._start_one()
            return
        if "error" in facts:
            raise TfhificError(facts["error"])
        self._failed_starts = 0
        held.node = facts["node"]
        if self._fingerprint is None:
            self._fingerprint = facts["fingerprint"]
        if facts["fingerprint"] != self._fingerprint:
            raise TfhificError(
                f"one node's model is {facts['fingerprint']} and another's {self._fingerprint}; "
                "give all nodes the same."
            )
        self._idle.append(held)

    def _give(self, held: _Held, tasks: list[Task]) -> None:
        held.tasks = tasks
        self._working[held.actor.batch.remote(tasks)] = held

    def _finished(self, reference: Any) -> Iterable[Row]:
        held = self._working.pop(reference)
        tasks, held.tasks = held.tasks or [], None
        try:
            rows = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._end(held)
            self._start_one()
            self._lost(tasks, held.node, type(error).__name__)
            return []
        self._idle.append(held)
        return rows

    def _lost(self, tasks: list[Task], node: str, reason: str) -> None:
        """What a lost worker had is tried once more, each picture alone."""
        if len(tasks) == 1 and tasks[0].again:
            until = time.monotonic() + _NODE_SECONDS
            self._suspects.append(_Suspect(tasks[0], node, reason, until))
        else:
            self._alone.extend(dataclasses.replace(task, again=True) for task in tasks)

    def _judged(self) -> list[Row]:
        """The rows of pictures that ended two workers.

        One that was alone on a node that was lost isn't to blame, and is tried again.
        """
        if not self._suspects:
            return []
        alive = self._alive()
        rows, left = [], []
        for each in self._suspects:
            if each.node not in alive:
                self._alone.append(each.task)
            elif time.monotonic() < each.until:
                left.append(each)
            else:
                reason = f"ended its worker twice, the second time alone ({each.reason})"
                rows.append(failed(each.task, f"{each.task.source}: {reason}"))
        self._suspects = left
        return rows

    def _alive(self) -> set[str]:
        return {each["NodeID"] for each in self._ray.nodes() if each["Alive"]}

    def _end(self, held: _Held) -> None:
        with contextlib.suppress(Exception):  # it may be gone already
            self._ray.kill(held.actor)


def variables_of(cores: int) -> dict[str, str]:
    """Variables of a worker's environment: those of this process, and threads as it has cores."""
    named = (
        "TFHIFIC_MODELS",
        "TF_USE_LEGACY_KERAS",
        "TF_DETERMINISTIC_OPS",
        "TF_ENABLE_ONEDNN_OPTS",
    )
    kept = {name: os.environ[name] for name in named if name in os.environ}
    return {
        **kept,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(cores),
        "TF_NUM_INTRAOP_THREADS": str(cores),
        "TF_NUM_INTEROP_THREADS": "1",
    }
