"""Frozen integer CDF tables: what an entropy coder needs to know about probabilities.

A table row is `[precision, 0, c_1, ..., 2**precision]`: the cumulative counts of the row's
symbols, so that symbol k has probability `(c_{k+1} - c_k) / 2**precision`. Rows are concatenated
in one int32 vector, which is the lookup tensor of tensorflow-compression's range coder with
overflow coding off (positive precision).
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import math
import typing
from collections.abc import Callable, Sequence

import numpy as np

from tfc_port.coding.errors import CodingError

_Made = typing.TypeVar("_Made")

MAX_PRECISION = 16
"""Bits of probability a row may have; the range coder keeps 16 bits in reserve for it."""

MAX_ROWS = 1 << 20
MAX_LOOKUP = 1 << 26
_INT32 = np.iinfo(np.int32)


def _int32_vector(value: object, name: str) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise CodingError(
            f"`{name}` must be a vector of integers. "
            f"Received: shape {array.shape}, dtype {array.dtype}."
        )
    if array.size and (int(array.min()) < _INT32.min or int(array.max()) > _INT32.max):
        raise CodingError(f"`{name}` must fit 32-bit signed integers; it has larger entries.")
    array = np.array(array, dtype=np.int32)
    array.setflags(write=False)
    return array


def _find_rows(lookup: np.ndarray) -> np.ndarray:
    """Returns the position of each row's precision, followed by the lookup's length."""
    if not 3 <= lookup.size <= MAX_LOOKUP:
        raise CodingError(
            f"A lookup must have between 3 and {MAX_LOOKUP} entries. Received: {lookup.size}."
        )
    entries = lookup.tolist()
    found = [0]
    while found[-1] < len(entries):
        start, row = found[-1], len(found) - 1
        precision = entries[start]
        if not 1 <= precision <= MAX_PRECISION:
            raise CodingError(
                f"Row {row} must begin with a precision from 1 to {MAX_PRECISION} (overflow coding "
                f"is not supported here). Received: {precision} at entry {start}."
            )
        if row >= MAX_ROWS:
            raise CodingError(f"A lookup may have at most {MAX_ROWS} rows; this one has more.")
        try:
            end = entries.index(1 << precision, start + 1) + 1
        except ValueError:
            raise CodingError(
                f"Row {row} must end with 2**{precision}; the lookup ends before."
            ) from None
        found.append(end)
    bounds = np.array(found, np.int64)
    if np.any(bounds[1:] - bounds[:-1] < 3) or np.any(lookup[bounds[:-1] + 1] != 0):
        row = int(np.argmax((bounds[1:] - bounds[:-1] < 3) | (lookup[bounds[:-1] + 1] != 0)))
        raise CodingError(f"The cumulative counts of row {row} must begin with 0.")
    rises = np.diff(lookup) > 0
    # The steps onto a precision, and from it to 0, are not part of any CDF.
    rises[bounds[:-1]] = True
    rises[bounds[1:-1] - 1] = True
    if not rises.all():
        row = int(np.searchsorted(bounds, int(np.argmin(rises)), side="right")) - 1
        raise CodingError(f"The cumulative counts of row {row} must rise strictly.")
    return bounds


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """A set of CDF tables, checked.

    Attributes:
      lookup: int32 [total], the rows concatenated, each `[precision, 0, ..., 2**precision]` with a
        precision from 1 to 16 and strictly rising counts.
      minimum: int32 [rows], the value of each row's first symbol; the k-th has `minimum + k`.

    Raises:
      CodingError: where either is not so, or a row's values do not fit int32.
    """

    lookup: np.ndarray
    minimum: np.ndarray
    _bounds: np.ndarray = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        lookup = _int32_vector(self.lookup, "lookup")
        minimum = _int32_vector(self.minimum, "minimum")
        bounds = _find_rows(lookup)
        if minimum.size != bounds.size - 1:
            raise CodingError(
                f"`minimum` must have one entry per row of the lookup ({bounds.size - 1}). "
                f"Received: {minimum.size}."
            )
        last = minimum.astype(np.int64) + (bounds[1:] - bounds[:-1] - 3)
        if int(last.max()) > _INT32.max:
            raise CodingError(
                f"The values of row {int(last.argmax())} must fit 32-bit signed integers; "
                f"its last is {int(last.max())}."
            )
        object.__setattr__(self, "lookup", lookup)
        object.__setattr__(self, "minimum", minimum)
        object.__setattr__(self, "_bounds", bounds)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tables):
            return NotImplemented
        return np.array_equal(self.lookup, other.lookup) and np.array_equal(
            self.minimum, other.minimum
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint_bytes())

    def __reduce__(self) -> tuple:
        return Tables, (self.lookup, self.minimum)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.minimum.size

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """int64 [rows]: where each row's precision stands in `lookup`."""
        return self._bounds[:-1]

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """int32 [rows]: number of symbols of each row."""
        return np.diff(self._bounds).astype(np.int32) - 2

    @functools.cached_property
    def precisions(self) -> np.ndarray:
        """int32 [rows]: bits of probability of each row."""
        return self.lookup[self.starts]

    @functools.cached_property
    def certain(self) -> np.ndarray:
        """bool [rows]: rows of exactly one symbol, which nothing is coded for."""
        return self.sizes == 1

    @functools.cached_property
    def mode(self) -> np.ndarray:
        """int32 [rows]: the most probable symbol of each row, counted from 0; ties to the first."""
        counts = np.diff(self.lookup)
        counts[self.starts] = 0
        # Steps between rows are negative or end at a precision, at most 16; they must not win.
        counts[self._bounds[1:-1] - 1] = 0
        peaks = np.maximum.reduceat(np.append(counts, 0), self.starts)
        owner = np.repeat(np.arange(self.rows), np.diff(self._bounds))[:-1]
        at_peak = np.flatnonzero(counts == peaks[owner])
        _, first = np.unique(owner[at_peak], return_index=True)
        return (at_peak[first] - self.starts - 1).astype(np.int32)

    @functools.cached_property
    def lookup16(self) -> np.ndarray:
        """int32 [total]: the same rows at precision 16, which code every symbol alike.

        The range coder splits an interval of `size` at `size * c >> precision`, and
        `size * (c << k) >> (precision + k)` is the same number.
        """
        shifts = np.repeat(MAX_PRECISION - self.precisions, np.diff(self._bounds))
        lookup = self.lookup << shifts
        lookup[self.starts] = MAX_PRECISION
        lookup.setflags(write=False)
        return lookup

    @functools.cached_property
    def code_lengths(self) -> np.ndarray:
        """int32 [total]: what each symbol takes, in 1/256 bit, where its lower count stands.

        The k-th symbol of a row has it at the row's start + 1 + k; other places mean nothing.
        Whole numbers add up to the same sum in any order, on any machine.
        """
        counts = np.maximum(np.diff(self.lookup16, append=0), 1)
        lengths = np.rint(256 * (MAX_PRECISION - np.log2(counts))).astype(np.int32)
        lengths.setflags(write=False)
        return lengths

    @functools.cached_property
    def _made(self) -> dict[Callable, typing.Any]:
        return {}

    def once(self, make: Callable[[Tables], _Made]) -> _Made:
        """What a function makes of these tables: called when first asked, its result kept here."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def cdf(self, row: int) -> np.ndarray:
        """Returns the cumulative counts of one row, int32 [size + 1]."""
        return self.lookup[self._bounds[row] + 1 : self._bounds[row + 1]]

    def fingerprint_bytes(self) -> bytes:
        """Returns canonical bytes of these tables, for hashing: equal where the tables are."""
        return b"".join(
            (
                np.int64(self.rows).astype("<i8").tobytes(),
                self.lookup.astype("<i4").tobytes(),
                self.minimum.astype("<i4").tobytes(),
            )
        )

    @classmethod
    def from_pmfs(
        cls, pmfs: Sequence[np.ndarray], minimum: np.ndarray, precision: int = MAX_PRECISION
    ) -> Tables:
        """Quantises one probability mass function per row.

        Args:
          pmfs: a vector of probabilities per row; see `quantize_pmf`.
          minimum: int32 [rows], the value of each row's first symbol.
          precision: bits of probability, 1 to 16.

        Raises:
          CodingError: as `quantize_pmf` and `Tables` do.
        """
        rows = [quantize_pmf(pmf, precision) for pmf in pmfs]
        if not rows:
            raise CodingError("Tables must have at least one row. Received: none.")
        head = np.array([precision], np.int32)
        return cls(np.concatenate([part for row in rows for part in (head, row)]), minimum)


def quantize_pmf(pmf: np.ndarray, precision: int = MAX_PRECISION) -> np.ndarray:
    """Turns probabilities into cumulative integer counts.

    Each probability is rounded to a multiple of `2**-precision`, at least one; then single counts
    are taken where that lengthens the expected code least, or given where it shortens it most,
    until they sum to `2**precision`. Ties go to the smaller index.

    Args:
      pmf: float [size], not negative, with a positive finite sum (scaled to 1 here).
      precision: bits of probability, 1 to 16.

    Returns:
      int32 [size + 1], rising strictly from 0 to `2**precision`.

    Raises:
      CodingError: where the arguments are not so, or there are more symbols than counts.
    """
    if isinstance(precision, bool) or not isinstance(precision, (int, np.integer)):
        raise CodingError(f"`precision` must be an integer. Received: {precision!r}.")
    if not 1 <= precision <= MAX_PRECISION:
        raise CodingError(f"`precision` must be from 1 to {MAX_PRECISION}. Received: {precision}.")
    pmf = np.asarray(pmf, dtype=np.float64)
    whole = 1 << int(precision)
    if pmf.ndim != 1 or not 1 <= pmf.size <= whole:
        raise CodingError(
            f"`pmf` must be a vector of 1 to {whole} probabilities at precision {precision}. "
            f"Received: shape {pmf.shape}."
        )
    total = float(pmf.sum())
    if not (np.all(pmf >= 0) and math.isfinite(total) and total > 0):
        raise CodingError("`pmf` must be finite, not negative, and have a positive sum.")
    # Divide by the largest first: a sum of subnormal numbers has no finite inverse.
    pmf = pmf / pmf.max()
    pmf = pmf / pmf.sum()
    counts = np.maximum(1, np.rint(pmf * whole)).astype(np.int64)
    excess = int(counts.sum()) - whole
    if excess:
        _move_counts(pmf, counts, excess)
    cdf = np.zeros(pmf.size + 1, np.int32)
    np.cumsum(counts, out=cdf[1:])
    return cdf


def _move_counts(pmf: np.ndarray, counts: np.ndarray, excess: int) -> None:
    """Takes `excess` single counts where cheapest; gives where it gains most if negative."""
    step = -1 if excess > 0 else 1

    def cost(symbol: int) -> float:
        count = int(counts[symbol])
        if count + step < 1:
            return math.inf
        return -float(pmf[symbol]) * math.log2((count + step) / count)

    heap = [(cost(symbol), symbol) for symbol in range(pmf.size)]
    heapq.heapify(heap)
    for _ in range(abs(excess)):
        symbol = heap[0][1]
        counts[symbol] += step
        heapq.heapreplace(heap, (cost(symbol), symbol))
