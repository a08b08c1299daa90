"""Places by their names."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping

from tfhific.bulk import archives
from tfhific.bulk.archives import Archive, is_archive
from tfhific.bulk.places import Folder, Place
from tfhific.bulk.remote import Remote
from tfhific.bulk.tables import ENDING, Table, is_table
from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import extension

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


def open_destination(name: str, options: Mapping[str, object] | None = None) -> Place:
    """The place of a name that files are written to.

    Args:
      name: as `open_place` takes it.
      options: of the URL's file system.

    Raises:
      TfhificError: as `open_place`.
      OutputError: a web server, or a new place with the name of a file that pictures can only be
        read out of.
    """
    url = _URL.match(name)
    if url and url[1].lower() in ("http", "https"):
        raise OutputError(
            f"{name}: expected a folder or an object store to write to. Received a web server's "
            "address, which is only read."
        )
    place = open_place(name, options)
    shards = (*archives.ENDINGS, ENDING)
    if isinstance(place, Folder) and extension(name) in shards and not os.path.isdir(place.name):
        raise OutputError(
            f"{name}: expected a folder or a URL to write to: outputs are files of their own. "
            f"Received a name that ends in {extension(name)}; name a folder."
        )
    return place
