"""A picture of 108 megapixels in bounded memory."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfhific.pictures.images import read_picture, write_png

BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"


def peak_of(environment: dict, script: str, *arguments) -> float:
    """Peak memory, in GiB, of a script that succeeds in a new process."""
    process = subprocess.Popen(
        [sys.executable, BIN / f"{script}.py", *arguments],
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 2**20


@pytest.mark.slow
def test_a_picture_of_12000_by_9000_stays_under_3_gib(tmp_path, photo, clean_shell):
    pytest.importorskip("tfhific").load("mini")
    part = photo(1000, 1500, seed=3)
    pixels = np.tile(part, (9, 8, 1))
    pixels[::977] = 255
    source, packed, back = (tmp_path / name for name in ("a.png", "a.tfh", "b.png"))
    write_png(pixels, source)
    assert peak_of(clean_shell(), "compress", source, packed) < 3
    assert peak_of(clean_shell(), "decompress", packed, back) < 3
    decoded = read_picture(back).pixels
    assert decoded.shape == pixels.shape
    rows = slice(4000, 4500)
    error = np.mean((decoded[rows].astype(np.float32) - pixels[rows]) ** 2)
    assert 10 * np.log10(255**2 / error) > 25
