"""Times whole commands from a cold start by each runtime: cold_start.py [PICTURE] [--runs=7].

Compresses and decompresses one picture in new processes, the runtimes interleaved, and prints for
each the median of the wall-clock time, its ratio to TensorFlow's, processor time and peak memory.
Without a picture it makes one of 768x512. For figures, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNTIMES = ("tensorflow", "litert")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", type=pathlib.Path, help="default: one is made")
    parser.add_argument("--runs", type=int, default=7, help="of each command (default: 7)")
    parser.add_argument("--size", default="768x512", help="of the picture that is made")
    return parser.parse_args()


def made(size: str, path: pathlib.Path) -> None:
    """Waves of many lengths with some noise: a picture whose file is of a usual size."""
    width, height = map(int, size.split("x"))
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:height, :width]
    planes = []
    for _ in range(3):
        plane = np.full([height, width], 128.0)
        for length in 2.0 ** rng.uniform(2, 9, 24):
            angle, phase = rng.uniform(0, 2 * np.pi, 2)
            way = (np.cos(angle) * rows + np.sin(angle) * columns) / length
            plane += 0.08 * length**0.7 * np.cos(2 * np.pi * way + phase)
        planes.append(plane + rng.normal(0, 3, plane.shape))
    Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)).save(path)


def once(words: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and the peak in MiB of a command.

    Raises:
      SystemExit: where it fails, with what it said.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(said.decode())
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        source = options.picture
        if source is None:
            source = pathlib.Path(folder) / "made.png"
            made(options.size, source)
        coded, decoded = f"{folder}/a.tfh", f"{folder}/a.png"
        commands = {
            "compress": [str(source), coded],
            "decompress": [coded, decoded],
        }
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for run in range(options.runs + 1):
            for command, files in commands.items():
                for runtime in RUNTIMES:
                    script = str(ROOT / "bin" / f"{command}.py")
                    words = [sys.executable, script, *files, "--overwrite", f"--runtime={runtime}"]
                    measured = once(words)
                    if run:  # the first reads files that the others find in memory
                        found.setdefault((command, runtime), []).append(measured)
        with Image.open(decoded) as image:
            size = f"{image.width}x{image.height}, {os.path.getsize(coded):,} bytes"
        print(f"{size}, {os.cpu_count()} cores, medians of {options.runs}")
        for (command, runtime), each in found.items():
            wall, processor, peak = (statistics.median(column) for column in zip(*each))
            against = statistics.median(row[0] for row in found[command, RUNTIMES[0]])
            print(
                f"{command:10} {runtime:10}  {wall:.2f} s, {wall / against:.2f} x; "
                f"{processor:.2f} s of processor time; peak {peak:.0f} MiB"
            )


if __name__ == "__main__":
    main()
