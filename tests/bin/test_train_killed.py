"""A training that was killed without warning goes on to the very numbers of one that was not."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"


STEPS = 60


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("images")
    for seed in range(5):
        Image.fromarray(photo(90, 110, seed)).save(folder / f"{seed}.png")
    return folder


def lines(text: str) -> dict[int, str]:
    """What a log says of each step, but for the time."""
    found = re.findall(r"^step (\d+)  .*? min  (.*)$", text, re.MULTILINE)
    return {int(step): numbers for step, numbers in found}


def checkpoint(run_dir) -> dict[str, np.ndarray]:
    """All arrays of a run's last checkpoint, but for the time."""
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints" / f"ckpt-{STEPS}"))
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if not name.startswith(("seconds/", "_CHECKPOINTABLE", "save_counter/"))
    }


@pytest.mark.apart
@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_process_killed_at_any_moment_goes_on_to_the_same_bits(
    stage, images, tmp_path, clean_shell
):
    command = [
        sys.executable,
        SCRIPT,
        "--model=hific",
        "--config=hific-tiny",
    ]
    command += [f"--data={images}", f"--stage={stage}", "--crop=64", "--batch_size=2"]
    command += [f"--steps={STEPS}", "--save_every=10", "--log_every=1", "--image_every=0"]
    # The rate control's and the learning rate's steps come after most of the kills.
    command += ['--settings={"warmup_steps": 40}', "--boundaries=50", "--ema=.9"]
    command += ["--learning_rate=0.002", "--deterministic"]

    def run(folder, *flags) -> str:
        done = subprocess.run(
            [*command, f"--run_dir={folder}", *flags],
            capture_output=True,
            text=True,
            check=False,
            env=clean_shell(),
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    whole = lines(run(tmp_path / "whole"))
    assert sorted(whole) == list(range(1, STEPS + 1))

    rng = np.random.default_rng()
    last = int(rng.integers(11, 45))
    said = tmp_path / "said"
    with open(said, "wb") as stream:
        killed = subprocess.Popen(
            [*command, f"--run_dir={tmp_path / 'run'}"],
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env=clean_shell(),
        )
    deadline = time.monotonic() + 500
    while last not in lines(said.read_text()):
        assert killed.poll() is None, said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    first = lines(said.read_text())
    assert max(first) < STEPS

    log = run(tmp_path / "run", "--resume")
    begun = int(re.search(r"from step (\d+)", log)[1])
    # A checkpoint may have been half-written when the kill came: then the one before it counts.
    assert begun % 10 == 0
    assert max(first) - 20 <= begun <= max(first) + 1, (begun, max(first))
    rest = lines(log)
    assert sorted(rest) == list(range(begun + 1, STEPS + 1))
    for step, numbers in [*first.items(), *rest.items()]:
        assert numbers == whole[step], (step, begun, max(first))
    ours, theirs = checkpoint(tmp_path / "run"), checkpoint(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert len(ours) > 100
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)
    assert os.listdir(tmp_path / "run" / "logs")


def test_deterministic_training_is_refused_where_it_can_not_be_had(call_script, images, tmp_path):
    begin = ["train", f"--data={images}", f"--run_dir={tmp_path / 'run'}", "--steps=3"]
    tf.constant(0)  # TensorFlow has started.
    for flags, said in (
        (["--deterministic", "--strategy=mirrored"], "--strategy=none"),
        (["--deterministic"], "before TensorFlow runs"),
    ):
        done = call_script(*begin, *flags)
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert said in done.err
    assert not (tmp_path / "run").exists()
