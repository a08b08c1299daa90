"""Two processes that train one model together, as two machines would."""

from __future__ import annotations

import itertools
import json
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
from tests.training.pairs import finish_two, lines, start_two

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"
ROOT = SCRIPT.parents[1]
TOGETHER = pathlib.Path(__file__).with_name("train_together.py")


def work(environment, *flags: str) -> list[str]:
    """What two workers with the same flags say, when both are done, in `environment(**more)`."""
    command = [sys.executable, SCRIPT, "--strategy=multiworker", *flags]
    return [said for _, said in finish_two(start_two(command, environment))]


def weights_at(folder: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    """The model's arrays in a checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith("model/")]
    return {name: reader.get_tensor(name) for name in names}


def check_same_weights(run_dir: pathlib.Path, step: int) -> None:
    """Both workers' checkpoints of a step hold the same."""
    first, second = weights_at(run_dir, step), weights_at(run_dir / "workers" / "1", step)
    assert first.keys() == second.keys()
    assert len(first) > 50
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], name)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2])
def test_two_workers_train_one_model_and_go_on(stage, photo, tmp_path, clean_shell):
    for seed in range(3):
        Image.fromarray(photo(80, 70, seed)).save(tmp_path / f"{seed}.png")
    run_dir = tmp_path / "run"
    begin = ["--model=hific", "--config=hific-tiny", f"--stage={stage}", f"--data={tmp_path}"]
    begin += ["--crop=64", "--batch_size=4", "--steps=4"]
    keep = [f"--run_dir={run_dir}", "--save_every=2", "--log_every=1", "--image_every=0"]
    first, second = work(clean_shell, *begin, *keep)
    # Numbers are means over both workers' crops.
    assert lines(first) == lines(second)
    assert sorted(lines(first)) == [1, 2, 3, 4]
    check_same_weights(run_dir, 4)

    first, second = work(clean_shell, "--resume", "--steps=6", *keep)
    for said in (first, second):
        assert "from step 4" in said
        assert sorted(lines(said)) == [5, 6]
    assert lines(first) == lines(second)


def numbers(line: str) -> list[float]:
    """The values of a log's line: what is on its odd words."""
    return [float(part.split()[1]) for part in line.split("  ")]


@pytest.mark.slow
@pytest.mark.apart
def test_a_worker_that_was_killed_and_its_peer_go_on_from_the_last_checkpoint(
    photo, tmp_path, clean_shell
):
    for seed in range(3):
        Image.fromarray(photo(80, 70, seed)).save(tmp_path / f"{seed}.png")
    run_dir = tmp_path / "run"
    sizes = {"latent_channels": 48, "hyper_channels": 16, "fine_channels": 8, "coarse_channels": 16}
    flags = ["--model=mini", f"--settings={json.dumps(sizes)}", f"--data={tmp_path}"]
    flags += ["--crop=64", "--batch_size=4", "--steps=60", f"--run_dir={run_dir}"]
    flags += ["--save_every=10", "--log_every=1", "--image_every=0"]
    command = [sys.executable, SCRIPT, "--strategy=multiworker", *flags]
    logs = [tmp_path / f"said{index}" for index in range(2)]
    with open(logs[0], "w") as first, open(logs[1], "w") as second:
        processes = start_two(command, clean_shell, (first, second))
    try:
        deadline = time.monotonic() + 400
        while 15 not in lines(logs[0].read_text()):
            assert [process.poll() for process in processes] == [None, None], logs[0].read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        processes[1].send_signal(signal.SIGKILL)
        assert processes[1].wait() == -signal.SIGKILL
        # The other can't go on alone; when it finds that out is TensorFlow's health checks'.
        try:
            code = processes[0].wait(timeout=120)
        except subprocess.TimeoutExpired:
            code = None
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = logs[0].read_text()
    if code is not None:
        assert code == 1, said
        assert said.splitlines()[-1].startswith("error: "), said
        assert "Traceback" not in said
    before = lines(said)
    assert 15 <= max(before) < 60

    first, second = work(clean_shell, *flags, "--resume")
    begun = int(re.search(r"from step (\d+)", first)[1])
    assert f"from step {begun}" in second
    assert begun % 10 == 0
    assert max(before) - 20 < begun <= max(before) + 1
    after = lines(first)
    assert after == lines(second)
    assert sorted(after) == list(range(begun + 1, 61))
    for step in sorted(before.keys() & after.keys()):
        np.testing.assert_allclose(numbers(after[step]), numbers(before[step]), rtol=5e-3)
    check_same_weights(run_dir, 60)


@pytest.mark.slow
@pytest.mark.apart
@pytest.mark.parametrize("system", ["mini", "mini2", "hific"])
def test_two_workers_take_the_steps_of_one_and_share_out_every_epoch(
    system, photo, tmp_path, clean_shell, run_python
):
    count, steps = 12, 6  # batches of four: two epochs
    for picture in range(count):
        pixels = photo(80, 70, picture)
        pixels[..., 2] = picture  # no crop, shrunk or mirrored, has another blue
        Image.fromarray(pixels).save(tmp_path / f"{picture:02}.png")
    command = [sys.executable, TOGETHER, system, tmp_path, steps]

    def result(printed: str) -> dict:
        return json.loads(printed.splitlines()[-1])

    done = run_python(*command[1:])
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    alone = result(done.stdout.decode())
    pair = finish_two(
        start_two(
            command, lambda **more: clean_shell(PYTHONPATH=ROOT, **more), prints=subprocess.PIPE
        )
    )
    first, second = (result(printed) for printed, _ in pair)
    assert (alone["replicas"], first["replicas"], second["replicas"]) == (1, 2, 2)
    # A step's pictures are those of one process, each seen by one worker, and by one an epoch.
    shares = [a + b for a, b in zip(first["pictures"], second["pictures"])]
    assert shares == alone["pictures"]
    for epoch in (shares[:3], shares[3:]):
        assert sorted(itertools.chain(*epoch)) == list(range(count))
    assert first["curve"] == second["curve"]
    assert len(first["curve"]) == steps
    assert np.ptp([line[0] for line in alone["curve"]]) > 0.02 * abs(alone["curve"][0][0])
    np.testing.assert_allclose(first["curve"], alone["curve"], rtol=2e-3, atol=1e-5)
