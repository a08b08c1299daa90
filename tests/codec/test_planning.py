"""Several files that go to one folder: their outputs' names, and what is refused."""

from __future__ import annotations

import os

import pytest

from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import IMAGE_EXTENSIONS
from tfhific.files.planning import Job, Plan, plan_several, takes_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with pictures, also below it, what is none, and a folder for outputs."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.jpg", "in/a.PNG", "in/notes.txt", "in/deep/d.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "out").mkdir()
    return tmp_path


def pairs(planned: Plan) -> list[tuple[str, str]]:
    return [(job.source, job.destination) for job in planned.jobs]


def into(sources, folder="out", **options) -> Plan:
    return plan_several(sources, folder, extensions=IMAGE_EXTENSIONS, suffix=".tfh", **options)


def test_files_from_anywhere_have_outputs_in_one_folder_named_as_in_a_folder(folder):
    planned = into(["in/deep/d.tif", "in/b.jpg", "./in/b.jpg"], "new")
    assert pairs(planned) == [("in/deep/d.tif", "new/d.tfh"), ("in/b.jpg", "new/b.tfh")]
    assert planned.folder
    (folder / "in/d.png").write_bytes(b"x")
    outputs = [job.destination for job in into(["in/deep/d.tif", "in/d.png"]).jobs]
    assert outputs == ["out/d.tif.tfh", "out/d.png.tfh"]


def test_two_files_of_one_name_are_told_before_anything_is_made(folder):
    (folder / "in/deep/b.jpg").write_bytes(b"x")
    with pytest.raises(TfhificError, match=r"in/b\.jpg and in/deep/b\.jpg are both called b\.jpg"):
        into(["in/b.jpg", "in/deep/b.jpg"])
    with pytest.raises(TfhificError, match="standard input"):
        into(["in/b.jpg", "-"])


def test_what_can_not_be_taken_among_several_costs_itself_alone(folder):
    planned = into(["in/deep", "in/b.jpg", "missing.jpg"])
    assert [job.source for job in planned.to_do] == ["in/b.jpg"]
    assert [job.problem is None for job in planned.jobs] == [False, True, False]
    assert "give a folder alone" in planned.jobs[0].problem
    assert planned.jobs[2].problem == "missing.jpg: no such file or folder."


def test_outputs_of_several_that_are_there_are_left_or_told_and_never_an_input(folder):
    (folder / "out/b.tfh").write_bytes(b"old")
    assert into(["in/b.jpg", "in/a.PNG"]).to_do == [Job("in/a.PNG", "out/a.tfh")]
    assert len(into(["in/b.jpg", "in/a.PNG"], overwrite=True).to_do) == 2
    os.utime("out/b.tfh", (1, 1))
    assert "was changed after" in into(["in/b.jpg"]).jobs[0].problem
    os.unlink("out/b.tfh")
    os.link("in/a.PNG", "out/b.tfh")
    planned = into(["in/b.jpg", "in/a.PNG"], overwrite=True)
    assert "would be lost" in planned.jobs[0].problem


@pytest.mark.parametrize(
    ("sources", "output", "expected"),
    [
        (["a.jpg"], "out", True),
        (["a.jpg"], "new/", True),
        (["a.jpg"], "new", True),
        (["a.jpg"], "x.tfh", False),
        (["a.jpg"], "photos.2024", False),
        (["a.jpg"], "in/notes.txt", False),
        (["a.jpg"], "bare", False),
        (["a.jpg"], "-", False),
        (["a.jpg", "b.jpg"], "new", True),
        (["a.jpg", "b.jpg"], "photos.2024", True),
    ],
)
def test_one_file_and_many_go_to_the_same_folder(sources, output, expected, folder):
    (folder / "bare").write_bytes(b"x")
    assert takes_folder(sources, output, (*IMAGE_EXTENSIONS, ".tfh")) is expected


@pytest.mark.parametrize("output", ["x.tfh", "x.PNG", "in/notes.txt", "-"])
def test_several_files_do_not_go_to_one(output, folder):
    with pytest.raises(OutputError, match="`out=FOLDER/`"):
        takes_folder(["a.jpg", "b.jpg"], output, (*IMAGE_EXTENSIONS, ".tfh"))
