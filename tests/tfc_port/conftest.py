"""Recordings of tensorflow-compression 2.14.1; tools/record_tfc_golden.py makes them."""

from __future__ import annotations

import pathlib

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
