"""What a job is to do: as the single machine's commands say, and as the manifest knows better."""

from __future__ import annotations

import os
import re
import zipfile

import pytest

from tfhific.bulk.opening import open_place
from tfhific.bulk.places import Found
from tfhific.bulk.plan import Task, is_plain, plan
from tfhific.bulk.rows import DONE, FAILED, Row
from tfhific.errors import OutputError, TfhificError
from tfhific.files import planning
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS

KINDS = {"extensions": IMAGE_EXTENSIONS, "suffix": ".tfh", "ignored": (CODED_EXTENSION,)}
SECOND = 10**9


def write(folder, *names, at=1_000) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
        os.utime(path, ns=(at * SECOND, at * SECOND))


@pytest.fixture
def folders(tmp_path):
    sources, outputs = tmp_path / "in", tmp_path / "out"
    sources.mkdir()
    outputs.mkdir()
    return sources, outputs


def planned(folders, rows=(), **options):
    sources, outputs = (open_place(str(folder)) for folder in folders)
    known = {row.source: row for row in rows}
    return plan(sources, outputs, outputs.files(), known, **{**KINDS, **options})


def row(name, status=DONE, size=10, at=1_000, output=None, made=10):
    error = "broken" if status == FAILED else None
    output = output or name.rpartition(".")[0] + ".tfh"
    return Row(name, output, status, size, at * SECOND, bytes=made, error=error)


@pytest.mark.parametrize("recursive", [False, True])
def test_names_skips_and_problems_are_those_of_the_single_machine(folders, recursive):
    sources, outputs = folders
    write(
        sources, "a.png", "a.jpg", "b.PNG", "c.webp", "d.png", "deep/e.png", "note.txt", "._f.png"
    )
    write(outputs, "b.tfh", at=2_000)
    write(outputs, "c.tfh", at=500)
    (outputs / "d.tfh").mkdir()
    single = planning.plan(
        str(sources), str(outputs), extensions=IMAGE_EXTENSIONS, suffix=".tfh", recursive=recursive
    )
    found = planned(folders, recursive=recursive)
    pairs = {(str(sources / t.source), str(outputs / t.destination)) for t in found.tasks}
    wanted = {(job.source, job.destination) for job in single.jobs if job.problem is None}
    assert pairs == wanted
    # What is there without a row gets one: nothing is made.
    assert [t.source for t in found.tasks if t.kept] == ["b.PNG"]
    assert sorted(found.problems) == sorted(single.problems)
    assert len(found.problems) == 2
    assert found.left_out.facts() == single.left_out.facts()


def test_what_the_manifest_has_is_not_done_again(folders):
    sources, outputs = folders
    write(sources, "a.png", "b.png", "c.png")
    # The output's clock is behind: its row knows of which version it was made.
    write(outputs, "a.tfh", at=1)
    found = planned(folders, [row("a.png"), row("b.png", FAILED)])
    assert [task.source for task in found.tasks] == ["c.png"]
    assert (found.skipped, found.failed_before, found.problems) == (1, 1, ())


def test_what_failed_is_tried_again_when_asked_or_changed(folders):
    sources, _ = folders
    write(sources, "a.png")
    rows = [row("a.png", FAILED)]
    assert [t.source for t in planned(folders, rows, retry=True).tasks] == ["a.png"]
    write(sources, "a.png", at=1_001)
    assert [t.source for t in planned(folders, rows).tasks] == ["a.png"]


def test_an_output_that_is_gone_is_made_again(folders):
    write(folders[0], "a.png")
    found = planned(folders, [row("a.png")])
    assert found.tasks == (Task("a.png", "a.tfh", Found(10, 1_000 * SECOND)),)


@pytest.mark.parametrize("change", ["source", "output"])
def test_a_source_or_an_output_that_changed_is_told_and_left_until_asked(folders, change):
    sources, outputs = folders
    write(sources, "a.png")
    write(outputs, "a.tfh", at=2_000)
    rows = [row("a.png", size=9) if change == "source" else row("a.png", made=7)]
    found = planned(folders, rows)
    assert not found.tasks
    assert len(found.problems) == 1
    assert "`overwrite`" in found.problems[0]
    assert [t.source for t in planned(folders, rows, overwrite=True).tasks] == ["a.png"]


def test_limit_takes_the_first(folders):
    write(folders[0], *(f"{number}.png" for number in range(9)))
    assert [t.source for t in planned(folders, limit=2).tasks] == ["0.png", "1.png"]


def test_an_empty_and_a_missing_folder_are_told(folders, tmp_path):
    with pytest.raises(TfhificError, match=r"no files that end in .*\.png"):
        planned(folders)
    with pytest.raises(TfhificError, match="expected a folder; there is none"):
        planned((tmp_path / "none", folders[1]))


def test_a_file_where_a_folder_is_to_be_is_told_and_stays(folders, tmp_path):
    file, link = tmp_path / "photo.png", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(TfhificError, match=r"expected a folder, or a \.zip, .* of another kind"):
        planned((file, folders[1]))
    write(folders[0], "a.png")
    for place, said in (
        (file, "a name that is a file"),
        (file / "out", f"a name below {file} that is a file"),
        (link, "a name that is a link to nothing"),
    ):
        with pytest.raises(OutputError, match=re.escape(said)):
            planned((folders[0], place))
    assert file.read_text() == "mine"


def test_a_name_that_is_no_text_costs_its_own_picture_alone(folders):
    write(folders[0], "a.png")
    (folders[0] / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    found = planned(folders)
    assert [task.source for task in found.tasks] == ["a.png"]
    (problem,) = found.problems
    assert problem.endswith(
        "\\udcff.png': expected a name in UTF-8; rename the file or its folder."
    )
    problem.encode("utf-8")


def test_an_archive_without_pictures_is_not_called_a_folder(folders, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    with pytest.raises(
        TfhificError, match=r"expected pictures in an archive, found none of .*; it has 1 "
    ) as caught:
        planned((tmp_path / "a.zip", folders[1]))
    assert "folder" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "../a.png",
        "a/../b.png",
        "/a.png",
        "a//b.png",
        "./a.png",
        "",
        "a\\b.png",
        "c:/a.png",
        "a\nb",
        "\udcff.png",
    ],
)
def test_paths_that_lead_elsewhere_are_no_plain_ones(path):
    assert not is_plain(path)
    assert is_plain("a/b c/d:e.png")


def test_nothing_is_written_over_an_input(folders):
    sources, outputs = folders
    write(sources, "a.png", "b.png")
    os.link(sources / "b.png", outputs / "a.tfh")
    found = planned(folders, overwrite=True)
    assert [task.source for task in found.tasks] == ["b.png"]
    assert "would be lost" in found.problems[0]
