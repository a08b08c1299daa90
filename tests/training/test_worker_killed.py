"""A worker killed without warning ends the job; started again it goes on as one that was not."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.training.pairs import finish_two, lines, start_two

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"
STEPS, SAVE_EVERY, KILLED_AFTER = 40, 10, 13
TINY = {"latent_channels": 16, "hyper_channels": 8, "fine_channels": 8, "coarse_channels": 8}


@pytest.fixture(scope="module")
def command(tmp_path_factory, photo) -> list[str]:
    """Begins a run, but for its folder."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(5):
        Image.fromarray(photo(80, 70, seed)).save(folder / f"{seed}.png")
    flags = ["--strategy=multiworker", "--model=mini", f"--settings={json.dumps(TINY)}"]
    flags += [f"--data={folder}", "--crop=64", "--batch_size=4", f"--steps={STEPS}", "--ema=.9"]
    flags += ["--learning_rate=0.002", "--warmup_steps=5", f"--save_every={SAVE_EVERY}"]
    return [sys.executable, str(SCRIPT), *flags, "--log_every=1", "--image_every=0"]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory, clean_shell) -> pathlib.Path:
    """The folder of a run that nothing happened to; `said` is what its first worker said."""
    folder = tmp_path_factory.mktemp("whole")
    (_, said), _ = finish_two(start_two([*command, f"--run_dir={folder / 'run'}"], clean_shell))
    (folder / "said").write_text(said)
    return folder


def numbers(text: str) -> dict[int, list[float]]:
    """Loss, rate, error and so on of each step that a log has."""
    return {
        step: [float(part.split()[1]) for part in said.split("  ")]
        for step, said in lines(text).items()
    }


def arrays(run_dir: pathlib.Path) -> dict[str, np.ndarray]:
    """What the last checkpoint has of weights, their averages and the optimiser's slots."""
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints" / f"ckpt-{STEPS}"))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith(("model", "ema", "opt"))]
    return {name: reader.get_tensor(name) for name in names}


def killed(command, victim: int, folder: pathlib.Path, environment) -> tuple[str, str]:
    """What the victim and the other said, of two workers one of which is killed in mid-training."""
    said = [folder / f"said-{worker}" for worker in range(2)]
    streams = [open(path, "w", encoding="utf-8") for path in said]  # noqa: SIM115
    processes = start_two(command, environment, streams)
    try:
        until = time.monotonic() + 500
        while KILLED_AFTER not in lines(said[victim].read_text()):
            assert [process.poll() for process in processes] == [None, None], said[0].read_text()
            assert time.monotonic() < until
            time.sleep(0.01)
        processes[victim].send_signal(signal.SIGKILL)
        # It ends by itself, rather than to wait for ever.
        codes = [process.wait(timeout=500) for process in processes]
    finally:
        for process in processes:
            process.kill()
        for stream in streams:
            stream.close()
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 1, said[1 - victim].read_text()
    return said[victim].read_text(), said[1 - victim].read_text()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_job_of_a_killed_worker_ends_and_goes_on_from_its_last_checkpoint(
    victim, whole, command, tmp_path, clean_shell
):
    run_dir = tmp_path / "run"
    first, other = killed([*command, f"--run_dir={run_dir}"], victim, tmp_path, clean_shell)
    reached = max(lines(other))
    # The last sums may have reached one of them alone.
    assert abs(max(lines(first)) - reached) <= 1
    assert max(lines(first)) < STEPS
    error = other.splitlines()[-1]
    assert re.fullmatch(
        rf"error: Another worker was lost after step {reached} \(.+\)\. The last checkpoint is "
        r"\S+/ckpt-\d+: start all workers again with --resume\.",
        error,
    ), error
    assert "Traceback" not in other

    again = [sys.executable, str(SCRIPT), "--strategy=multiworker", f"--run_dir={run_dir}"]
    resumed = [said for _, said in finish_two(start_two([*again, "--resume"], clean_shell))]
    begun = {int(re.search(r"from step (\d+)", said)[1]) for said in resumed}
    assert len(begun) == 1
    (begun_at,) = begun
    assert begun_at % SAVE_EVERY == 0
    # A checkpoint may have been half-written when the kill came: then the one before it counts.
    assert max(reached - 2 * SAVE_EVERY, 0) < begun_at <= max(reached, max(lines(first)))

    expected = numbers((whole / "said").read_text())
    assert sorted(expected) == list(range(1, STEPS + 1))
    losses = [values[0] for values in expected.values()]
    assert np.ptp(losses) > 0.1 * losses[0]
    for said in resumed:
        assert sorted(lines(said)) == list(range(begun_at + 1, STEPS + 1))
    for said in (first, other, *resumed):
        for step, values in numbers(said).items():
            np.testing.assert_allclose(values, expected[step], rtol=2e-3, atol=1e-5, err_msg=step)
    ours, theirs = arrays(run_dir), arrays(whole / "run")
    assert ours.keys() == theirs.keys()
    assert len(ours) > 150
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
