"""What of a folder is taken, and that the rest is counted by its reason."""

from __future__ import annotations

import os
import socket

import pytest

from tfhific.data.folders import Files, find_images, list_images
from tfhific.data.images import ImageData
from tfhific.errors import ImageError
from tfhific.files.file_kinds import IMAGE_EXTENSIONS
from tfhific.files.listing import list_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder `in` with files of every sort."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.JPG", "b.jfif", "c.jpe", "d.HEIC", "e.heic", "none", "._a.JPG", "x.tfh"):
        (tmp_path / "in" / "below" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    (tmp_path / "in" / "below" / "deep" / "f.png").write_bytes(b"x")
    (tmp_path / "in" / "below" / "._f.png").write_bytes(b"x")
    (tmp_path / "in" / "folder.png").mkdir()
    os.mkfifo("in/pipe.png")
    os.symlink("nowhere", "in/broken.png")
    os.symlink("a.JPG", "in/linked.webp")
    os.symlink("..", "in/below/round")
    return tmp_path


def test_regular_files_are_taken_and_every_other_is_counted(folder):
    found = list_folder("in", IMAGE_EXTENSIONS, recursive=True, ignored=[".tfh"])
    taken = ["a.JPG", "b.jfif", "below/deep/f.png", "broken.png", "c.jpe", "linked.webp"]
    assert found.paths == tuple(f"in/{name}" for name in taken)
    assert found.left_out.facts() == {
        "other_kinds": {"": 1, ".heic": 2},
        "macos_companions": 2,
        "pipes_and_devices": 1,
        "linked_folders": 1,
    }
    assert found.left_out.line() == (
        "3 files of kinds that are not taken (.heic 2, no ending 1), 2 companions of macOS (._*), "
        "1 pipe or device, 1 linked folder"
    )


def test_folders_below_are_counted_where_they_are_not_searched(folder):
    found = list_folder("in", IMAGE_EXTENSIONS, recursive=False)
    assert found.left_out.folders_below == 2
    assert "2 folders below (not without `recursive`)" in found.left_out.line()
    own = list_folder("in", IMAGE_EXTENSIONS, recursive=False, ignored_folder="in/below")
    assert own.left_out.folders_below == 1


def test_folder_that_can_not_be_read_is_told_and_the_rest_listed(folder, monkeypatch):
    original = os.scandir

    def scandir(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list_folder("in", IMAGE_EXTENSIONS, recursive=True)
    assert len(found.paths) == 5
    assert found.left_out.unreadable == [("in/below/deep", "Permission denied")]
    assert found.left_out.facts()["unreadable_folders"] == ["in/below/deep"]
    assert "1 folder that can't be read" in found.left_out.line()


def test_socket_is_left_out(folder):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("in/s.png")
        assert list_folder("in", IMAGE_EXTENSIONS, recursive=False).left_out.special == 2


def test_odd_and_many_endings_stay_in_one_short_line(folder):
    for number in range(40):
        (folder / "in" / f"y.k{number}").write_bytes(b"")
    (folder / "in" / "z.a\nb").write_bytes(b"")
    line = list_folder("in", IMAGE_EXTENSIONS, recursive=True).left_out.line()
    assert "\n" not in line
    assert len(line) < 250
    assert "45 files of kinds" in line


def test_whole_folder_has_nothing_to_tell(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    found = list_folder(str(tmp_path), IMAGE_EXTENSIONS, recursive=True)
    assert (found.left_out.line(), found.left_out.facts()) == ("", {})


def test_training_takes_regular_files_alone_and_says_what_it_leaves(folder):
    assert "in/pipe.png" not in list_images("in")
    assert "in/pipe.png" not in list_images("in/*.*")
    found = find_images("in")
    data = ImageData(Files(found.paths, found.left_out), 8, 1)
    assert data.describe().startswith("6 images (left out: 4 files of kinds that are not taken")
    assert "1 pipe or device" in data.describe()


def test_folder_of_other_kinds_alone_is_refused_with_what_it_has(folder):
    os.mkdir("other")
    (folder / "other" / "a.heic").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"It has 1 file of kinds .*\.heic 1"):
        list_images("other")
