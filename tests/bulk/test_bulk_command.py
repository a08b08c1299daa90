"""What a user of `bulk` may get wrong is a line, before anything is started."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import signal
import time

import pytest
from PIL import Image

from tfhific.commands import extras

WITHOUT_RAY = """
import sys
sys.modules.update(ray=None, pyarrow=None, fsspec=None)
from tfhific.commands.main import run
run()
"""


def picture(folder: pathlib.Path) -> str:
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    return str(folder)


@pytest.mark.parametrize("more", [[], ["--dry_run"]])
def test_missing_extra_is_told_in_a_line_and_nothing_is_made(run_python, tmp_path, more):
    out = tmp_path / "out"
    done = run_python("-c", WITHOUT_RAY, "bulk", "compress", picture(tmp_path / "in"), out, *more)
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert said == (
        "error: bulk needs ray and pyarrow and fsspec, which tfhific's extra `bulk` brings: "
        "pip install ray pyarrow fsspec\n"
    )
    assert not out.exists()


def test_sigterm_writes_the_rows_that_there_are_and_the_job_goes_on(
    call_command, tmp_path, monkeypatch
):
    pytest.importorskip("pyarrow")
    from tfhific.bulk import engine, manifest, opening
    from tfhific.bulk.rows import DONE, Row

    class Engine:
        def __init__(self, settings, cores, workers):
            pass

        def run(self, dealt, on_wait):
            (task,) = next(dealt)
            yield Row(task.source, task.destination, DONE)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

        def stop(self):
            pass

    monkeypatch.setattr(extras, "require", lambda *_: None)
    monkeypatch.setattr(engine, "connected", contextlib.nullcontext)
    monkeypatch.setattr(engine, "workers_of", lambda *_: 1)
    monkeypatch.setattr(engine, "Engine", Engine)
    before, out = signal.getsignal(signal.SIGTERM), tmp_path / "out"
    done = call_command("bulk", "compress", picture(tmp_path / "in"), out)
    assert (done.code, done.out) == (143, "")
    assert done.err.splitlines()[-1] == "stopped; the same command goes on"
    assert signal.getsignal(signal.SIGTERM) is before
    place = opening.open_place(str(out))
    assert list(manifest.Manifest(place, place.files()).rows) == ["a.png"]


@pytest.fixture
def call_bulk(call_command):
    """A function that calls the command in this process; no model is made for it."""
    return functools.partial(call_command, "bulk")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Expected compress or decompress, SRC and DST"),
        (["compress", "in"], "Expected compress or decompress, SRC and DST"),
        (["pack", "in", "out"], "Expected compress or decompress, SRC and DST"),
        (["compress", "in", "out", "more"], "Expected compress or decompress, SRC and DST"),
        (["compress", "", "out"], "Received an empty name"),
        (["compress", "in", "out", "--cores=0"], "cores"),
        (["compress", "in", "out", "--limit=none"], "limit"),
        (["compress", "in", "out", "--quality=9"], "quality"),
        (["decompress", "in", "out", "--quality=3"], "--quality and --strip are for compressing"),
        (["compress", "in", "out", "--tile=3"], "--tile: expected at least 64 pixels"),
        (["compress", "in", "out", "--storage_options=[1]"], "expected a JSON object"),
        (["compress", "in", "out", "--storage_options={"], "expected a JSON object"),
        (["compress", "in", "out.zip"], "out.zip: expected a folder or a URL to write to"),
        (["compress", "in", "file://out.parquet"], "ends in .parquet; name a folder"),
        (["compress", "in", "https://h/out"], "a web server's address, which is only read"),
        (["compress", "strange+kind://in", "out"], "this kind of URL can't be opened"),
    ],
)
def test_what_can_be_told_beforehand_is_a_line(call_bulk, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = call_bulk(*arguments)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
