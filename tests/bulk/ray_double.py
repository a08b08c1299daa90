"""As much of Ray as the engine uses, in this process: actors that tests let die.

A call runs when it is waited for, in the order of the calls, so that a test's course is always
the same.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from typing import Any

OWN = "own"


class RayError(Exception):
    pass


class Lost(RayError):
    """The worker is gone."""


class RayDouble:
    """Stands for the module `ray`.

    Attributes:
      nodes_alive: by their names; `OWN` is the one that the job runs on, where no worker is.
      on_batch: called with a node and tasks before a batch is done; raises `Lost` for a death.
      held: tasks that are with a worker, at most, at any moment.
    """

    exceptions = types.SimpleNamespace(RayError=RayError)

    def __init__(self, nodes: dict[str, int], work: Callable, model: Callable = lambda node: {}):
        self.nodes_alive = dict.fromkeys([*nodes, OWN], True)
        self._free = [node for node, cores in nodes.items() for _ in range(cores)]
        self._work, self._model = work, model
        self._calls: dict[int, tuple[Any, str, list]] = {}
        self._numbers = itertools.count()
        self.held = 0

    def get_runtime_context(self):
        return types.SimpleNamespace(get_node_id=lambda: OWN)

    def put(self, value):
        return value

    def remote(self, **options):
        assert options["max_restarts"] == options["max_task_retries"] == 0
        return lambda cls: types.SimpleNamespace(remote=lambda settings: _Actor(self))

    def kill(self, actor) -> None:
        if actor.node is not None and self.nodes_alive[actor.node]:
            self._free.append(actor.node)
        actor.node = None

    def lose(self, node: str) -> None:
        """Ends a node and the workers on it."""
        self.nodes_alive[node] = False
        self._free = [each for each in self._free if each != node]

    def nodes(self):
        return [
            {"NodeID": n, "Alive": a, "Resources": {"CPU": 1}} for n, a in self.nodes_alive.items()
        ]

    def call(self, actor, method: str, tasks: list) -> int:
        number = next(self._numbers)
        self._calls[number] = (actor, method, tasks)
        self.held = max(self.held, sum(len(tasks) for _, _, tasks in self._calls.values()))
        return number

    def wait(self, references, num_returns, timeout):
        assert num_returns == 1
        if not self.nodes_alive[OWN]:
            return [], references
        for reference in sorted(references):
            actor, method, _ = self._calls[reference]
            if method == "start" and actor.node is None:
                if not self._free:
                    continue  # no node has a core for it
                actor.node = self._free.pop(0)
            return [reference], [each for each in references if each != reference]
        return [], references

    def get(self, reference):
        actor, method, tasks = self._calls.pop(reference)
        if not self.nodes_alive[actor.node]:
            raise Lost(actor.node)
        if method == "start":
            return {"node": actor.node, "fingerprint": "ab", **self._model(actor.node)}
        return self._work(self, actor.node, tasks)


class _Actor:
    def __init__(self, ray: RayDouble) -> None:
        self.node: str | None = None
        for method in ("start", "batch"):
            call = lambda tasks=(), method=method: ray.call(self, method, list(tasks))  # noqa: E731
            setattr(self, method, types.SimpleNamespace(remote=call))
