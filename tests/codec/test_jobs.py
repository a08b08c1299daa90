"""Which files a command makes of which, and that one failure does not stop the rest."""

from __future__ import annotations

import os

import pytest

from tfhific.codec import jobs
from tfhific.codec.jobs import IMAGE_EXTENSIONS, Job, Plan
from tfhific.errors import ImageError, OutputError, TfhificError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with pictures, also below it, and what is none."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.jpg", "in/a.PNG", "in/notes.txt", "in/deep/er/c.webp", "in/deep/d.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "out").mkdir()
    return tmp_path


def plan(source, output=None, **options) -> Plan:
    return jobs.plan(source, output, extensions=IMAGE_EXTENSIONS, suffix=".tfh", **options)


def pairs(planned: Plan) -> list[tuple[str, str]]:
    return [(job.source, job.destination) for job in planned.jobs]


@pytest.mark.parametrize(
    ("source", "output", "destination"),
    [
        ("in/b.jpg", None, "in/b.tfh"),
        ("in/b.jpg", "x.bin", "x.bin"),
        ("in/b.jpg", "out", "out/b.tfh"),
        ("in/b.jpg", "new/", "new/b.tfh"),
        ("in/b.jpg", "-", "-"),
        ("in/notes.txt", None, "in/notes.tfh"),
        ("-", None, "-"),
        ("-", "x.tfh", "x.tfh"),
    ],
)
def test_one_input_has_one_output(source, output, destination, folder):
    planned = plan(source, output)
    assert pairs(planned) == [(source, destination)]
    assert not planned.folder


def test_folder_gives_its_pictures_in_order(folder):
    planned = plan("in")
    assert pairs(planned) == [("in/a.PNG", "in/a.tfh"), ("in/b.jpg", "in/b.tfh")]
    assert planned.folder
    assert pairs(plan("in", "new/place"))[0] == ("in/a.PNG", "new/place/a.tfh")


def test_recursive_keeps_the_places_below(folder):
    assert pairs(plan("in", "out", recursive=True)) == [
        ("in/a.PNG", "out/a.tfh"),
        ("in/b.jpg", "out/b.tfh"),
        ("in/deep/d.tif", "out/deep/d.tfh"),
        ("in/deep/er/c.webp", "out/deep/er/c.tfh"),
    ]


def test_what_is_done_is_skipped_unless_overwriting(folder):
    (folder / "out" / "a.tfh").write_bytes(b"done")
    assert [job.done for job in plan("in", "out").jobs] == [True, False]
    assert [job.done for job in plan("in", "out", overwrite=True).jobs] == [False, False]


def test_second_source_of_one_output_clashes(folder):
    (folder / "in" / "a.jpg").write_bytes(b"x")
    first, second, third = plan("in").jobs
    assert (first.source, first.clash) == ("in/a.PNG", None)
    assert (second.source, second.clash) == ("in/a.jpg", "in/a.PNG")
    assert third.clash is None
    # A clash is told even where the first of the two is done already.
    (folder / "in" / "a.tfh").write_bytes(b"done")
    assert [(job.done, job.clash) for job in plan("in").jobs[:2]] == [
        (True, None),
        (False, "in/a.PNG"),
    ]


@pytest.mark.parametrize(
    ("source", "output", "kind", "said"),
    [
        ("missing.png", None, TfhificError, "missing.png: no such file or folder"),
        ("", None, TfhificError, "no such file"),
        ("out", None, TfhificError, "no files that end in"),
        ("in", "-", OutputError, "standard output"),
        ("in", "in/notes.txt", OutputError, "expected a folder"),
    ],
)
def test_what_can_not_be_is_told(source, output, kind, said, folder):
    with pytest.raises(kind, match=said) as caught:
        plan(source, output)
    assert "\n" not in str(caught.value)


def test_empty_folder_mentions_recursive_only_where_it_helps(folder):
    with pytest.raises(TfhificError, match="--recursive"):
        plan("out")
    with pytest.raises(TfhificError) as caught:
        plan("out", recursive=True)
    assert "--recursive" not in str(caught.value)


def carry_out(planned, work):
    reports, complaints = [], []
    failures = jobs.run(
        planned, work, report=reports.append, complain=complaints.append, progress=False
    )
    return failures, reports, complaints


def test_failure_is_told_and_the_rest_still_done(folder):
    def work(job):
        if "a.PNG" in job.source:
            raise ImageError("a.PNG is broken")
        return {"bytes": 5}

    failures, reports, complaints = carry_out(plan("in", "out", recursive=True), work)
    assert failures == 1
    assert complaints == ["a.PNG is broken"]
    assert [report.get("bytes") for report in reports] == [None, 5, 5, 5]
    assert reports[0] == {
        "input": "in/a.PNG",
        "output": "out/a.tfh",
        "error": "a.PNG is broken",
    }
    assert os.path.isdir("out/deep/er")


def test_done_and_clashing_jobs_are_not_worked_on(folder):
    jobs_of = (
        Job("a.png", "a.tfh", done=True),
        Job("a.jpg", "a.tfh", clash="a.png"),
        Job("b.png", "b.tfh"),
    )
    worked = []

    def work(job):
        worked.append(job.source)
        return {}

    failures, reports, complaints = carry_out(Plan(jobs_of, folder=True), work)
    assert worked == ["b.png"]
    assert failures == 1
    assert "skipped" in reports[0]
    assert "a.png" in complaints[0]
    assert "rename" in complaints[0]


def test_errors_that_are_no_ones_mistake_are_not_hidden(folder):
    def work(job):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        carry_out(plan("in"), work)


def test_folder_that_can_not_be_made_is_told(folder):
    with pytest.raises(OutputError, match=r"in/notes\.txt/x"):
        jobs.ensure_folder("in/notes.txt/x")


def test_bytes_that_can_not_be_read_are_told(folder):
    for name in ("missing", "in"):
        with pytest.raises(TfhificError, match=f"{name}: can't be read"):
            jobs.read_bytes(name)
    assert jobs.read_bytes("in/b.jpg") == b"x"


def test_source_changed_after_its_output_was_made_is_told(folder):
    (folder / "out" / "a.tfh").write_bytes(b"made before")
    os.utime("out/a.tfh", ns=(10**18, 10**18))
    os.utime("in/a.PNG", ns=(10**18 + 1, 10**18 + 1))
    failures, reports, complaints = carry_out(plan("in", "out"), lambda job: {"bytes": 5})
    assert failures == 1
    assert "in/a.PNG: was changed after out/a.tfh" in complaints[0]
    assert "--overwrite" in complaints[0]
    assert reports[1]["bytes"] == 5
    assert carry_out(plan("in", "out", overwrite=True), lambda job: {})[0] == 0


def test_source_changed_while_it_is_worked_on_is_told(folder):
    with jobs.unchanged("in/b.jpg"):
        pass
    with jobs.unchanged("-"):
        pass
    for change in (
        lambda: (folder / "in" / "b.jpg").write_bytes(b"longer"),
        lambda: os.utime("in/b.jpg", ns=(10**18, 10**18)),
        lambda: os.replace("in/a.PNG", "in/b.jpg"),
        lambda: os.unlink("in/b.jpg"),
    ):
        with (
            pytest.raises(TfhificError, match=r"in/b\.jpg: was changed"),
            jobs.unchanged("in/b.jpg"),
        ):
            change()
