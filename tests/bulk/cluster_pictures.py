"""Pictures of a job on a cluster: of odd sizes, broken ones, and one that ends its worker."""

from __future__ import annotations

import pathlib
import random

import numpy as np
from PIL import Image

KILLER = "ends_its_worker.png"
BROKEN = ("cut.png", "empty.jpg", "text.webp")

SITE = f"""
import os, signal, sys


def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("{KILLER}"):
        if any("default_worker" in word for word in sys.orig_argv):
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
"""
"""A `sitecustomize.py`, with which a worker of Ray dies as it opens that picture."""


def make(folder: pathlib.Path, count: int) -> list[str]:
    """Makes `count` pictures and gives their names; the broken ones are among them."""
    folder.mkdir()
    random.seed(0)
    names = []
    for number in range(count - len(BROKEN) - 1):
        names.append(save(folder, number))
    (folder / "cut.png").write_bytes((folder / names[0]).read_bytes()[:70])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.webp").write_text("no picture")
    Image.new("RGB", (20, 20), "red").save(folder / KILLER)
    return sorted([*names, *BROKEN, KILLER])


def save(folder: pathlib.Path, number: int) -> str:
    """Makes one picture of a size and kind that its number says, and gives its name."""
    rng = np.random.default_rng(number)
    width, height = (int(side) for side in rng.integers(1, 150, 2))
    colours = rng.integers(0, 256, [5, 4, 3 if number % 3 else 4], np.uint8)
    image = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
    ending = (".png", ".jpg", ".webp", ".png")[number % 4] if number % 3 else ".png"
    name = f"{number:05d}{ending}"
    image.save(folder / name)
    return name
