"""Two processes on this machine that train one model together, as two machines would."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import IO


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on.

    From below those that systems give to connections: until the processes listen, seconds later,
    one of those could be anybody's.
    """
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", random.SystemRandom().randrange(12_000, 30_000)))
            except OSError:
                continue
            found.append(tried.getsockname()[1])
    return found


def start_two(
    command: Sequence[object],
    environment: Callable[..., dict[str, str]],
    says: Sequence[IO[str] | int] = (subprocess.PIPE, subprocess.PIPE),
    prints: int = subprocess.DEVNULL,
) -> list[subprocess.Popen[str]]:
    """Starts a command twice, as workers 0 and 1 of a cluster.

    Args:
      command: the same for both.
      environment: gives what else a process is to find there beside its keywords.
      says: where the standard error of each goes.
      prints: where their standard output goes.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index, stream in enumerate(says):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [*map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=prints,
                stderr=stream,
                text=True,
                env=environment(TF_CONFIG=json.dumps(config), CUDA_VISIBLE_DEVICES=""),
            )
        )
    return processes


def finish_two(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[str, str]]:
    """What both printed and said, when they have ended well; none lives on."""
    try:
        done = [process.communicate(timeout=500) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], done
    return [(printed or "", said or "") for printed, said in done]


def lines(text: str) -> dict[int, str]:
    """What a training's log says of each step, but for the time."""
    found = re.findall(r"^step (\d+)  .*? min  (.*)$", text, re.MULTILINE)
    return {int(step): numbers for step, numbers in found}
