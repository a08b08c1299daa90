"""Two processes that train one model together, as two machines would."""

from __future__ import annotations

import itertools
import json
import pathlib
import subprocess
import sys

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


@pytest.mark.slow
@pytest.mark.apart
@pytest.mark.parametrize("system", ["mini", "mini2", "hific", "hific-2"])
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
