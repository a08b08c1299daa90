"""Whole commands from a cold start: seconds, peak memory and processor time of new processes."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfhific.commands.synthetic import synthetic_picture
from tfhific.errors import TfhificError

if TYPE_CHECKING:
    import numpy as np

# A new process counts the memory of the one that started it among its own peak: this one, which has
# made pictures. So a small one starts it.
_SMALL = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
busy = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, busy]))
"""

Size = tuple[int, int]
"""Width and height, pixels."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
      seconds: from its start to its end.
      memory: its peak, MiB.
      busy: processor seconds.
    """

    seconds: float
    memory: float
    busy: float


@dataclasses.dataclass(frozen=True)
class Coding:
    """What is measured.

    Attributes:
      model: name or folder.
      precision: arithmetic of the picture networks.
      quality: of the files; None for the model's own.
      runs: how often; medians are shown.
      runtimes: what runs the networks; several are compared, in turns.
    """

    model: str
    precision: str
    quality: float | None
    runs: int
    runtimes: tuple[str, ...] = ("auto",)

    def by(self, runtime: str) -> str:
        """What tells a line of this runtime from others': nothing where there is one."""
        return f", {runtime}" if len(self.runtimes) > 1 else ""


def measure_command(name: str, *arguments: str) -> Cost:
    """Runs a command in a new process.

    Args:
      name: of its module in `tfhific.commands`.
      *arguments: its arguments; what it prints on standard output is dropped.

    Raises:
      TfhificError: it failed; what it said stands on standard error.
    """
    command = [sys.executable, "-m", f"tfhific.commands.{name}", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", _SMALL, *command], stdout=subprocess.PIPE, check=True
    )
    seconds = time.perf_counter() - started
    code, memory, busy = json.loads(done.stdout)
    if code:
        raise TfhificError(f"bin/{name}.py, whose time was taken, ended with exit code {code}.")
    return Cost(seconds, memory, busy)


def _median(costs: Sequence[Cost]) -> Cost:
    columns = zip(*(dataclasses.astuple(cost) for cost in costs))
    return Cost(*(statistics.median(column) for column in columns))


def parse_sizes(texts: Sequence[str]) -> list[Size]:
    """Sizes such as `4000x3000`.

    Raises:
      TfhificError: one of them is none.
    """
    sizes: list[Size] = []
    for text in texts:
        width, _, height = text.partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) * int(height)):
            raise TfhificError(
                "--sizes: expected widths and heights such as 2000x1500,4000x3000. "
                f"Received: {','.join(texts)}."
            )
        sizes.append((int(width), int(height)))
    return sizes


def time_commands(pixels: np.ndarray, coding: Coding) -> None:
    """Prints what compress and decompress take on a picture, half as many runs as are asked for.

    Args:
      pixels: uint8 [H, W, 3].
      coding: how it is coded.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [_written(pixels, folder, "picture")]
        options = (f"--model={coding.model}", f"--precision={coding.precision}")
        costs = _in_turns(files, (coding.runs + 1) // 2, coding.runtimes, options, ())
    for (name, _, runtime), values in costs.items():
        cost = _median(values)
        print(
            f"bin/{name}.py{coding.by(runtime)}, whole process: median {cost.seconds:.2f} s, "
            f"peak {cost.memory:.0f} MiB"
        )


def compare_sizes(sizes: Sequence[Size], coding: Coding) -> None:
    """Prints what compress and decompress take on pictures of several sizes, in turns."""
    pixels_of = [width * height for width, height in sizes]
    options = (
        f"--model={coding.model}",
        f"--precision={coding.precision}",
        f"--max_pixels={max(pixels_of)}",
    )
    with tempfile.TemporaryDirectory() as folder:
        files = [
            _written(synthetic_picture(*size), folder, str(number))
            for number, size in enumerate(sizes)
        ]
        quality = () if coding.quality is None else (f"--quality={coding.quality}",)
        costs = _in_turns(files, coding.runs, coding.runtimes, options, quality)
    for (name, number, runtime), values in costs.items():
        cost, millions = _median(values), pixels_of[number] / 1e6
        print(
            f"bin/{name}.py{coding.by(runtime)}, {sizes[number][0]}x{sizes[number][1]}, "
            f"{millions:.1f} megapixels: "
            f"{cost.seconds:.1f} s, {cost.seconds / millions:.2f} s a megapixel, "
            f"{cost.busy / millions:.2f} s of processor time a megapixel, "
            f"peak {cost.memory:.0f} MiB"
        )


def _written(pixels: np.ndarray, folder: str, name: str) -> tuple[str, str, str]:
    """A picture's file, and names for what is made of it."""
    from tfhific.pictures.images import write_png

    image = os.path.join(folder, f"{name}.png")
    write_png(pixels, image)
    return image, os.path.join(folder, f"{name}.tfh"), os.path.join(folder, f"{name}.back.png")


def _in_turns(
    files: Sequence[tuple[str, str, str]],
    runs: int,
    runtimes: Sequence[str],
    options: Sequence[str],
    compressing: Sequence[str],
) -> dict[tuple[str, int, str], list[Cost]]:
    """Costs by command, number of the picture and runtime."""
    costs: dict[tuple[str, int, str], list[Cost]] = {
        (name, number, runtime): []
        for number in range(len(files))
        for name in ("compress", "decompress")
        for runtime in runtimes
    }
    for _ in range(runs):
        for number, (image, packed, back) in enumerate(files):
            for runtime in runtimes:
                to = (*options, f"--runtime={runtime}", "--overwrite")
                costs["compress", number, runtime].append(
                    measure_command("compress", image, packed, *to, *compressing)
                )
                costs["decompress", number, runtime].append(
                    measure_command("decompress", packed, back, *to)
                )
    return costs
