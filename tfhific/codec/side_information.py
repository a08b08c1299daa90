"""What a codec takes beside the picture, from what a user says: label maps, regions, searches."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from tfhific.bitstream.kept import Kept
from tfhific.bitstream.label_map import label_map_of, read_label_map
from tfhific.codec.base import Codec
from tfhific.codec.inversion_search import SearchOptions
from tfhific.errors import TfhificError


@dataclasses.dataclass(frozen=True)
class Requests:
    """What was asked for; None or empty: nothing.

    Attributes:
      labels: label map of the picture, or a folder of such, under the pictures' names.
      keep: classes to keep, by name or number.
      boxes: to keep, each as "left,top,width,height".
      label: the picture's class.
      search: fields of `SearchOptions` that were given, but for its weights.
      lpips: file of LPIPS weights: of the search, or of an encoder that tries harder.
    """

    labels: str | None = None
    keep: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    label: int | None = None
    search: dict = dataclasses.field(default_factory=dict)
    lpips: str | None = None

    def given(self) -> dict[str, bool]:
        """By the names that codecs list in `needs`: whether something was asked for."""
        return {
            "labels": self.labels is not None,
            "kept": bool(self.keep or self.boxes),
            "label": self.label is not None,
            "search": bool(self.search),
        }


_FLAGS = {
    "labels": "`labels`",
    "kept": "`keep` and `keep_box`",
    "label": "`label`",
    "search": "`bits`, `search_steps`, `restarts` and `search_loss`",
}


def side_information(
    codec: Codec, requests: Requests, source: str, size: tuple[int, int]
) -> dict[str, Any]:
    """The options of `codec.compress` for one picture.

    Args:
      codec: any codec.
      requests: what was asked for.
      source: path of the picture.
      size: its height and width.

    Raises:
      TfhificError: for what the model doesn't take.
      ImageError: when a label map or a region doesn't fit.
    """
    needs = codec.needs
    for name, given in requests.given().items():
        if given and name not in needs:
            takes = ", ".join(_FLAGS[need] for need in needs) or "nothing of the kind"
            raise TfhificError(f"{_FLAGS[name]}: not for {codec.name}, which takes {takes}.")
    found: dict = {}
    if "labels" in needs and requests.labels is not None:
        path = requests.labels
        if os.path.isdir(path):
            path = label_map_of(source, path)
        found["labels"] = read_label_map(path, size, codec.classes)
    if "kept" in needs and (requests.keep or requests.boxes):
        names = codec.class_names
        found["kept"] = Kept(
            tuple(_class(name, names, codec.classes) for name in requests.keep),
            tuple(_box(box) for box in requests.boxes),
        )
    if "search" in needs:
        found["search"] = SearchOptions(**requests.search, lpips=requests.lpips or "")
        found["label"] = requests.label
    elif requests.lpips is not None:
        found["lpips"] = requests.lpips
    return found


def _class(name: str, names: Sequence[str], classes: int) -> int:
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < classes:
        return int(name)
    known = ", ".join(names) or f"numbers from 0 to {classes - 1}"
    raise TfhificError(f"`keep`: expected classes among {known}. Received: {name!r}.")


def _box(text: str) -> tuple[int, int, int, int]:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise TfhificError(
            f"`keep_box`: expected left,top,width,height in pixels. Received: {text!r}."
        )
    left, top, width, height = (int(part) for part in parts)
    return left, top, width, height
