"""Which pictures an evaluation runs over."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from tfhific.errors import TfhificError
from tfhific.evaluation.pictures import list_pictures


def test_what_an_evaluation_wrote_is_no_picture_of_the_next_one(tmp_path, photo):
    for name in ("a.png", "out/plots/psnr.png", "out/files/1.png", "out/own.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(8, 8)).save(tmp_path / name)
    os.symlink("out", tmp_path / "linked")
    for out in ("out", "linked", "out/../out"):
        found, failures = list_pictures(tmp_path, out=str(tmp_path / out))
        assert [image.name for image in found] == ["a.png", "out/own.png"]
        assert failures == []
    assert len(list_pictures(tmp_path)[0]) == 4
    with pytest.raises(TfhificError, match="an evaluation's own"):
        list_pictures(tmp_path / "out" / "plots", out=str(tmp_path / "out"))
