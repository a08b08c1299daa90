"""Pictures in a column of a Parquet file, one a row, read a few rows at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tfhific.bulk.places import Found, ReadOnly
from tfhific.errors import TfhificError
from tfhific.files.listing import LeftOut

ENDING = ".parquet"

_ROWS = 8
"""Read at a time: memory is that of so many pictures, however large a row group is."""

_BUFFER = 1 << 20
_NAMES = 4096
_LONGEST_NAME = 1024


class Table(ReadOnly):
    """The rows of a Parquet file that has the bytes of image files in a column.

    The file is taken for hostile: what its footer says is checked before it is gone by, and names
    are those of any source, of which only plain ones are followed (`tfhific.bulk.plan`).
    """

    start_costs_all = True
    what = "a Parquet file"

    def __init__(self, path: str, image_column: str, name_column: str | None) -> None:
        """Opens it.

        Args:
          path: of a file on a disk that all machines of a job see.
          image_column: with the bytes of image files, as binary or as a struct that has them in its
            field `bytes`; a field of a struct is called `image.bytes`.
          name_column: with the pictures' names, of texts or whole numbers; None for the numbers of
            rows, in eight digits, from 0.

        Raises:
          TfhificError: it is damaged, or has no such columns.
        """
        self.name = os.path.abspath(path)
        self._columns = image_column, name_column
        self._lock = threading.Lock()
        self._names: Any = None
        self._open()

    def _open(self) -> None:
        self._file = _opened(self.name)
        image, name = self._columns
        self._images = _leaf(self._file, self.name, image, "image_column", ("BYTE_ARRAY",))
        if name is not None:
            kinds = ("BYTE_ARRAY", "INT32", "INT64")
            self._name_leaf = _leaf(self._file, self.name, name, "name_column", kinds)
        self._modified = os.stat(self.name).st_mtime_ns
        self._starts = _row_groups(self._file, self.name)
        self._rows = _Ahead(iter(()), 0, 0)
        self._at = 0

    # An open file, and rows that are read ahead: each process has its own.

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "_columns": self._columns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["name"], *state["_columns"])  # type: ignore[misc]

    def taken(
        self, extensions: Sequence[str], recursive: bool, ignored: Sequence[str]
    ) -> tuple[dict[str, Found], LeftOut]:
        # Whoever made the table put pictures into the column, whatever their names end in.
        found = Found(None, self._modified)
        taken: dict[str, Found] = {}
        for row, name in enumerate(self._each_name()):
            if name in taken:
                raise TfhificError(
                    f"{self.name}: column {self._columns[1]}: row {row}: another is called "
                    f"{name!r} too; leave `name_column` out, and rows are called by their numbers."
                )
            taken[name] = found
        return taken, LeftOut()

    def nothing(self, extensions: Sequence[str], recursive: bool, left_out: LeftOut) -> str:
        return f"{self.name}: expected a Parquet file of pictures; it has no rows."

    def _each_name(self) -> Iterator[str]:
        if self._columns[1] is None:
            yield from (f"{row:08d}" for row in range(self._starts[-1]))
            return
        row = 0
        for chunk in self._name_chunks():
            for name in chunk:
                text = name.as_py()
                if not text or len(text) > _LONGEST_NAME:
                    what = "none" if not text else f"{len(text)} characters"
                    raise TfhificError(
                        f"{self.name}: column {self._columns[1]}: row {row}: expected a name of at "
                        f"most {_LONGEST_NAME} characters, received {what}."
                    )
                yield text
                row += 1

    def _name_chunks(self) -> Iterator[Any]:
        import pyarrow

        try:
            for batch in self._file.iter_batches(_NAMES, columns=[self._name_leaf]):
                names = _inner(batch.column(0)).cast(pyarrow.large_string())
                names.validate(full=True)  # that they are UTF-8
                yield names
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise TfhificError(_damaged(self.name, error)) from None

    def read(self, path: str, start: int | None = None) -> bytes:
        import pyarrow

        with self._lock:
            try:
                data = self._row(self._number(path))
            except (pyarrow.ArrowException, OSError, ValueError) as error:
                self._at, self._rows = 0, _Ahead(iter(()), 0, 0)
                reason = " ".join(str(error).split())[:200]
                raise TfhificError(f"{self.shown(path)}: can't be read ({reason}).") from None
        return data if start is None else data[:start]

    def _number(self, path: str) -> int:
        """The row of a name; mostly one of the next, since rows are dealt out in their order."""
        import pyarrow.compute

        if self._columns[1] is None:
            row = int(path) if path.isdecimal() else -1
            if not 0 <= row < self._starts[-1]:
                raise OSError("no such row")
            return row
        if self._names is None:
            self._names = pyarrow.chunked_array(list(self._name_chunks()), pyarrow.large_string())
        for begin in (self._at, 0):
            found = pyarrow.compute.index(self._names.slice(begin), path).as_py()
            if found >= 0:
                return begin + found
        raise OSError("no such row")

    def _row(self, row: int) -> bytes:
        if not self._rows.first <= row < self._rows.end:
            group = next(g for g, end in enumerate(self._starts[1:]) if row < end)
            batches = self._file.iter_batches(_ROWS, row_groups=[group], columns=[self._images])
            self._rows = _Ahead(batches, self._starts[group], self._starts[group + 1])
        value = self._rows.value(row)
        self._at = row
        if not value.is_valid:
            raise OSError("the row has no picture")
        return value.as_py()


class _Ahead:
    """Values of a row group, a batch at a time and forwards alone."""

    def __init__(self, batches: Iterator[Any], first: int, end: int) -> None:
        self._batches = batches
        self.first, self.end = first, end
        self._values: Any = ()

    def value(self, row: int) -> Any:
        while row >= self.first + len(self._values):
            self.first += len(self._values)
            self._values = ()  # before the next are there
            batch = next(self._batches, None)
            if batch is None or not len(batch):
                raise OSError("the file has fewer rows than it says")
            self._values = _inner(batch.column(0))
        return self._values[row - self.first]


def is_table(name: str) -> bool:
    """Whether a path is that of a Parquet file."""
    return name.lower().endswith(ENDING) and os.path.isfile(name)


def _opened(path: str) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise TfhificError(
            f"{path}: Parquet files are read with pyarrow, which tfhific's extra `bulk` brings: "
            "pip install pyarrow"
        ) from None
    try:
        # Page by page, of the disk too: a column of a row group may be larger than memory.
        return pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise TfhificError(_damaged(path, error)) from None


def _damaged(path: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"{path}: expected a Parquet file, received something else or a damaged one ({reason})."


def _leaf(file: Any, path: str, name: str, flag: str, kinds: Sequence[str]) -> str:
    """The full name of a column that has one value a row.

    Raises:
      TfhificError: there is none of this name, or it holds something else.
    """
    columns = [file.schema.column(number) for number in range(len(file.schema))]
    leaves = {column.path: column for column in columns}
    leaf = leaves.get(name) or leaves.get(f"{name}.bytes")
    if leaf is None:
        shown = ", ".join(sorted(leaves)[:12])
        raise TfhificError(f"{path}: `{flag}={name}`: no such column; it has {shown}."[:500])
    if leaf.max_repetition_level or leaf.physical_type not in kinds:
        raise TfhificError(
            f"{path}: `{flag}={name}`: expected one {' or '.join(kinds)} a row, received "
            f"{'lists of ' if leaf.max_repetition_level else ''}{leaf.physical_type}."
        )
    return leaf.path


def _row_groups(file: Any, path: str) -> list[int]:
    """The first row of each row group, and the number of rows.

    Raises:
      TfhificError: the footer contradicts itself or the file's length.
    """
    starts = [0]
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        starts.append(starts[-1] + max(rows, 0))
    # A picture takes more than a byte. What is made of the number, such as names, stays bounded.
    if starts[-1] != file.metadata.num_rows or starts[-1] > os.stat(path).st_size:
        raise TfhificError(
            f"{path}: expected a Parquet file; its footer speaks of {file.metadata.num_rows} rows, "
            f"its row groups of {starts[-1]}, in {os.stat(path).st_size} bytes."
        )
    return starts


def _inner(values: Any) -> Any:
    """What is in a struct of one field, as a column by its full name is read."""
    import pyarrow

    while pyarrow.types.is_struct(values.type):
        (values,) = values.flatten()
    return values
