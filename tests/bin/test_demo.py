"""`bin/demo.py` leaves every file as it is that was there before it."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.mark.parametrize("there", ["photo.tfh", "photo.comparison.png"])
def test_results_never_replace_a_file(there, call_script, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(192, 208)).save("photo.png")
    (tmp_path / there).write_text("mine")
    done = call_script("demo", "photo.png", "--out=.", "--model=tiny")
    assert done.code == 0, done.err
    assert (tmp_path / there).read_text() == "mine"
    made = {path.name for path in tmp_path.iterdir()} - {"photo.png", there}
    assert made == {"photo-2.tfh", "photo-2.decoded.png", "photo-2.comparison.png"}
    assert "wrote ./photo-2.tfh" in done.out
