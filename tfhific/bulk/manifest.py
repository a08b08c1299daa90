"""A job's manifest: one Parquet file, and parts beside it while a job runs.

Parquet can't be written on at its end. So rows are written as parts, each whole or not there, and
put together once the job ends; what stands in a later part takes the place of what stood before.
A job that was killed leaves parts, which the next one reads and goes on from.
"""

from __future__ import annotations

import io
import itertools
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tfhific.bulk.places import Place
from tfhific.bulk.rows import KINDS, Row, row_of
from tfhific.errors import OutputError, TfhificError

NAME = "manifest.parquet"
"""The manifest's path in the destination."""

_PARTS = f"{NAME}.parts/"
_MARK = b"tfhific.bulk"
_VERSION = b"1"
_ROWS, _SECONDS = 5000, 20.0


class Manifest:
    """Rows by source; those that are new are written as parts now and then."""

    def __init__(self, place: Place, present: Iterable[str]) -> None:
        """Reads what is there.

        Args:
          place: of the outputs.
          present: paths of the files in it.

        Raises:
          TfhificError: what has the manifest's name is something else, or damaged.
        """
        if place.is_folder(NAME):
            raise _in_the_way(place, NAME, "a folder")
        if _PARTS.rstrip("/") in present:
            raise _in_the_way(place, _PARTS.rstrip("/"), "a file")
        self._place = place
        self._parts = sorted(path for path in present if path.startswith(_PARTS))
        self._whole = NAME in present
        self.rows: dict[str, Row] = {}
        for path in ([NAME] if self._whole else []) + self._parts:
            for row in from_parquet(place.read(path), place.shown(path)):
                self.rows[row.source] = row
        self._next = _number_after(self._parts)
        self._new: list[Row] = []
        self._written = time.monotonic()

    def add(self, row: Row) -> None:
        """Takes a row in; it may be written later.

        Raises:
          OutputError: the part can't be written, or another job writes here too.
        """
        # Of a million rows these texts are a few; each came from a worker as its own.
        row = row._replace(status=sys.intern(row.status), model=row.model and sys.intern(row.model))
        self.rows[row.source] = row
        self._new.append(row)
        if len(self._new) >= _ROWS or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that are new.

        Raises:
          OutputError: as `add`.
        """
        if self._new:
            path = f"{_PARTS}{self._next:08d}.parquet"
            try:
                self._place.write(path, to_parquet(self._new), overwrite=False)
            except OutputError as error:
                raise OutputError(
                    f"{error} Does another job write to {self._place.name}?"
                ) from None
            self._parts.append(path)
            self._next += 1
            self._new = []
        self._written = time.monotonic()

    def finish(self) -> None:
        """Puts all rows into the one file, in the order of their sources, and removes the parts.

        Raises:
          OutputError: it can't be written; the parts stay.
        """
        self.flush()
        if not self._parts:
            return
        rows = [self.rows[source] for source in sorted(self.rows)]
        self._place.write(NAME, to_parquet(rows), overwrite=True)
        for path in self._parts:
            self._place.remove(path)
        self._parts = []


def _in_the_way(place: Place, path: str, what: str) -> OutputError:
    return OutputError(
        f"{place.shown(path)}: is {what}, and the manifest is to be there; move it away, or name "
        "another destination."
    )


def _number_after(parts: list[str]) -> int:
    numbers = [path[len(_PARTS) :].partition(".")[0] for path in parts]
    return max((int(each) for each in numbers if each.isdecimal()), default=-1) + 1


def to_parquet(rows: Iterable[Row]) -> bytes:
    """A Parquet file of rows."""
    import pyarrow
    import pyarrow.parquet

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    metadata = {_MARK: _VERSION}
    schema = pyarrow.schema([(n, types[kind]) for n, kind in KINDS.items()], metadata=metadata)
    held, waiting = io.BytesIO(), iter(rows)
    with pyarrow.parquet.ParquetWriter(held, schema) as writer:
        # A few at a time: as dictionaries they take as much again as they do as rows.
        while some := [row._asdict() for row in itertools.islice(waiting, _ROWS)]:
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))
    return held.getvalue()


def from_parquet(data: bytes, where: str) -> list[Row]:
    """The rows of a Parquet file.

    Args:
      data: the file.
      where: it is, for messages.

    Raises:
      TfhificError: it is no manifest, or damaged.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        _check_metadata(file.schema_arrow.metadata or {}, where)
        columns = [name for name in KINDS if name in file.schema_arrow.names]
        rows: list[Row] = []
        for batch in file.iter_batches(_ROWS, columns=columns):
            for each in batch.to_pylist():
                rows.append(row_of(each, f"{where}, row {len(rows)}"))
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise TfhificError(
            f"{where}: expected a manifest in Parquet, received something else or a damaged one "
            f"({reason}). Move it away; outputs that are there are kept."
        ) from None
    return rows


def _check_metadata(metadata: Mapping[Any, Any], where: str) -> None:
    if metadata.get(_MARK) != _VERSION:
        raise TfhificError(
            f"{where}: is a Parquet file, but no manifest of this command; move it away, or name "
            "another destination."
        )
