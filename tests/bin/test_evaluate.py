"""`bin/evaluate.py` prints curves and writes the table that they come from."""

from __future__ import annotations

import csv

import pytest
from PIL import Image


@pytest.fixture
def work(tmp_path, monkeypatch, photo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.fromarray(photo(180, 180)).save("in/a.png")
    return tmp_path


def test_curves_table_and_difference(work, call_script):
    flags = ["--qualities=1,3,5,7", "--jpeg_qualities=2,5,8,20", "--out=table.csv"]
    done = call_script("evaluate", "--data=in", "--model=tiny", *flags)
    assert (done.code, done.err) == (0, "")
    for part in ("tiny, means over 1 images", "jpeg, means over 1 images", "files over 1.01 x"):
        assert part in done.out
    assert "Bjontegaard rate difference of tiny against JPEG" in done.out
    with open("table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["codec"] for row in rows] == ["tiny"] * 4 + ["jpeg"] * 4
    again = call_script("evaluate", "--data=in", "--model=tiny", *flags)
    assert again.code == 1
    assert "--overwrite" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data"),
        (["--data=missing"], "No images in"),
        (["--data=in", "--qualities=1,9"], "--qualities"),
        (["--data=in", "--qualities=a"], "--qualities"),
        (["--data=in", "--jpeg_qualities=0"], "--jpeg_qualities"),
        (["--data=in", "--model=huge"], "'huge'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_give_one_line_and_exit_code_1(arguments, said, work, call_script):
    done = call_script("evaluate", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert said in done.err
