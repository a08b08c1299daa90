"""What a file's ending says that it is, and which endings an output may have.

Endings choose which files of a folder are taken, and keep an output from being given the name of
something else. What is in a file is never told from its ending: readers look at the bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfhific.errors import OutputError

IMAGE_EXTENSIONS = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff"),
    ".webp",
)
"""Which files of a folder are taken for pictures, in any case."""

CODED_EXTENSION = ".tfh"

_OTHER_PICTURES = (
    *(".arw", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".hdr", ".heic", ".heif", ".hif", ".ico"),
    *(".j2k", ".jp2", ".jxl", ".nef", ".orf", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".raf"),
    *(".raw", ".rw2", ".svg", ".tga", ".xcf"),
)
_OTHER_FILES = (
    *(".7z", ".aac", ".avi", ".c", ".ckpt", ".csv", ".doc", ".docx", ".flac", ".gz", ".h5"),
    *(".htm", ".html", ".ipynb", ".js", ".json", ".log", ".m4a", ".m4v", ".md", ".mkv", ".mov"),
    *(".mp3", ".mp4", ".mpg", ".npy", ".npz", ".ods", ".odt", ".ogg", ".pdf", ".ppt", ".pptx"),
    *(".pt", ".pth", ".py", ".rar", ".rtf", ".safetensors", ".sh", ".tar", ".tfrecord", ".tgz"),
    *(".toml", ".txt", ".wav", ".webm", ".xls", ".xlsx", ".xml", ".xz", ".yaml", ".yml", ".zip"),
    ".zst",
)
_KNOWN = frozenset((*IMAGE_EXTENSIONS, *_OTHER_PICTURES, *_OTHER_FILES, CODED_EXTENSION))


def extension(path: str) -> str:
    """A file name's ending in lower case, with the dot; empty where there is none."""
    return os.path.splitext(path)[1].lower()


def refuse_other_kind(
    destination: str, endings: Sequence[str], written: str, *, chooses_format: bool = False
) -> None:
    """Keeps an output from the name of another kind of file.

    Endings that name no kind that is known here are left to the user, and so are names without
    one, such as devices and pipes.

    Args:
      destination: path of an output, or "-" for standard output, which has no ending.
      endings: that fit it, in lower case, with the dot.
      written: what is written, in words, for the message.
      chooses_format: the ending decides what is written, so that it has to be one of `endings`.

    Raises:
      OutputError: the ending is that of another kind.
    """
    if destination == "-":
        return
    found = extension(destination)
    if found in endings or not (chooses_format or found in _KNOWN):
        return
    expected = ", ".join(endings)
    raise OutputError(
        f"{destination}: expected a name that ends in {expected}, because {written} is written. "
        f"Received: {found or 'no ending'}. Name another output, or use `force_name`."
    )
