"""Values to what the range coder sees, and back: symbols, certain rows, escapes.

Of n values, each with the table row it is coded by:

- those of a certain row (one symbol) are not coded;
- the others are, as symbols counted from 0 within their row; a value outside its row is replaced
  by the row's most probable symbol and carried in the escape list instead;
- a value outside a certain row is carried in the escape list too.

The escape list has, in order of position, `gap` and `excess` of each escaped value as varints: the
number of values skipped since the last escaped one, and `2 (v - last - 1)` for a value above the
row's last, `2 (first - v - 1) + 1` for one below its first.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfc_port.coding import varints
from tfc_port.coding.errors import CodingError
from tfc_port.coding.tables import Tables

_INT32 = np.iinfo(np.int32)


def int32_vector(value: object, name: str) -> np.ndarray:
    """Returns `value` as a contiguous int32 vector.

    Raises:
      CodingError: where it isn't a vector of integers that fit int32.
    """
    array = np.asarray(value)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise CodingError(
            f"`{name}` must be a vector of integers. "
            f"Received: shape {array.shape}, dtype {array.dtype}."
        )
    if array.dtype == np.int32:
        return np.ascontiguousarray(array)
    if array.size and (int(array.min()) < _INT32.min or int(array.max()) > _INT32.max):
        raise CodingError(f"`{name}` must fit 32-bit signed integers; it has larger entries.")
    return np.ascontiguousarray(array, dtype=np.int32)


def check_indexes(indexes: object, tables: Tables) -> np.ndarray:
    """Returns `indexes` as int32 [n].

    Raises:
      CodingError: where they aren't, or one is not a row of the tables.
    """
    indexes = int32_vector(indexes, "indexes")
    # Seen as unsigned, a negative index is larger than any row.
    if indexes.size and int(indexes.view(np.uint32).max()) >= tables.rows:
        raise CodingError(
            f"`indexes` must be from 0 to {tables.rows - 1}. "
            f"Received: {int(indexes.min())} to {int(indexes.max())}."
        )
    return indexes


def check_values(values: object, indexes: np.ndarray) -> np.ndarray:
    """Returns `values` as int32 [n].

    Raises:
      CodingError: where they aren't, or there are not as many as indexes.
    """
    values = int32_vector(values, "values")
    if values.size != indexes.size:
        raise CodingError(
            f"`values` and `indexes` must have the same length. "
            f"Received: {values.size} and {indexes.size}."
        )
    return values


@dataclasses.dataclass(frozen=True)
class Rows:
    """Which row each value is coded by.

    Attributes:
      places: intp [n], the rows.
      coded: intp [m], the positions of the values that are coded, rising; None for all of them.
      coded_rows: int32 [m], their rows.
    """

    places: np.ndarray
    coded: np.ndarray | None
    coded_rows: np.ndarray

    @classmethod
    def of(cls, indexes: object, tables: Tables) -> Rows:
        """Checks `indexes` against `tables` and leaves the certain rows out.

        Raises:
          CodingError: where an index is not a row of the tables.
        """
        indexes = check_indexes(indexes, tables)
        places = indexes.astype(np.intp)
        if not (indexes.size and tables.certain.any()):
            return cls(places, None, indexes)
        coded = np.flatnonzero(_take(~tables.certain, places))
        return cls(places, coded, _take(indexes, coded))


def _take(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    # The places are known to be within the array; "clip" is faster than "raise".
    return array.take(places, mode="clip")


def to_symbols(values: object, rows: Rows, tables: Tables) -> tuple[np.ndarray, bytes]:
    """Returns the symbols to code, int32 [m], and the escape list.

    Args:
      values: int32 [n].
      rows: which row each is coded by.
      tables: the tables.

    Raises:
      CodingError: where `values` is not a vector of n int32.
    """
    values = check_values(values, rows.places)
    # Modulo 2**32 a value inside its row, and no other, is less than the row's size away from the
    # row's first: were v - first = k - 2**32 with k < size, v would be first + k - 2**32, and
    # first + k fits int32, so that v would not.
    relative = values.view(np.uint32) - _take(tables.minimum.view(np.uint32), rows.places)
    is_outside = relative >= _take(tables.sizes.view(np.uint32), rows.places)
    symbols = relative.view(np.int32)
    escapes = b""
    if is_outside.any():
        outside = np.flatnonzero(is_outside)
        escaped_rows = rows.places[outside]
        symbols[outside] = tables.mode[escaped_rows]
        first = tables.minimum[escaped_rows].astype(np.int64)
        last = first + tables.sizes[escaped_rows] - 1
        value = values[outside].astype(np.int64)
        pairs = np.empty((outside.size, 2), np.int64)
        pairs[:, 0] = np.diff(outside, prepend=-1) - 1
        pairs[:, 1] = np.where(value > last, 2 * (value - last - 1), 2 * (first - value - 1) + 1)
        escapes = varints.encode(pairs.reshape(-1))
    return (symbols if rows.coded is None else _take(symbols, rows.coded)), escapes


def read_escapes(escapes: bytes, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the escaped values, rising, and their excesses: int64 [k] each.

    Args:
      escapes: the escape list; at least one byte.
      count: how many values there are.

    Raises:
      CodingError: where it is no list of pairs, or reaches beyond the values.
    """
    numbers = varints.decode(escapes)
    if numbers.size % 2:
        raise CodingError("The escape list must hold pairs of numbers; it ends within a pair.")
    # Each gap is less than 2**35, and there are fewer than 2**28 of them: no overflow.
    positions = np.cumsum(numbers[0::2] + 1) - 1
    if int(positions[-1]) >= count:
        raise CodingError(
            f"The escape list must stay within the {count} values. "
            f"Received: position {int(positions[-1])}."
        )
    return positions, numbers[1::2]


def to_values(symbols: np.ndarray, escapes: bytes, rows: Rows, tables: Tables) -> np.ndarray:
    """Returns the values, int32 [n], that `to_symbols` was given.

    Args:
      symbols: int32 [m], each less than its row's size.
      escapes: the escape list.
      rows: which row each is coded by.
      tables: the tables.

    Raises:
      CodingError: where the escape list is not one that `to_symbols` writes.
    """
    values = _take(tables.minimum, rows.places)
    if rows.coded is not None:
        spread = np.zeros_like(values)
        spread[rows.coded] = symbols
        symbols = spread
    values += symbols
    if not escapes:
        return values
    positions, excess = read_escapes(escapes, values.size)
    escaped_rows = rows.places[positions]
    expected = tables.minimum[escaped_rows] + tables.mode[escaped_rows]
    if np.any(values[positions] != expected):
        raise CodingError(
            "An escaped value must be coded as its row's most probable symbol; one is not."
        )
    first = tables.minimum[escaped_rows].astype(np.int64)
    last = first + tables.sizes[escaped_rows] - 1
    away = (excess >> 1) + 1
    value = np.where(excess & 1, first - away, last + away)
    if int(value.min()) < _INT32.min or int(value.max()) > _INT32.max:
        raise CodingError("An escaped value must fit 32-bit signed integers; one does not.")
    values[positions] = value
    return values
