"""Places by their names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from tfhific.bulk.archives import Archive, is_archive
from tfhific.bulk.places import Folder, Place
from tfhific.bulk.remote import Remote
from tfhific.bulk.tables import ENDING, Table, is_table
from tfhific.errors import TfhificError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Of a Parquet file.

    Attributes:
      image: that pictures are in.
      name: that their names are in; None for the numbers of rows.
    """

    image: str = "image"
    name: str | None = None


def open_place(
    name: str, options: Mapping[str, object] | None = None, columns: Columns | None = None
) -> Place:
    """The place of a name.

    Args:
      name: a folder's path, that of a zip, tar or Parquet file, or a URL that fsspec knows, such as
        `s3://bucket/folder`.
      options: of the URL's file system.
      columns: of a Parquet file; None for those by default.

    Raises:
      TfhificError: an empty name, a URL of a kind that is not known here, a damaged file,
        or columns where there is no Parquet file.
    """
    if not name:
        raise TfhificError("Expected a folder or a URL. Received an empty name.")
    url = _URL.match(name)
    if url is None and is_table(name):
        return Table(name, *dataclasses.astuple(columns or Columns()))
    if columns is not None:
        raise TfhificError(
            "`image_column` and `name_column` are those of a Parquet file: expected one that is "
            f"there and ends in {ENDING}. Received: {name}."
        )
    if url is None:
        return Archive(name) if is_archive(name) else Folder(name)
    if url[1].lower() in ("file", "local"):
        return Folder(name[url.end() :])
    return Remote(name, dict(options or {}))
