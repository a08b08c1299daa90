"""Reads odd pictures with this project and with two other readers, and tables where they differ.

    python tools/compare_readers.py

needs opencv-python-headless, imagecodecs and tifffile; it prints a table of the pictures that they
do not agree on, and how many these are.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile
import warnings
from collections import Counter
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

_LOSSY = 24.0
"""Mean absolute difference up to which two decoders of a lossy format show the same picture."""


def _ours(path: str) -> np.ndarray | None:
    from tfhific.errors import ImageError
    from tfhific.pictures.images import read_picture

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


def _imagecodecs(path: str) -> np.ndarray | None:
    """By the formats' own libraries; TIFF by tifffile. The first frame or page."""
    import imagecodecs
    import tifffile

    try:
        if path.endswith(".tiff"):
            image = np.asarray(tifffile.imread(path, key=0))
        else:
            image = np.asarray(imagecodecs.imread(path))
    except Exception:  # each library has its own errors
        return None
    if path.endswith(".gif") and image.ndim == 4:
        image = image[0]
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    return image[..., :3] if image.ndim == 3 and image.shape[-1] in (3, 4) else None


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    return float(np.abs(one.astype(int) - other).mean()) <= _LOSSY / 8


def _verdict(seen: np.ndarray | None, whole: np.ndarray) -> str:
    if seen is None:
        return "refused"
    return "the picture" if _same(seen, whole) else "another picture"


def main() -> None:
    """Prints the comparison."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    from tests.codec.odd_pictures import base_picture, odd_pictures

    whole = base_picture()
    counts: Counter[str] = Counter()
    quantised: dict[str, Any] = {"gif": None}  # compared with the sound one of their kind
    print("| picture | this project | OpenCV | imagecodecs, tifffile |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in odd_pictures():
            path = os.path.join(folder, f"{name}.{name.split('-')[0]}")
            pathlib.Path(path).write_bytes(data)
            kind = name.split("-")[0]
            if kind in quantised and quantised[kind] is None:
                quantised[kind] = _ours(path)
            expected = quantised.get(kind, whole)
            verdicts = [_verdict(read(path), expected) for read in (_ours, _opencv, _imagecodecs)]
            counts["agree" if len(set(verdicts)) == 1 else "differ"] += 1
            if len(set(verdicts)) > 1:
                print(f"| {name} | {' | '.join(verdicts)} |", flush=True)
    print(f"{sum(counts.values())} pictures: {dict(counts)}")


if __name__ == "__main__":
    main()
