"""Training on several devices is training on one, spread out."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from tfhific.errors import TfhificError
from tfhific.training.strategy import check_batch, make_strategy, worker_number


def train_on_two(run_python, *arguments) -> dict:
    """What `train_on_two.py` prints."""
    done = run_python(pathlib.Path(__file__).parent / "train_on_two.py", *arguments)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout.decode().splitlines()[-1])


@pytest.fixture(scope="module")
def found(run_python):
    return train_on_two(run_python)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_devices_take_the_step_of_one(accumulate, found):
    assert found["replicas"] == 2
    assert found[f"difference_{accumulate}"] < 1e-4
    one, two = found[f"lines_{accumulate}"]
    assert np.shape(one) == np.shape(two) == (3, 5)
    np.testing.assert_allclose(two, one, rtol=2e-3)


def test_gradient_that_is_not_finite_on_one_device_stops_both(found):
    assert found["diverged"]


@pytest.mark.slow
def test_real_systems_train_on_two_devices(run_python, photo, tmp_path):
    for seed in range(3):
        Image.fromarray(photo(64, 64, seed)).save(tmp_path / f"{seed}.png")
    found = train_on_two(run_python, tmp_path)
    for system in ("mini", "hific"):
        replicas, line = found[system]
        assert replicas == 2
        assert line.startswith("step 2 ")
        assert "nan" not in line


def test_batches_that_do_not_divide_are_told():
    class Two:
        num_replicas_in_sync = 2

    check_batch(Two(), 8, 2)
    check_batch(None, 7, 1)
    with pytest.raises(TfhificError, match="multiple of 4, 2 devices"):
        check_batch(Two(), 6, 2)


def test_workers_are_numbered_with_the_chief_first(monkeypatch):
    def number(task, *kinds):
        cluster = {kind: ["a:1", "b:1"] for kind in kinds}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        return worker_number()

    assert number({"type": "worker", "index": 1}, "worker") == 1
    assert number({"type": "chief", "index": 0}, "chief", "worker") == 0
    assert number({"type": "worker", "index": 0}, "chief", "worker") == 1


@pytest.mark.parametrize("value", [None, "", "{}", '{"task": 3}', '{"task": {"index": "a"}}'])
def test_workers_without_a_usable_configuration_are_told(value, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(TfhificError, match="TF_CONFIG"):
        make_strategy("multiworker")


def test_unknown_strategies_are_told():
    with pytest.raises(TfhificError, match="none, mirrored, multiworker"):
        make_strategy("parameter-server")
