"""Measures the entropy coder's implementations against each other.

Run it as `python -m tfc_port.coding.bench`; `--help` lists what can be chosen. The symbols are
those of a mean-and-scale model at a low rate: zero-mean Gaussians rounded to whole numbers, 64
scales from .11 to 256, most of them small (.78 bits a symbol on average). Whole calls are timed,
from arrays to bytes and back, the implementations in turns.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tfc_port import coding

SCALES = np.geomspace(0.11, 256, 64)
TAIL_MASS = 2.0**-14
MEAN_INDEX = 8.65
"""Of the exponential distribution that the scales' indexes are drawn from: .78 bits a symbol."""


def gaussian_tables(scales: np.ndarray = SCALES) -> coding.Tables:
    """Returns a row per scale, both its tails cut where `TAIL_MASS` is left of them."""
    pmfs, minimum = [], []
    for scale in scales:
        root = scale * math.sqrt(2)
        last = 0
        while math.erfc((last + 0.5) / root) > TAIL_MASS:
            last += 1
        edges = np.arange(-last - 0.5, last + 1)
        pmfs.append(np.diff([0.5 * math.erfc(-edge / root) for edge in edges]))
        minimum.append(-last)
    return coding.Tables.from_pmfs(pmfs, np.array(minimum, np.int32))


def gaussian_symbols(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns values and rows, both int32 [count]."""
    rng = np.random.default_rng(seed)
    indexes = np.minimum(rng.exponential(MEAN_INDEX, count), SCALES.size - 1).astype(np.int32)
    values = np.rint(rng.normal(size=count) * SCALES[indexes])
    return values.astype(np.int32), indexes


def ideal_bytes(values: np.ndarray, indexes: np.ndarray, tables: coding.Tables) -> float:
    """Returns the information of the symbols by their tables; what lies outside counts nothing."""
    symbols = values - tables.minimum[indexes]
    inside = (symbols >= 0) & (symbols < tables.sizes[indexes])
    at = (tables.starts[indexes] + 1 + symbols)[inside]
    counts = (tables.lookup16[at + 1] - tables.lookup16[at]).astype(np.float64)
    return float(-np.log2(counts / 65536).sum() / 8)


def _seconds(call: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(count: int, streams: int, rounds: int, names: tuple[str, ...]) -> list[str]:
    """Returns lines of a table: speeds in Msymbols/s, and the payload's size over the ideal."""
    tables = gaussian_tables()
    values, indexes = gaussian_symbols(count)
    data = coding.encode(values, indexes, tables, streams=streams, implementation="python")
    ideal = ideal_bytes(values, indexes, tables)
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(rounds + 1):
        for name in names:
            options: dict[str, Any] = {"streams": streams, "implementation": name}
            calls: dict[str, Callable[[], Any]] = {
                "encode": functools.partial(coding.encode, values, indexes, tables, **options),
                "decode": functools.partial(coding.decode, data, indexes, tables, **options),
            }
            for direction, call in calls.items():
                if turn == 0:
                    # The first call traces and loads; it must also be right.
                    expected = data if direction == "encode" else values
                    if not np.array_equal(call(), expected):
                        raise RuntimeError(f"{name} {direction} does not agree with python")
                else:
                    times.setdefault((name, direction), []).append(_seconds(call))

    def speed(name: str, direction: str, clock: int, pick: Callable) -> float:
        return count / pick([pair[clock] for pair in times[name, direction]]) / 1e6

    certain = float(tables.certain[indexes].mean())
    lines = [
        f"{count} symbols, {8 * ideal / count:.3f} bits each, {certain:.1%} certain; "
        f"N = {streams}: {len(data)} bytes, {len(data) - ideal:.0f} "
        f"({len(data) / ideal - 1:.2%}) over the ideal",
        "| implementation | encode: median | best | best, CPU time | decode: median | best "
        "| best, CPU time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        cells = [
            f"{speed(name, direction, clock, pick):.2f}"
            for direction in ("encode", "decode")
            for clock, pick in ((0, statistics.median), (0, min), (1, min))
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name in names[1:]:
        ratios = [
            speed(name, direction, 0, statistics.median)
            / speed(names[0], direction, 0, statistics.median)
            for direction in ("encode", "decode")
        ]
        lines.append(f"{name} / {names[0]}: encode {ratios[0]:.3f}, decode {ratios[1]:.3f}")
    return lines


def main() -> None:
    """Prints the table for each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=337_920)
    parser.add_argument(
        "--streams", type=int, nargs="+", default=[64, 128], help="0: what choose_streams says"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--implementations", nargs="+", default=list(coding.available()))
    args = parser.parse_args()
    tables = gaussian_tables()
    size = ideal_bytes(*gaussian_symbols(args.symbols), tables)
    for streams in args.streams:
        streams = streams or coding.choose_streams(size)
        print("\n".join(measure(args.symbols, streams, args.rounds, tuple(args.implementations))))


if __name__ == "__main__":
    main()
