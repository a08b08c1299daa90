"""A run that is stopped says so, by its exit code too, and goes on only as what it was."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"


TINY = {
    "latent_channels": 16,
    "hyper_channels": 8,
    "fine_channels": 4,
    "coarse_channels": 4,
    "num_blocks": 0,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("images")
    for seed in range(2):
        Image.fromarray(photo(64, 64, seed)).save(folder / f"{seed}.png")
    return folder


def stopped(run_dir, by: int, *flags) -> tuple[int, str]:
    """Exit code and words of a training that a signal stops once it has logged a step."""
    said = run_dir.parent / f"said-{by}"
    command = [sys.executable, SCRIPT, f"--run_dir={run_dir}", *flags]
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with open(said, "wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdin=subprocess.DEVNULL, env=clean)
        try:
            deadline = time.monotonic() + 500
            while not re.search(r"^step \d+ ", said.read_text(), re.MULTILINE):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.02)
            process.send_signal(by)
            return process.wait(600), said.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def stopped_run(images, tmp_path_factory):
    """A run stopped by Ctrl-C, with its exit code and what it said."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    flags = [f"--data={images}", f"--settings={json.dumps(TINY)}", "--steps=4000"]
    flags += ["--batch_size=1", "--crop=64", "--save_every=50", "--log_every=7"]
    return run_dir, *stopped(run_dir, signal.SIGINT, *flags)


def test_ctrl_c_exits_with_130_and_says_where_it_stopped(stopped_run):
    run_dir, code, said = stopped_run
    assert code == 130, said
    step = int(re.search(r"^stopped at step (\d+) of 4000; --resume continues$", said, re.M)[1])
    assert said.splitlines()[-1].startswith("stopped at step")
    assert (run_dir / "checkpoints" / f"ckpt-{step}.index").exists()


def test_resumed_run_keeps_its_intervals_and_sigterm_exits_with_143(stopped_run, tmp_path):
    run_dir, _, first = stopped_run
    code, said = stopped(run_dir, signal.SIGTERM, "--resume")
    assert code == 143, said
    begun = int(re.search(r"^stopped at step (\d+)", first, re.M)[1])
    assert f"from step {begun}" in said
    logged = [int(step) for step in re.findall(r"^step (\d+) ", said, re.M)]
    assert logged
    assert all(step % 7 == 0 for step in logged)
    kept = json.loads((run_dir / "config.json").read_text())["keeping"]
    assert kept == {"save_every": 50, "log_every": 7, "image_every": 2000}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model=hific"], "--model can't change halfway: this run has mini"),
        (["--config=hific-lo"], "--config can't change halfway: this run has ''"),
        (['--settings={"latent_channels": 48}'], '--settings can\'t .*"latent_channels": 16'),
        (["--crop=128"], "--crop can't change halfway: this run has 64"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_run_is_not_resumed_as_another(flags, said, stopped_run, call_script):
    run_dir, _, _ = stopped_run
    before = (run_dir / "config.json").read_bytes()
    done = call_script("train", f"--run_dir={run_dir}", "--resume", *flags)
    assert done.code == 1
    assert re.fullmatch(rf"error: {said}.* Begin another with --init_from\.\n", done.err), done.err
    assert (run_dir / "config.json").read_bytes() == before


def test_run_is_resumed_by_the_command_that_began_it(stopped_run):
    from tfhific.training.start import resumed_plan

    run_dir, _, _ = stopped_run
    plan = resumed_plan(str(run_dir), {"crop": 64}, system="mini", preset="", settings=TINY)
    assert plan.config.latent_channels == 16


def test_unreadable_pictures_are_one_line_and_leave_no_run(call_script, tmp_path, images):
    folder = tmp_path / "broken"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"not a picture")
    begin = ["train", f"--run_dir={tmp_path / 'run'}", "--steps=1", "--batch_size=1"]
    begin += [f"--settings={json.dumps(TINY)}", "--crop=64"]
    done = call_script(*begin, f"--data={folder}")
    assert done.code == 1
    assert re.fullmatch(r"error: None of the 3 images can be read\. .*\n", done.err), done.err
    assert not (tmp_path / "run").exists()
    # The same place serves the next try.
    done = call_script(*begin, f"--data={images}")
    assert done.code == 0, done.err


def test_run_dir_that_is_a_file_is_one_line_and_stays_as_it_is(call_script, tmp_path, images):
    (tmp_path / "run").write_text("mine")
    done = call_script("train", f"--data={images}", f"--run_dir={tmp_path / 'run'}", "--steps=1")
    assert done.code == 1
    assert re.fullmatch(r"error: --run_dir: expected a folder\. .*\n", done.err), done.err
    assert (tmp_path / "run").read_text() == "mine"
