"""Places behind URLs: object stores and whatever else fsspec opens."""

from __future__ import annotations

import datetime
import posixpath
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfhific.bulk import s3_pages
from tfhific.bulk.places import Found, Place
from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import extension
from tfhific.files.listing import LeftOut

_WHOLE_OR_NOT = ("s3", "s3a", "gs", "gcs", "az", "abfs", "memory")
"""Protocols whose objects appear whole: an upload that ends early leaves nothing."""

_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


class Remote(Place):
    """A tree of files of a file system that fsspec knows."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """Opens it.

        Raises:
          TfhificError: no such kind of file system, or what it needs is not installed.
        """
        self.name = url.rstrip("/")
        self._options = dict(options)
        self._system: Any = None
        self._root = ""
        self._open()

    def _open(self) -> None:
        try:
            import fsspec

            self._system, self._root = fsspec.core.url_to_fs(self.name, **self._options)
        except (ImportError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TfhificError(
                f"{self.name}: this kind of URL can't be opened ({reason}). Install what fsspec "
                "needs for it, or name a folder."
            ) from None
        self._root = self._root.rstrip("/")

    # File systems hold connections and threads: each process opens its own.

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "_options": self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def files(self) -> dict[str, Found]:
        return dict(self._list(missing_is_empty=True))

    def taken(
        self, extensions: Sequence[str], recursive: bool, ignored: Sequence[str]
    ) -> tuple[dict[str, Found], LeftOut]:
        found, left_out = {}, LeftOut()
        below = set()
        for path, facts in self._list(missing_is_empty=False):
            name = posixpath.basename(path)
            if not recursive and "/" in path.lstrip("/"):
                below.add(path.partition("/")[0])
            elif name.startswith("._"):
                left_out.companions += 1
            elif name.lower().endswith(tuple(extensions)):
                found[path] = facts
            elif not name.lower().endswith(tuple(ignored) or ("/",)):
                left_out.kinds[extension(name)] += 1
        left_out.folders_below = len(below)
        return dict(sorted(found.items())), left_out

    def _list(self, missing_is_empty: bool) -> Iterator[tuple[str, Found]]:
        begin = f"{self._root}/"
        try:
            self._system.invalidate_cache()
            empty = True
            for path, facts in self._listed():
                empty = False
                if path.startswith(begin):
                    yield path[len(begin) :], _found(facts)
            if empty and not missing_is_empty and not self._system.isdir(self._root):
                raise FileNotFoundError
        except FileNotFoundError:
            if missing_is_empty:
                return
            raise TfhificError(f"{self.name}: expected a folder; there is none.") from None
        except Exception as error:
            raise TfhificError(f"{self.name}: can't be listed ({_said(error)}).") from None

    def _listed(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Whole paths of files with what the system says of each."""
        if "s3" in self._protocols():
            bucket, key, _ = self._system.split_path(self._root)
            yield from s3_pages.listed(self._system.call_s3, bucket, f"{key}/" if key else "")
            return
        # One answer of the system's: only S3's is known to come in pages.
        for path, facts in self._system.find(self._root, detail=True).items():
            if facts.get("type") != "directory":
                yield path, facts

    def _protocols(self) -> tuple[str, ...]:
        protocol = self._system.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def read(self, path: str, start: int | None = None) -> bytes:
        try:
            end = {} if start is None else {"start": 0, "end": start}
            return self._system.cat_file(self._whole(path), **end)
        except Exception as error:
            raise TfhificError(f"{self.shown(path)}: can't be read ({_said(error)}).") from None

    def write(self, path: str, data: bytes, overwrite: bool) -> None:
        whole = self._whole(path)
        try:
            if not overwrite and self._system.exists(whole):
                raise FileExistsError
            if set(self._protocols()) & set(_WHOLE_OR_NOT):
                self._system.pipe_file(whole, data, mode="overwrite" if overwrite else "create")
            else:
                self._write_and_move(whole, data)
        except FileExistsError:
            raise OutputError(f"{self.shown(path)}: is there already.") from None
        except Exception as error:
            raise OutputError(f"{self.shown(path)}: can't be written ({_said(error)}).") from None

    def _write_and_move(self, whole: str, data: bytes) -> None:
        folder = posixpath.dirname(whole)
        self._system.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
        try:
            self._system.pipe_file(temporary, data)
            self._system.mv(temporary, whole)
        except BaseException:
            if self._system.exists(temporary):
                self._system.rm_file(temporary)
            raise

    def remove(self, path: str) -> None:
        try:
            self._system.rm_file(self._whole(path))
        except FileNotFoundError:
            pass
        except Exception as error:
            raise TfhificError(f"{self.shown(path)}: can't be removed ({_said(error)}).") from None

    def shown(self, path: str) -> str:
        return f"{self.name}/{path}"

    def settle(self, path: str, source: Place, source_path: str) -> None:
        """Objects have the store's times; the manifest knows the inputs'."""

    def _whole(self, path: str) -> str:
        return f"{self._root}/{path}"


def _found(facts: Mapping[str, Any]) -> Found:
    size = facts.get("size")
    return Found(size if isinstance(size, int) else None, _nanoseconds(facts))


def _nanoseconds(facts: Mapping[str, Any]) -> int | None:
    for name in _TIMES:
        time = facts.get(name)
        if isinstance(time, datetime.datetime):
            if time.tzinfo is None:
                time = time.replace(tzinfo=datetime.timezone.utc)
            return int(time.timestamp() * 1000) * 10**6
        if isinstance(time, (int, float)):
            return int(time * 1000) * 10**6
    return None


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
