"""Places by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfhific.bulk.archives import Archive, is_archive
from tfhific.bulk.places import Folder, Place
from tfhific.bulk.remote import Remote
from tfhific.errors import TfhificError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def open_place(name: str, options: Mapping[str, object] | None = None) -> Place:
    """The place of a name.

    Args:
      name: a folder's path, that of a zip or tar file, or a URL that fsspec knows, such as `s3://bucket/folder`.
      options: of the URL's file system.

    Raises:
      TfhificError: an empty name, or a URL of a kind that is not known here.
    """
    if not name:
        raise TfhificError("Expected a folder or a URL. Received an empty name.")
    url = _URL.match(name)
    if url is None:
        return Archive(name) if is_archive(name) else Folder(name)
    if url[1].lower() in ("file", "local"):
        return Folder(name[url.end() :])
    return Remote(name, dict(options or {}))
