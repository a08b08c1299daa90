"""Reads odd pictures with this project and with two other readers, and tables where they differ.

    python tools/compare_readers.py

needs OpenCV (`pip install opencv-python-headless`) and ImageMagick's `convert`; it prints a table of
the pictures that they do not agree on, and how many these are.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import warnings
from collections import Counter

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

_LOSSY = 24.0
"""Mean absolute difference up to which two decoders of a lossy format show the same picture."""


def _ours(path: str) -> np.ndarray | None:
    from tfhific.codec.images import read_picture
    from tfhific.errors import ImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_picture(path).pixels
        except ImageError:
            return None


def _opencv(path: str) -> np.ndarray | None:
    import cv2

    try:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else image[..., ::-1]


def _imagemagick(path: str, folder: str) -> tuple[np.ndarray | None, bool]:
    """The first frame, and whether `convert` complained."""
    out = os.path.join(folder, "out.rgb")
    if os.path.exists(out):
        os.remove(out)
    command = ["convert", f"{path}[0]", "-depth", "8", "-alpha", "off", "-format", "%w %h"]
    done = subprocess.run(
        [*command, "-write", f"rgb:{out}", "info:"], capture_output=True, timeout=60, check=False
    )
    sizes = done.stdout.split()
    if len(sizes) < 2 or not os.path.exists(out):
        return None, True
    data = np.fromfile(out, np.uint8)
    width, height = int(sizes[0]), int(sizes[1])
    if data.size != width * height * 3:
        return None, True
    return data.reshape(height, width, 3), done.returncode != 0 or bool(done.stderr)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    return float(np.abs(one.astype(int) - other).mean()) <= _LOSSY / 8


def _verdict(seen: np.ndarray | None, whole: np.ndarray, complained: bool = False) -> str:
    if seen is None:
        return "refused"
    told = "the picture" if _same(seen, whole) else "another picture"
    return f"{told}, with a complaint" if complained else told


def main() -> None:
    """Prints the comparison."""
    from odd_pictures import base_picture, odd_pictures

    whole, counts = base_picture(), Counter()
    print("| picture | this project | OpenCV | ImageMagick |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in odd_pictures():
            path = os.path.join(folder, f"{name}.{name.split('-')[0]}")
            pathlib.Path(path).write_bytes(data)
            magick, complained = _imagemagick(path, folder)
            verdicts = (
                _verdict(_ours(path), whole),
                _verdict(_opencv(path), whole),
                _verdict(magick, whole, complained),
            )
            plain = {verdict.split(",")[0] for verdict in verdicts}
            counts["agree" if len(plain) == 1 else "differ"] += 1
            if len(plain) > 1:
                print(f"| {name} | {' | '.join(verdicts)} |", flush=True)
    print(f"{sum(counts.values())} pictures: {dict(counts)}")


if __name__ == "__main__":
    main()
