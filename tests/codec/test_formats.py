"""Files of every format version, kept: they decode as they did when they were made."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import tfhific
from tfhific.bitstream import container
from tfhific.pictures.images import read_picture

DATA = pathlib.Path(__file__).parent / "data"
SAMPLES = sorted(DATA.glob("format*.tfh"))


def test_there_is_a_sample_of_every_readable_version():
    versions = {container.unpack(path.read_bytes()).version for path in SAMPLES}
    assert versions == set(container.READABLE_VERSIONS)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_kept_file_decodes_to_its_kept_picture(path):
    data = path.read_bytes()
    decoded = tfhific.load_for(data).decompress(data).astype(int)
    kept = read_picture(path.with_suffix(".png")).pixels
    assert decoded.shape == kept.shape
    assert np.abs(decoded - kept).max() <= 1
