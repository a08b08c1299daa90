"""Which files a command makes of which, and that one failure does not stop the rest."""

from __future__ import annotations

import os
import threading
import time

import pytest

from tfhific.errors import ImageError, OutputError, TfhificError
from tfhific.files import jobs
from tfhific.files.jobs import IMAGE_EXTENSIONS, Job, Plan, Tally


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


def test_pictures_of_one_stem_are_both_kept_whenever_the_second_comes(folder):
    assert carry_out(plan("in", "out"), make)[0] == Tally(done=2)
    first = (folder / "out" / "a.tfh").stat().st_ino
    (folder / "in" / "a.jpg").write_bytes(b"another")
    assert pairs(plan("in", "out")) == [
        ("in/a.PNG", "out/a.PNG.tfh"),
        ("in/a.jpg", "out/a.jpg.tfh"),
        ("in/b.jpg", "out/b.tfh"),
    ]
    assert carry_out(plan("in", "out"), make)[0] == Tally(done=2, skipped=1)
    assert carry_out(plan("in", "out"), make)[0] == Tally(skipped=3)
    assert (folder / "out" / "a.tfh").stat().st_ino == first
    back = jobs.plan("out", "back", extensions=[".tfh"], suffix=".png")
    assert [destination for _, destination in pairs(back)] == [
        "back/a.PNG.png",
        "back/a.jpg.png",
        "back/a.png",
        "back/b.png",
    ]


def make(job) -> dict:
    """Makes a file of the source's bytes."""
    with open(job.source, "rb") as source, open(job.destination, "wb") as made:
        made.write(source.read())
    return {"bytes": 5}


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
    with pytest.raises(TfhificError, match="`recursive`"):
        plan("out")
    with pytest.raises(TfhificError) as caught:
        plan("out", recursive=True)
    assert "`recursive`" not in str(caught.value)


def carry_out(planned, work):
    reports, complaints = [], []
    tally = jobs.run(
        planned, work, report=reports.append, complain=complaints.append, progress=False
    )
    assert tally.done + tally.skipped + tally.failed >= len(planned.jobs)
    return tally, reports, complaints


def test_failure_is_told_and_the_rest_still_done(folder):
    def work(job):
        if "a.PNG" in job.source:
            raise ImageError("a.PNG is broken")
        return {"bytes": 5}

    tally, reports, complaints = carry_out(plan("in", "out", recursive=True), work)
    assert tally == Tally(done=3, failed=1)
    assert complaints == ["a.PNG is broken"]
    assert [report.get("bytes") for report in reports] == [None, 5, 5, 5]
    assert reports[0] == {
        "input": "in/a.PNG",
        "output": "out/a.tfh",
        "error": "a.PNG is broken",
    }
    assert os.path.isdir("out/deep/er")


def test_jobs_that_are_done_or_can_not_be_are_not_worked_on_and_counted_once(folder):
    jobs_of = (
        Job("a.png", "a.tfh", done=True),
        Job("a.jpg", "a.tfh", problem="a.jpg: can't be"),
        Job("b.png", "b.tfh"),
    )
    worked = []

    def work(job):
        worked.append(job.source)
        return {}

    tally, reports, complaints = carry_out(Plan(jobs_of, folder=True), work)
    assert worked == ["b.png"]
    assert tally == Tally(done=1, skipped=1, failed=1)
    assert "skipped" in reports[0]
    assert complaints == ["a.jpg: can't be"]
    assert reports[1]["error"] == "a.jpg: can't be"


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
    tally, reports, complaints = carry_out(plan("in", "out"), lambda job: {"bytes": 5})
    assert tally == Tally(done=1, failed=1)
    assert "in/a.PNG: was changed after out/a.tfh" in complaints[0]
    assert "`overwrite`" in complaints[0]
    assert "skipped" not in reports[0]
    assert reports[1]["bytes"] == 5
    assert carry_out(plan("in", "out", overwrite=True), lambda job: {})[0] == Tally(done=2)


