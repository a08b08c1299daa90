"""`bin/evaluate.py` prints curves, leaves tables, plots and a page, and continues."""

from __future__ import annotations

import csv
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image


@pytest.fixture
def work(tmp_path, monkeypatch, photo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.fromarray(photo(180, 180)).save("in/a.png")
    return tmp_path


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_model_against_jpeg_gives_curves_table_and_difference(work, call_script):
    flags = ["--qualities=1,3,5,7", "--ladder=jpeg:2,5,8,20", "--out=table.csv", "--nomemory"]
    done = call_script("evaluate", "--data=in", "--model=tiny", *flags)
    assert (done.code, done.err) == (0, "")
    for part in ("tiny, means over 1 images", "jpeg, means over 1 images", "files over 1.01 x"):
        assert part in done.out
    assert "Bjontegaard rate difference of tiny against jpeg" in done.out
    rows = table("table.csv")
    assert [row["codec"] for row in rows] == ["tiny"] * 4 + ["jpeg"] * 4
    again = call_script("evaluate", "--data=in", "--model=tiny", *flags)
    assert again.code == 1
    assert "--overwrite" in again.err


def test_folder_has_everything_and_a_second_run_measures_nothing(work, call_script):
    flags = ["--data=in", "--codecs=tiny,jpeg,webp", "--qualities=2,6", "--out=out"]
    flags += ["--ladder=jpeg:5,30", "--ladder=webp:5,50"]
    done = call_script("evaluate", *flags)
    assert (done.code, done.err) == (0, "")
    assert "6 files measured" in done.out
    names = {p.relative_to(work / "out").as_posix() for p in (work / "out").rglob("*.*")}
    assert {"results.csv", "summary.md", "report.html", "plots/psnr.png", "plots/psnr.svg"} <= names
    rows = table("out/results.csv")
    assert len(rows) == 6
    assert {row["codec"] for row in rows if row["peak_memory_mib"]} == {"tiny", "jpeg", "webp"}
    again = call_script("evaluate", *flags)
    assert again.code == 0
    assert "0 files measured, 6 were there" in again.out


def test_one_size_or_one_psnr_for_all(work, call_script):
    flags = ["--data=in", "--codecs=jpeg,webp", "--out=out", "--nomemory", "--noreport"]
    done = call_script("evaluate", *flags, "--match=bpp:1,2")
    assert done.code == 0
    rows = table("out/results.csv")
    assert {row["target"] for row in rows} == {"bpp:1", "bpp:2"}
    assert all(float(row["bpp"]) <= float(row["target"][4:]) for row in rows)
    assert not (work / "out" / "report.html").exists()
    done = call_script("evaluate", *flags, "--match=psnr:30")
    assert done.code == 0
    # What was there before stays in the table.
    assert {row["target"] for row in table("out/results.csv")} == {"bpp:1", "bpp:2", "psnr:30"}


def children(pid):
    """Processes that another one started, by /proc."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(entry.parent.name))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system has no /proc")
def test_killed_evaluation_leaves_no_process_and_continues(work, call_script, clean_shell):
    for name in "bcdef":
        Image.open("in/a.png").save(f"in/{name}.png")
    script = pathlib.Path(__file__).resolve().parents[2] / "bin" / "evaluate.py"
    flags = ["--data=in", "--codecs=jpeg,webp", "--out=out", "--jobs=2", "--nomemory", "--noreport"]
    with subprocess.Popen(
        [sys.executable, script, *flags], stdout=subprocess.DEVNULL, env=clean_shell()
    ) as process:
        rows, end = pathlib.Path("out/results.csv"), time.monotonic() + 240
        while not rows.exists() or rows.read_bytes().count(b"\n") < 8:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    assert workers
    while any(os.path.exists(f"/proc/{pid}") for pid in workers):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.05)
    done = call_script("evaluate", *flags[:-3], "--nomemory", "--noreport")
    assert (done.code, done.err) == (0, "")
    measured = int(done.out.split(" files measured")[0].split()[-1])
    assert 0 < measured <= 96 - 7
    assert len(table("out/results.csv")) == 96


def test_unreadable_picture_gives_a_line_and_exit_code_1(work, call_script):
    (work / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    flags = ["--codecs=jpeg", "--ladder=jpeg:5,30", "--out=out", "--nomemory"]
    done = call_script("evaluate", "--data=in", *flags)
    assert done.code == 1
    assert done.err.startswith("error: bad.png: ")
    assert len(table("out/results.csv")) == 2


def test_cost_of_integer_scales_is_said(work, call_script):
    done = call_script("evaluate", "--data=in", "--model=tiny", "--branch_cost", "--qualities=3")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("quality 3: ")
    assert "% against the float one, 1 images" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data"),
        (["--data=missing"], "No images in"),
        (["--data=in", "--qualities=1,9"], "--qualities"),
        (["--data=in", "--qualities=a"], "--qualities"),
        (["--data=in", "--ladder=jpeg:0"], "1 to 100"),
        (["--data=in", "--ladder=jpeg"], "--ladder"),
        (["--data=in", "--ladder=webp:5"], "not among"),
        (["--data=in", "--model=huge"], "'huge'"),
        (["--data=in", "--codecs=jpeg", "--model=tiny"], "not both"),
        (["--data=in", "--codecs=jpeg,jpeg"], "twice"),
        (["--data=in", "--match=size:3"], "bpp"),
        (["--data=in", "--anchor=webp"], "anchor"),
        (["--data=in", "--lpips=none.npz"], "none.npz"),
        (["--data=in", "--features=none"], "none"),
        (["--data=in", "--out=in/a.png"], "folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_give_one_line_and_exit_code_1(arguments, said, work, call_script):
    done = call_script("evaluate", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert said in done.err
