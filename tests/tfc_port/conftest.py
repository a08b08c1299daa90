"""Recordings of tensorflow-compression 2.14.1, and what hostile strings are tried with.

tools/record_tfc_golden.py makes the recordings.
"""

from __future__ import annotations

import pathlib
import time

import numpy as np
import pytest

_FOLDER = pathlib.Path(__file__).parent / "data"


def _read(name: str) -> list[dict[str, np.ndarray]]:
    with np.load(_FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    fields = {}
    for field in arrays:
        lengths = arrays.get(f"{field}_lengths")
        if lengths is not None:
            fields[field] = np.split(arrays[field], np.cumsum(lengths)[:-1])
    cases = [dict(zip(fields, values)) for values in zip(*fields.values())]
    for case in cases:
        if "strings" in case:
            ends = np.cumsum(case["string_sizes"])
            parts = np.split(case["strings"], ends[:-1]) if ends.size else []
            case["strings"] = [part.tobytes() for part in parts]
    return cases


@pytest.fixture(scope="session")
def golden():
    """Function from the name of a recording to its cases, dictionaries of flat arrays."""
    return _read


def _mutate(rng: np.random.Generator, data: bytes) -> bytes:
    """Changes, removes, adds or repeats a few bytes, or makes all of them up."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(data) + 1))
        # The frame is at the front.
        at = at if rng.random() < 0.5 else min(at, int(rng.integers(0, 12)))
        kind = rng.integers(0, 6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.integers(0, 8)
        elif kind == 1 and at < len(data):
            data[at] = rng.integers(0, 256)
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 4:
            data[at:at] = b"\xff" * int(rng.integers(1, 9))
        elif rng.random() < 0.2:
            data = bytearray(rng.bytes(int(rng.integers(0, 64))))
    return bytes(data)


@pytest.fixture(scope="session")
def mutate():
    """Function from a generator and bytes to other bytes."""
    return _mutate


class WithinBounds:
    """Context in which every call takes less than a second, and little memory over all.

    Time is the processor's, since the machine may have other work; memory is the process's peak.
    """

    SECONDS = 1.0
    BYTES = 256 << 20

    def __init__(self):
        self._first_peak = None

    def __enter__(self):
        if self._first_peak is None:
            self._first_peak = _peak_memory()
        self._start = time.process_time()

    def __exit__(self, kind, *_):
        taken = time.process_time() - self._start
        if kind is None:
            assert taken < self.SECONDS
            assert _peak_memory() - self._first_peak < self.BYTES


def _peak_memory() -> int:
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.fixture
def within_bounds():
    """A `WithinBounds`; what it measures memory from is its first use."""
    return WithinBounds()