def test_source_of_the_future_is_done_once_and_then_skipped(folder):
    for later in (10**9, 10**18):
        times = (time.time_ns() + later,) * 2
        os.utime("in/a.PNG", ns=times)
        carry_out(plan("in", "out", overwrite=True), make)
        for _ in range(2):
            assert carry_out(plan("in", "out"), make)[0] == Tally(skipped=2)
        # The other one has the time at which it was made.
        assert os.stat("out/b.tfh").st_mtime_ns < time.time_ns()
    os.utime("in/a.PNG", ns=(times[0] + 1,) * 2)
    assert carry_out(plan("in", "out"), make)[0] == Tally(skipped=1, failed=1)


def test_time_that_a_disk_cuts_to_even_seconds_is_still_no_older(folder, monkeypatch):
    original = os.utime

    def coarse(path, *, ns):
        original(path, ns=tuple(value - value % (2 * 10**9) for value in ns))

    monkeypatch.setattr(os, "utime", coarse)
    moment = 3 * 10**18 + 1_999_999_999
    original("in/a.PNG", ns=(moment, moment))
    jobs.not_older("in/a.PNG", "in/b.jpg")
    assert moment <= os.stat("in/b.jpg").st_mtime_ns <= moment + 2 * 10**9


def test_decoded_picture_that_may_be_the_original_is_never_to_be_overwritten(folder):
    (folder / "in" / "b.tfh").write_bytes(b"newer")
    (folder / "in" / "b.png").write_bytes(b"the original")
    os.utime("in/b.png", ns=(10**18, 10**18))
    back = {"extensions": [".tfh"], "suffix": ".png"}
    with pytest.raises(OutputError, match="may be the original; name another output") as caught:
        jobs.plan("in/b.tfh", None, **back)
    assert "`overwrite`" not in str(caught.value)
    _, _, complaints = carry_out(jobs.plan("in", None, **back), make)
    assert "name another output folder" in complaints[0]
    assert "`overwrite`" not in complaints[0]
    assert (folder / "in" / "b.png").read_bytes() == b"the original"


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_job_that_would_write_over_an_input_or_an_output_is_a_failure(link, folder):
    kept = {path: path.read_bytes() for path in (folder / "in").iterdir() if path.is_file()}
    link(os.path.abspath("in/b.jpg"), "out/a.tfh")
    tally, _, complaints = carry_out(plan("in", "out", overwrite=True), make)
    assert tally == Tally(done=1, failed=1)
    assert "out/a.tfh: is the input in/b.jpg by another name" in complaints[0]
    assert all(path.read_bytes() == data for path, data in kept.items())
    with pytest.raises(OutputError, match=r"is the input in/b\.jpg by another name"):
        plan("in/b.jpg", "out/a.tfh", overwrite=True)
    with pytest.raises(OutputError, match=r"is the input in/b\.jpg by another name"):
        plan("in/a.PNG", "out/a.tfh", overwrite=True, beside=["in"])


def test_outputs_that_are_one_file_are_made_once(folder):
    os.symlink("b.tfh", "out/a.tfh")
    tally, _, complaints = carry_out(plan("in", "out", overwrite=True), make)
    assert tally == Tally(done=1, failed=1)
    assert (
        "in/b.jpg: its output out/b.tfh is, in this folder, that of in/a.PNG too" in complaints[0]
    )


def test_output_that_is_a_folder_is_a_failure_and_not_done(folder):
    (folder / "out" / "a.tfh").mkdir()
    tally, _, complaints = carry_out(plan("in", "out"), make)
    assert tally == Tally(done=1, failed=1)
    assert "out/a.tfh is a folder" in complaints[0]


def test_name_of_a_file_is_checked_where_the_user_chose_it(folder):
    def check(name):
        raise OutputError(f"not {name}")

    for source, output in (("in/b.jpg", "x.png"), ("-", "x.png"), ("in/b.jpg", "-")):
        with pytest.raises(OutputError, match=f"not {output}"):
            plan(source, output, check_name=check)
    for source, output in (("in/b.jpg", None), ("in/b.jpg", "out"), ("in", "new.png")):
        assert plan(source, output, check_name=check).jobs


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


def test_pipe_is_read_and_not_watched(folder):
    os.mkfifo("in/pipe")

    def write():
        with open("in/pipe", "wb") as pipe:
            pipe.write(b"x" * 100_000)

    writer = threading.Thread(target=write)
    writer.start()
    with jobs.unchanged("in/pipe"):
        assert len(jobs.read_bytes("in/pipe")) == 100_000
    writer.join()
