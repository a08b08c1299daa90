"""Symbols to bytes and back: one payload format, three implementations that agree on it."""

from __future__ import annotations

import importlib.util
import typing

import numpy as np

from tfc_port.coding import lockstep, native, payload, python, symbols
from tfc_port.coding.errors import CodingError
from tfc_port.coding.tables import Tables

if typing.TYPE_CHECKING:
    from tfc_port.coding.graph import GraphCoder

IMPLEMENTATIONS = ("native", "graph", "python")


def available() -> tuple[str, ...]:
    """Returns which of `IMPLEMENTATIONS` work here, the preferred one first."""
    names = []
    if native.is_available():
        names.append("native")
    if importlib.util.find_spec("tensorflow") is not None:
        names.append("graph")
    return (*names, "python")


def estimate_bytes(values: np.ndarray, indexes: np.ndarray, tables: Tables) -> float:
    """Returns what values take in one stream, without coding them: a few bytes off at most.

    The code lengths of the symbols and the escape list, in units of 1/2048 byte: the same number
    from every implementation, so that all choose the same number of streams.

    Args:
      values: int32 [n].
      indexes: int32 [n], the row of `tables` that each value is coded by.
      tables: the tables.

    Raises:
      CodingError: where the arguments are not so.
    """
    rows = symbols.Rows.of(indexes, tables)
    coded, escapes = symbols.to_symbols(values, rows, tables)
    places = tables.starts[rows.coded_rows] + 1 + coded
    return int(tables.code_lengths[places].sum(dtype=np.int64)) / 2048 + len(escapes)


def _resolve(implementation: str | None) -> str:
    if implementation is None:
        return available()[0]
    if implementation not in IMPLEMENTATIONS:
        raise CodingError(
            f"`implementation` must be one of {', '.join(IMPLEMENTATIONS)}, or None for the "
            f"fastest one here. Received: {implementation!r}."
        )
    return implementation


def encode(
    values: np.ndarray,
    indexes: np.ndarray,
    tables: Tables,
    *,
    streams: int,
    implementation: str | None = None,
) -> bytes:
    """Codes integers by frozen tables.

    Args:
      values: int32 [n].
      indexes: int32 [n], the row of `tables` that each value is coded by.
      tables: the tables.
      streams: over how many independent streams to deal the values; see `choose_streams`. The
        decoder needs the same number.
      implementation: "native", "graph" or "python"; None for the fastest one here. All write the
        same bytes.

    Returns:
      The payload; see docs/coding.md.

    Raises:
      CodingError: where the arguments are not so, or the implementation is not there.
    """
    implementation = _resolve(implementation)
    streams = payload.check_streams(streams)
    if implementation == "graph":
        indexes = symbols.check_indexes(indexes, tables)
        values = symbols.check_values(values, indexes)
        return tables.once(_graph_coder).encode(values, indexes, streams)
    rows = symbols.Rows.of(indexes, tables)
    coded, escapes = symbols.to_symbols(values, rows, tables)
    if not coded.size:
        strings = [b""] * streams
    elif implementation == "native":
        strings = native.encode_streams(coded, rows.coded_rows, tables, streams)
    else:
        cdfs = _cdfs(rows.coded_rows, tables)
        coded = coded.tolist()
        strings = [
            python.encode_stream(coded[first::streams], cdfs[first::streams])
            for first in range(streams)
        ]
    return payload.join(strings, escapes)


def decode(
    payload_bytes: bytes,
    indexes: np.ndarray,
    tables: Tables,
    *,
    streams: int,
    implementation: str | None = None,
) -> np.ndarray:
    """Decodes what `encode` wrote, with whatever implementation.

    Args:
      payload_bytes: the payload, exactly.
      indexes: int32 [n], the row of `tables` that each value was coded by.
      tables: the tables it was coded by.
      streams: how many streams it was dealt to.
      implementation: "native", "graph" or "python"; None for the fastest one here.

    Returns:
      int32 [n], the values.

    Raises:
      CodingError: where the payload is not one of n such values, or the arguments are not so.
    """
    implementation = _resolve(implementation)
    streams = payload.check_streams(streams)
    if not isinstance(payload_bytes, (bytes, bytearray, memoryview)):
        raise CodingError(f"A payload must be bytes. Received: {type(payload_bytes).__name__}.")
    payload_bytes = bytes(payload_bytes)
    if implementation == "graph":
        indexes = symbols.check_indexes(indexes, tables)
        return tables.once(_graph_coder).decode(payload_bytes, indexes, streams)
    rows = symbols.Rows.of(indexes, tables)
    strings, escapes = payload.split(payload_bytes, streams)
    if implementation == "python" and len(strings) >= lockstep.FROM and rows.coded_rows.size:
        coded = lockstep.decode_streams(strings, rows.coded_rows, tables)
    elif implementation == "python" or not rows.coded_rows.size:
        cdfs = _cdfs(rows.coded_rows, tables)
        coded = np.empty(len(cdfs), np.int32)
        for first, string in enumerate(strings):
            coded[first::streams] = python.decode_stream(string, cdfs[first::streams])
    else:
        coded = native.decode_streams(strings, rows.coded_rows, tables)
    return symbols.to_values(coded, escapes, rows, tables)


def check(payload_bytes: bytes, count: int, *, streams: int) -> None:
    """Refuses what can't be a payload of so many values, whatever their tables are.

    It looks at the frame, the streams' lengths and the escape list and decodes nothing: what a file
    claims is looked at before anything is allocated or computed by it.

    Args:
      payload_bytes: the payload, exactly.
      count: how many values it should hold.
      streams: how many streams it was dealt to.

    Raises:
      CodingError: where `decode` would raise one for any indexes.
    """
    strings, escapes = payload.split(bytes(payload_bytes), payload.check_streams(streams))
    # A symbol makes the decoder read two bytes at most, behind the first four.
    longest = 4 + 2 * -(-count // streams)
    if max(map(len, strings)) > longest:
        raise CodingError(
            f"A stream of {count} values dealt to {streams} must have at most {longest} bytes. "
            f"Received: {max(map(len, strings))}."
        )
    if escapes:
        symbols.read_escapes(escapes, count)


def _graph_coder(tables: Tables) -> GraphCoder:
    """The coder in TensorFlow operations, which is imported when first needed."""
    from tfc_port.coding.graph import GraphCoder

    return GraphCoder(tables)


def _cdfs(rows: np.ndarray, tables: Tables) -> list[list[int]]:
    """Returns for each entry of `rows` that row's CDF at precision 16; equal rows share one."""
    used = np.unique(rows)
    bounds = np.append(tables.starts, tables.lookup.size)
    cdfs = {int(row): tables.lookup16[bounds[row] + 1 : bounds[row + 1]].tolist() for row in used}
    return [cdfs[row] for row in rows.tolist()]
