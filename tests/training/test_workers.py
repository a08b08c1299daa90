"""Two processes that train one model together, as two machines would."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def work(environment, *flags: str) -> list[str]:
    """What two workers with the same flags say, when both are done, in `environment(**more)`."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, SCRIPT, "--strategy=multiworker", *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(TF_CONFIG=json.dumps(config), CUDA_VISIBLE_DEVICES=""),
            )
        )
    try:
        said = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    return said


def lines(text: str) -> dict[int, str]:
    found = re.findall(r"^step (\d+)  .*? min  (.*)$", text, re.MULTILINE)
    return {int(step): numbers for step, numbers in found}


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
    weights = []
    for folder in (run_dir, run_dir / "workers" / "1"):
        reader = tf.train.load_checkpoint(str(folder / "checkpoints" / "ckpt-4"))
        names = [n for n in reader.get_variable_to_shape_map() if n.startswith("model/")]
        weights.append({name: reader.get_tensor(name) for name in names})
    assert weights[0].keys() == weights[1].keys()
    assert len(weights[0]) > 50
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], name)

    first, second = work(clean_shell, "--resume", "--steps=6", *keep)
    for said in (first, second):
        assert "from step 4" in said
        assert sorted(lines(said)) == [5, 6]
    assert lines(first) == lines(second)
