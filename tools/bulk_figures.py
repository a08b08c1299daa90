"""What `bulk` costs beside the command for a folder, and how its memory grows. Linux.

    python tools/bulk_figures.py --count=200 --rounds=3             # throughput, Ray's overhead
    python tools/bulk_figures.py --count=200 --count=2000 --memory  # peaks, by pictures

Each way of compressing the same folder takes its turn in every round, so that a machine that is
busy for a while is so for all. Of a run are measured, by what stands in /proc:

- a second's pictures, from the first output to the last, without the start of programs and models;
- the processor's milliseconds for a picture, likewise after the first output, of all its processes,
  Ray's own among them: a busy machine hardly changes these, and overheads by them are said too;
- each kind of process's largest resident memory.

Threads are one a worker. Medians over the rounds; overhead is the time of a picture against the
folder command's, for as many workers as there are.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from PIL import Image

TICKS = os.sysconf("SC_CLK_TCK")


def make_pictures(folder: pathlib.Path, count: int, width: int, height: int) -> None:
    """Pictures with detail and smooth parts, each its own; sizes are within a tenth."""
    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        size = int(width * rng.uniform(0.9, 1.1)), int(height * rng.uniform(0.9, 1.1))
        coarse = Image.fromarray(rng.integers(0, 256, [9, 12, 3], np.uint8))
        fine = rng.normal(0, 12, [size[1], size[0], 1])
        smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32)
        pixels = np.clip(smooth + fine * (smooth[..., :1] > 128), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=92)


class Watch(threading.Thread):
    """Looks at a process and all below it, until they are gone.

    Attributes:
      seconds: the processor's, by process.
      first: those of all, and the number of outputs, when some were first seen.
      memory: peaks in MiB, by process, as the system keeps them.
      kinds: of each process: `job`, `worker` or `ray`.
    """

    def __init__(self, pid: int, out: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._pid, self._out = pid, out
        self.first: tuple[float, int] | None = None
        self.seconds: dict[int, float] = {}
        self.memory: dict[int, float] = {}
        self.kinds: dict[int, str] = {}

    def run(self) -> None:
        while os.path.exists(f"/proc/{self._pid}"):
            for pid in self._family():
                try:
                    self._look(pid)
                except (OSError, IndexError, ValueError):
                    continue  # gone meanwhile
            made = 0 if self.first else len(list(self._out.glob("*.tfh")))
            if made:
                self.first = sum(self.seconds.values()), made
            time.sleep(0.25)

    def _family(self) -> list[int]:
        parents = {}
        for name in filter(str.isdecimal, os.listdir("/proc")):
            try:
                after_name = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2]
            except OSError:
                continue
            parents[int(name)] = int(after_name.split()[1])
        found, waiting = [], [self._pid]
        while waiting:
            found.append(waiting.pop())
            waiting += [pid for pid, parent in parents.items() if parent == found[-1]]
        return found

    def _look(self, pid: int) -> None:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.seconds[pid] = (int(words[11]) + int(words[12])) / TICKS
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        self.memory[pid] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        called = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        worker = "worker" if b"ray::" in called or b"default_worker.py" in called else "ray"
        self.kinds[pid] = "job" if pid == self._pid else worker


def measured(command: list[str], out: pathlib.Path) -> dict[str, float]:
    """Runs a command that fills a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.time()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    watch = Watch(process.pid, out)
    watch.start()
    if process.wait() != 0:
        raise SystemExit(f"error: {' '.join(command)} ended with {process.returncode}.")
    wall = time.time() - started
    watch.join()
    times = sorted(path.stat().st_mtime for path in out.rglob("*.tfh"))
    peaks = {
        kind: max(
            (watch.memory[pid] for pid, each in watch.kinds.items() if each == kind), default=0
        )
        for kind in ("job", "worker")
    }
    total = sum(watch.seconds.values())
    seconds, made = watch.first or (0.0, 0)
    return {
        "pictures": len(times),
        "wall": wall,
        "rate": (len(times) - 1) / max(times[-1] - times[0], 1e-9),
        "cpu": total,
        "each": 1000 * (total - seconds) / max(len(times) - made, 1),
        **peaks,
    }


def ways(workers: list[int]) -> dict[str, list[str]]:
    """Commands by what the table calls them."""
    found = {"folder": ["compress", "{source}", "-o", "{out}"]}
    for count in workers:
        found[f"bulk, {count}"] = ["bulk", "compress", "{source}", "{out}", f"--workers={count}"]
    return found


def main(arguments: list[str]) -> int:
    """Measures and prints a table; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, action="append", help="pictures; repeat")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, action="append", help="of bulk; default 1 and 2")
    parser.add_argument("--size", default="256x192", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--memory", action="store_true", help="bulk alone, once, for its peaks")
    options = parser.parse_args(arguments)
    width, height = map(int, options.size.split("x"))
    commands = ways(options.workers or ([2] if options.memory else [1, 2]))
    if options.memory:
        del commands["folder"]
    columns = (
        *("pictures", "way", "a second", "ms each", "overhead", "cpu ms each", "overhead"),
        *("cpu s", "wall s", "job MiB", "worker MiB"),
    )
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for count in options.count or [200]:
            make_pictures(folder / f"{count}", count, width, height)
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in commands}
            for turn in range(1 if options.memory else options.rounds):
                for way, words in commands.items():
                    out = folder / f"{count}-{turn}-{way.replace(', ', '-')}"
                    places = {"source": str(folder / f"{count}"), "out": str(out)}
                    command = [word.format(**places) for word in words]
                    call = [sys.executable, "-m", "tfhific", *command, "--runtime=litert"]
                    runs[way].append(measured(call, out))
                    assert runs[way][-1]["pictures"] == count
            report(count, runs)
    return 0


def report(count: int, runs: dict[str, list[dict[str, float]]]) -> None:
    """Prints a line for each way."""
    base: dict[str, float] | None = None
    for way, measurements in runs.items():
        middle = {
            key: statistics.median(each[key] for each in measurements) for key in measurements[0]
        }
        base = middle if way == "folder" else base
        workers = int(way.rpartition(" ")[2]) if way != "folder" else 1
        by_clock = base["rate"] * workers / middle["rate"] if base else None
        by_processor = middle["each"] / base["each"] if base else None
        cells = (
            *(str(count), way, f"{middle['rate']:.2f}", f"{1000 / middle['rate']:.1f}"),
            *(percent(by_clock), f"{middle['each']:.1f}", percent(by_processor)),
            *(f"{middle['cpu']:.1f}", f"{middle['wall']:.1f}"),
            *(f"{middle['job']:.0f}", f"{middle['worker']:.0f}"),
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def percent(ratio: float | None) -> str:
    """How much more than 1, as it stands in the table."""
    return "" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
