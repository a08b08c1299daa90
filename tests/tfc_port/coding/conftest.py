"""Tables and symbols for the entropy coder's tests, made from nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfc_port import coding


def gaussian_tables(rows: int) -> coding.Tables:
    """Rows of zero-mean Gaussians, scales .11 to 256, tails at 2**-14."""
    pmfs, minimum = [], []
    for scale in np.geomspace(0.11, 256, rows):
        last = 0
        while math.erfc((last + 0.5) / scale / math.sqrt(2)) > 2**-14:
            last += 1
        edges = np.arange(-last - 0.5, last + 1)
        cdf = np.array([0.5 * math.erfc(-edge / scale / math.sqrt(2)) for edge in edges])
        pmfs.append(np.diff(cdf))
        minimum.append(-last)
    return coding.Tables.from_pmfs(pmfs, np.array(minimum, np.int32))


def odd_tables() -> coding.Tables:
    """One row of every awkward kind; see the comments."""
    rows = [
        # One symbol, at the lowest and the highest precision.
        ([1, 0, 2], 7),
        ([16, 0, 1 << 16], -3),
        # Two symbols, one bit each.
        ([1, 0, 1, 2], 0),
        # Probabilities of 2**-16 before and behind a nearly certain symbol.
        ([16, 0, 1, (1 << 16) - 1, 1 << 16], -1),
        # 2**15 symbols; and as many as there can be.
        ([16, *range(0, (1 << 16) + 1, 2)], -(1 << 14)),
        ([16, *range((1 << 16) + 1)], 12),
        # Values at either end of int32.
        ([8, 0, 3, 100, 256], np.iinfo(np.int32).min),
        ([8, 0, 200, 201, 256], np.iinfo(np.int32).max - 2),
        # A precision that looks like the end of the row before it.
        ([1, 0, 1, 2], 5),
        ([2, 0, 3, 4], 5),
        ([4, 0, 1, 16], 5),
        ([16, 0, 65535, 65536], 0),
    ]
    lookup = np.concatenate([np.array(row, np.int32) for row, _ in rows])
    return coding.Tables(lookup, np.array([first for _, first in rows], np.int32))


def draw(
    rng: np.random.Generator, tables: coding.Tables, count: int, escapes: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Values and rows: evenly chosen rows, symbols by their probability, some of any value."""
    indexes = rng.integers(0, tables.rows, count).astype(np.int32)
    values = np.empty(count, np.int64)
    for row in np.unique(indexes):
        at = indexes == row
        cdf = tables.cdf(row)
        chosen = np.searchsorted(cdf, rng.integers(0, cdf[-1], at.sum()), side="right") - 1
        values[at] = chosen + tables.minimum[row]
    anywhere = rng.integers(-(1 << 31), 1 << 31, count)
    # Mostly close to a table's end, where an escape is shortest.
    close = values + rng.integers(-3, 4, count) * tables.sizes[indexes]
    close = np.clip(close, -(1 << 31), (1 << 31) - 1)
    other = np.where(rng.random(count) < 0.5, anywhere, close)
    values = np.where(rng.random(count) < escapes, other, values)
    return values.astype(np.int32), indexes


@pytest.fixture(scope="session")
def gaussians() -> coding.Tables:
    return gaussian_tables(64)


@pytest.fixture(scope="session")
def oddities() -> coding.Tables:
    return odd_tables()


@pytest.fixture(scope="session")
def draw_values():
    return draw


@pytest.fixture(scope="session")
def usable():
    """Skips unless an implementation works here."""
    names = coding.available()

    def check(name: str) -> str:
        if name not in names:
            pytest.skip(f"the {name} coder is not available: its packages are not installed")
        return name

    return check


@pytest.fixture(params=coding.IMPLEMENTATIONS)
def implementation(request, usable) -> str:
    return usable(request.param)
